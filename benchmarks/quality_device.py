"""Rows of `quality.py`'s table about the real device model: its own drafts, kept in ``data/``.

They don't hang on the recorded sets: whatever folder `quality.py` is given, these are the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import device_cache
import device_set
import numpy as np
from device_first_day import first_day
from device_scores import FOLDS, Labelled, known, labelled, unseen, within
from quality_table import Line, measured

from router.confidence.arrays import FloatArray, folds_of
from router.confidence.measures import auroc

_FIRST_DAY = 200


def device_lines() -> Iterator[Line]:
    """How the shipped code sorts the device's drafts by whether they are right."""
    questions = device_set.read()
    drafts = device_cache.unpack(device_cache.kept_here(), questions)
    data = labelled(questions, drafts)
    name = f"device {drafts.name.split()[0]}"
    mean = data.rows[:, data.names.index("tokens.mean_logprob")]
    by_kind, ours, strange = _kind_alone(data), known(data), unseen(data)
    yield _line(name, "AUROC pooled", data, _pooled, ours, mean, 0.84)
    yield _line(name, "AUROC within a kind", data, _within, ours, mean, 0.79)
    floor = round(within(mean, data.right, data.kinds), 3)
    yield _line(name, "AUROC within, unseen", data, _within, strange, mean, floor)
    yield _line(f"{name}, kind's name alone", "AUROC pooled", data, _pooled, by_kind, mean, None)
    sample = random.Random(0).sample(range(len(questions)), _FIRST_DAY)
    kept, certified = first_day([(questions[at], drafts.each[at]) for at in sample])
    name = f"{name}, first day"
    yield Line(set=name, metric="kept of 200", value=kept, goal=1, rows=_FIRST_DAY)
    yield Line(set=name, metric="called certified", value=certified, goal=0, less=True)


def _line(
    name: str,
    metric: str,
    data: Labelled,
    measure: Callable[[Labelled, FloatArray, np.ndarray], float],
    ours: FloatArray,
    plain: FloatArray,
    goal: float | None,
) -> Line:
    return measured(
        name,
        metric,
        lambda at: measure(data, ours, at),
        lambda at: measure(data, plain, at),
        len(data.right),
        goal,
        less=False,
    )


def _pooled(data: Labelled, score: FloatArray, at: np.ndarray) -> float:
    return auroc(score[at], data.right[at])


def _within(data: Labelled, score: FloatArray, at: np.ndarray) -> float:
    return within(score[at], data.right[at], [data.kinds[i] for i in at])


def _kind_alone(data: Labelled) -> FloatArray:
    """The share of right answers of the kind, by the other folds."""
    fold, found = folds_of(list(data.subjects), FOLDS), np.zeros(len(data.right))
    kinds = np.array(data.kinds)
    for part in range(FOLDS):
        for kind in set(data.kinds):
            there = (kinds == kind) & (fold != part)
            found[(kinds == kind) & (fold == part)] = data.right[there].mean()
    return found
