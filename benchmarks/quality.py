"""What the shipped estimator of confidence is worth on recorded answers of real pairs of models.

Fits on ``<set>.train.jsonl.gz``, judges ``<set>.<eval>.jsonl.gz``, and prints one table with 90 %
bootstrap intervals, a plain baseline on the same rows, and what each figure was to reach. Nothing
is chosen on the judged split: it is read once, after every choice was made inside train.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import calm  # noqa: F401  before numpy
import numpy as np
import quality_scores as scores
from common import conditions, parser, write
from quality_device import device_lines
from quality_more import guarantee_lines, language_lines, speed_lines, tier_lines
from quality_sets import Row, Sets, column, tasks
from quality_table import Line, measured, shown

from router.confidence.arrays import FloatArray
from router.confidence.measures import apgr, auroc, curve, ece, spend_at


def main() -> None:
    """Print the table."""
    options = _arguments()
    said = conditions("numpy")
    sets = Sets(options.data)
    lines: list[Line] = []
    began = time.perf_counter()
    for section in (_phi, _mmlu_pro, _mixtral, _options, _samples, _left_out):
        for line in section(sets, options.eval):
            lines.append(line)
            print(shown(line), flush=True)
    for later in (tier_lines, language_lines, guarantee_lines, speed_lines):
        for line in later(sets, options.eval):
            lines.append(line)
            print(shown(line), flush=True)
    for line in device_lines():
        lines.append(line)
        print(shown(line), flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")
    write(options.json, said, {f"{x.set} {x.metric}": asdict(x) for x in lines})


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--data", type=Path, required=True, help="folder of the recorded sets")
    made.add_argument("--eval", default="test", help="split to judge")
    return made.parse_args()


def _pair_lines(
    name: str, judged: list[Row], told: scores.Scores, plain: FloatArray, goals: dict[str, float]
) -> Iterator[Line]:
    """The measures of a weak and strong pair that have a goal. `plain`: the baseline's P(good)."""
    weak, strong = column(judged, "weak_correct"), column(judged, "strong_correct")
    made: dict[str, tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], float]]] = {
        "APGR": (
            lambda at: apgr(told.escalate[at], weak[at], strong[at]),
            lambda at: apgr(-plain[at], weak[at], strong[at]),
        ),
        "AUROC": (
            lambda at: auroc(told.good[at], weak[at]),
            lambda at: auroc(plain[at], weak[at]),
        ),
        "ECE": (lambda at: ece(told.good[at], weak[at]), lambda at: ece(plain[at], weak[at])),
        "calls@95q": (
            lambda at: _calls(told.escalate[at], weak[at], strong[at]),
            lambda at: _calls(-plain[at], weak[at], strong[at]),
        ),
    }
    for metric, goal in goals.items():
        ours, theirs = made[metric]
        yield measured(name, metric, ours, theirs, len(judged), goal, less=metric in _LESS)


_LESS = frozenset(("ECE", "calls@95q"))


def _calls(score: FloatArray, weak: FloatArray, strong: FloatArray) -> float:
    spend, quality = curve(score, weak, strong)
    return spend_at(spend, quality, 0.95 * float(strong.mean()))


def _phi(sets: Sets, split: str) -> Iterator[Line]:
    name = "phi35_gpt4o"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    by_task = _task_means(train, judged)
    agreement = _agreement(sets, judged)
    one = scores.pair(sets, train, judged, "draft")
    votes = scores.pair(sets, train, judged, "draft", "votes")
    yield from _pair_lines(
        f"{name}, one model", judged, one, by_task, {"APGR": 0.71, "AUROC": 0.885, "ECE": 0.04}
    )
    yield from _pair_lines(
        f"{name}, votes", judged, votes, agreement, {"APGR": 0.79, "calls@95q": 0.39}
    )
    here = [at for at, row in enumerate(judged) if row["dataset"] == "gsm8k"]
    some = [judged[at] for at in here]
    yield from _pair_lines(
        f"{name}/gsm8k, one model", some, _part(one, here), by_task[here], {"APGR": 0.78}
    )
    yield from _pair_lines(
        f"{name}/gsm8k, votes", some, _part(votes, here), agreement[here], {"APGR": 0.91}
    )


