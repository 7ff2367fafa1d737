"""A task nobody has labelled: how often the device gets it right, from unlabelled drafts alone."""

from __future__ import annotations

import numpy as np

from .arrays import FloatArray

STEPS = 3
"""Steps that are taken. Taken to its end the method runs away where the signals are weak."""


def settle(probability: FloatArray, prior: float, steps: int = STEPS) -> FloatArray:
    """P(good) of a new task's drafts, moved to the share of good ones they themselves suggest.

    Drafts of a hard task look worse all together. Each step takes the mean of what is believed as
    the task's share and reads every draft against it anew. Holds as far as good and bad drafts of
    the new task look like those of the fit and only their share differs.

    Args:
        probability: Of each draft of the one new task, by an estimator that never saw the task.
        prior: Share of good answers in that estimator's fit.

    Source: Saerens, Latinne & Decaestecker, Neural Computation 14, 2002; stopped early.
    """
    share, found = prior, probability
    for _ in range(steps):
        good = probability / prior * share
        bad = (1 - probability) / (1 - prior) * (1 - share)
        found = good / (good + bad)
        share = float(np.clip(found.mean(), 0.01, 0.99))
    return found
