"""Labelled drafts out of a formula: how likely one is good follows from its log-probabilities."""

from __future__ import annotations

import numpy as np

from router.calibration.labelled import Labelled


def labels(
    count: int, *, seed: int = 0, tasks: tuple[str, ...] = ("sums", "words"), hard: float = 0.0
) -> list[Labelled]:
    """Rows whose mean log-probability tells well, not surely, which drafts are good.

    Args:
        hard: Taken off the last task's chances, in log-odds.
    """
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        sure = draw.normal()
        task = tasks[number % len(tasks)]
        odds = 2.5 * sure + 1.5 - (hard if task == tasks[-1] else 0.0)
        length = int(draw.integers(20, 160))
        logprobs = np.minimum(0.0, -0.6 + 0.25 * sure + 0.2 * draw.normal(size=length))
        rows.append(
            Labelled(
                key=f"question {seed}-{number}",
                right=float(draw.random() < 1 / (1 + np.exp(-odds))),
                strong_right=float(draw.random() < 0.9),
                signals={
                    "tokens.mean_logprob": float(logprobs.mean()),
                    "tokens.min_logprob": float(logprobs.min()),
                },
                logprobs=tuple(logprobs.tolist()),
                task=task,
                language="en" if number % 4 else "de",
                cost_usd=0.001,
            )
        )
    return rows