def _mmlu_pro(sets: Sets, split: str) -> Iterator[Line]:
    name = "phi3_llama70b_mmlupro"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    one = scores.pair(sets, train, judged, "draft", recipe=scores.WORDY, by_gain=False)
    yield from _pair_lines(
        f"{name}, one model", judged, one, _task_means(train, judged), {"APGR": 0.62, "AUROC": 0.75}
    )
    votes = scores.pair(sets, train, judged, "draft", "votes", recipe=scores.WORDY, by_gain=False)
    yield from _pair_lines(
        f"{name}, votes", judged, votes, _agreement(sets, judged), {"APGR": 0.71, "AUROC": 0.825}
    )


def _mixtral(sets: Sets, split: str) -> Iterator[Line]:
    name = "mixtral_gpt4_routellm"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    phi = [row for row in sets.load("phi35_gpt4o", "train") if row["dataset"] == "gsm8k"]
    beside = {"mmlu": sets.load("phi3_llama70b_mmlupro", "train"), "gsm8k": phi}
    for task, goal in (("mmlu", 0.65), ("gsm8k", 0.64)):
        known = [row for row in train if row["dataset"] == task]
        some = [row for row in judged if row["dataset"] == task]
        told = scores.prompt_only(sets, known, some, beside[task])
        length = -np.array([float(len(row["prompt"])) for row in some])
        pair = scores.Scores(good=1 - told, escalate=told)
        yield from _pair_lines(f"{name}/{task}, prompt only", some, pair, length, {"APGR": goal})


def _options(sets: Sets, split: str) -> Iterator[Line]:
    name = "option_logits"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    told, right = scores.from_options(sets, train, judged), column(judged, "weak_agrees")
    raw = np.array([sets.signals(row, "options")["options.top"] for row in judged])
    yield from _confidence_lines(name, told.good, raw, right, 0.76, 0.02)


def _samples(sets: Sets, split: str) -> Iterator[Line]:
    name = "selfconsistency_crux"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    told, right = scores.from_samples(sets, train, judged), column(judged, "weak_correct")
    raw = np.array([sets.signals(row, "samples")["samples.top"] for row in judged])
    yield from _confidence_lines(name, told.good, raw, right, 0.80, None)


def _left_out(sets: Sets, split: str) -> Iterator[Line]:
    name = "phi35_gpt4o"
    train, judged = sets.load(name, "train"), sets.load(name, split)
    for task in sorted(set(tasks(train))):
        known = [row for row in train if row["dataset"] != task]
        some = [row for row in judged if row["dataset"] == task]
        told = scores.unseen_task(sets, known, some)
        mean = np.full(len(some), float(column(known, "weak_correct").mean()))
        right = column(some, "weak_correct")
        yield from _confidence_lines(f"{name} without {task}", told.good, mean, right, 0.70, 0.15)


def _confidence_lines(
    name: str,
    good: FloatArray,
    plain: FloatArray,
    right: FloatArray,
    ranks: float,
    gap: float | None,
) -> Iterator[Line]:
    yield measured(
        name,
        "AUROC",
        lambda at: auroc(good[at], right[at]),
        lambda at: auroc(plain[at], right[at]),
        len(right),
        ranks,
        less=False,
    )
    if gap is not None:
        yield measured(
            name,
            "ECE",
            lambda at: ece(good[at], right[at]),
            lambda at: ece(plain[at], right[at]),
            len(right),
            gap,
            less=True,
        )


def _part(told: scores.Scores, here: list[int]) -> scores.Scores:
    return scores.Scores(good=told.good[here], escalate=told.escalate[here])


def _task_means(train: list[Row], judged: list[Row]) -> FloatArray:
    """The task's name alone: its share of right answers on train."""
    label, kinds = column(train, "weak_correct"), np.array(tasks(train))
    mean = {kind: float(label[kinds == kind].mean()) for kind in set(kinds.tolist())}
    return np.array([mean.get(kind, float(label.mean())) for kind in tasks(judged)])


def _agreement(sets: Sets, judged: list[Row]) -> FloatArray:
    """The share of small models that agree, as it is."""
    return np.array([sets.signals(row, "votes")["votes.agree"] for row in judged])


if __name__ == "__main__":
    main()
