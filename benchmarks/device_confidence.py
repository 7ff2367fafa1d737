"""Is the device's confidence real? 160 easy questions, mean log-probability, nothing fitted.

The accuracy printed is that of SmolLM2-135M, a model chosen to be small, and says nothing about
Phi-3.5-mini's.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from common import conditions, parser, write
from confidence import Asked, ask_all, auroc

QUESTIONS = Path(__file__).parent / "data" / "questions_160.json"


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--model", default="smollm2-135m", help="a model of the store, or a folder"
    )
    args = options.parse_args()
    said = conditions("onnxruntime-genai", "onnxruntime")
    questions = [(q["question"], q["accepted"]) for q in json.loads(QUESTIONS.read_text())]
    asked = ask_all(args.model, questions)
    figures = measure(asked)
    low, high = interval(asked)
    print(f"{len(asked)} questions, {args.model}, greedy, at most 32 tokens")
    print(f"right, all            {figures['accuracy_all']:.1%}")
    for share in (25, 50, 75):
        print(f"right, surest {share} %    {figures[f'accuracy_surest_{share}']:.1%}")
    print(f"surest half is right  {figures['gain_surest_50_points']:+.1f} points more often")
    print(
        f"AUROC                 {figures['auroc']:.3f}   (bootstrap 95 %: {low:.3f} to {high:.3f})"
    )
    write(args.json, said, {**figures, "auroc_low": low, "auroc_high": high})


def measure(asked: list[Asked]) -> dict[str, float]:
    """Accuracy of all and of the surest shares, and AUROC."""
    ranked = sorted(asked, key=lambda a: -a.mean_logprob)
    accuracy = sum(a.right for a in asked) / len(asked)
    found = {"questions": float(len(asked)), "accuracy_all": accuracy}
    for share in (25, 50, 75):
        top = ranked[: len(ranked) * share // 100]
        found[f"accuracy_surest_{share}"] = sum(a.right for a in top) / len(top)
    found["gain_surest_50_points"] = 100 * (found["accuracy_surest_50"] - accuracy)
    found["auroc"] = auroc([a.mean_logprob for a in asked], [a.right for a in asked])
    return found


def interval(asked: list[Asked], rounds: int = 1000) -> tuple[float, float]:
    """Percentile bootstrap over questions, seeded."""
    rng = random.Random(0)
    found = []
    while len(found) < rounds:
        sample = rng.choices(asked, k=len(asked))
        if len({a.right for a in sample}) == 2:
            found.append(auroc([a.mean_logprob for a in sample], [a.right for a in sample]))
    found.sort()
    return found[int(0.025 * rounds)], found[int(0.975 * rounds)]


if __name__ == "__main__":
    main()
