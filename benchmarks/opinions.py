"""What opinions of a draft cost on this machine, and what they tell of right and wrong.

Each question goes down the street under a policy that buys its draft's opinions: the seconds of the
draft's hop and of the opinions' hop are the ledger's own. AUROC: the chance that a right draft has
the higher figure than a wrong one; ties count half. The questions are those of `demo_bar.py`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from common import conditions, parser, write
from confidence import auroc
from demo_bar import questions

from router import Router

WAYS = {
    "1 sample": "samples: 1",
    "3 samples": "samples: 3",
    "5 samples": "samples: 5",
    "self-check": "p_true: always",
}


def policy(asks: str) -> str:
    """Whatever they say, the draft is kept, so that nobody else is asked."""
    name = "draft.p_true" if "p_true" in asks else "draft.agreement"
    return (
        "policy: measured\nsummary: Buys opinions.\ntiers: [device, cloud]\naccept:\n"
        f"  - {{id: a, on: [device], require: {{any: [{{{name}: {{gte: 0}}}}, "
        "{draft.mean_logprob: {gt: 0}}]}}\n"
        f"opinions:\n  - {{on: [device], {asks}}}\n"
    )


def measure(folder: Path, model: str, asks: str, cap: int, many: int) -> list[dict[str, Any]]:
    """One row a question."""
    (folder / "measured.yaml").write_text(policy(asks))
    device = {"tier": "device", "provider": "device", "model": model, "max_output_tokens": cap}
    script = {"steps": [{"text": "not asked"}]}
    cloud = {"tier": "cloud", "provider": "scripted", "model": "script", "options": script}
    made = {
        "version": 1,
        "policy": str(folder / "measured.yaml"),
        "targets": {"device": device, "cloud": cloud},
        "ledger": {"folder": str(folder / "ledger")},
    }
    (folder / "firsthop.yaml").write_text(json.dumps(made))
    rows = []
    with Router(folder / "firsthop.yaml") as router:
        router.ask("Which day comes after Monday?")  # starts the worker
        for question, accepted in questions()[:: max(1, len(questions()) // many)]:
            answer = router.ask(question)
            draft, *rest = answer.hops
            text = answer.text.lower()
            rows.append(
                {
                    "right": any(word in text for word in accepted),
                    "tokens": draft.last.usage.output_tokens,
                    "draft_s": draft.total_s,
                    "opinions_s": rest[0].total_s if rest and rest[0].aside else None,
                    "cached": [a.usage.cached_input_tokens for a in rest[0].attempts],
                    "input": [a.usage.input_tokens for a in rest[0].attempts],
                    "agreement": draft.signals.get("draft.agreement"),
                    "p_true": draft.signals.get("draft.p_true"),
                    "mean_logprob": draft.signals.get("draft.mean_logprob"),
                }
            )
    return rows


def line(way: str, rows: list[dict[str, Any]]) -> str:
    """A way's figures, in words."""
    drafts = [row["draft_s"] * 1e3 for row in rows]
    paid = [row["opinions_s"] * 1e3 for row in rows if row["opinions_s"] is not None]
    ranked = sorted(paid)
    name = "p_true" if way == "self-check" else "agreement"
    known = [row for row in rows if row[name] is not None]
    right = [row["right"] for row in known]
    tells = auroc([row[name] for row in known], right) if 0 < sum(right) < len(right) else None
    own = auroc([row["mean_logprob"] for row in known], right) if tells is not None else None
    read = sum(sum(row["input"]) - sum(c or 0 for c in row["cached"]) for row in rows) / len(rows)
    return (
        f"{way:<11} {median(row['tokens'] for row in rows):>6.0f} {median(drafts):>9.0f} "
        f"{median(paid):>9.0f} {ranked[int(0.95 * (len(ranked) - 1))]:>7.0f} {read:>9.1f} "
        f"{'' if tells is None else f'{tells:.3f}':>7} {'' if own is None else f'{own:.3f}':>7}"
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--model", default="smollm2-135m", help="a model of the store, or a folder"
    )
    options.add_argument("--cap", type=int, default=24, help="most tokens of a draft")
    options.add_argument("--questions", type=int, default=60, help="how many, about")
    args = options.parse_args()
    said = conditions("onnxruntime-genai", "onnxruntime")
    print("way         tokens  draft ms   more ms     p95  read anew  AUROC  of mean logprob")
    found = {}
    for way, asks in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            found[way] = measure(Path(folder), args.model, asks, args.cap, args.questions)
        print(line(way, found[way]), flush=True)
    write(args.json, said, found)


if __name__ == "__main__":
    main()
