"""What the shipped estimator says of each row of a split it was not fitted on, set by set.

Every function here takes rows to fit on and rows to judge, and of the latter reads nothing but
prompt, draft, and the answers of models it is said to call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.quality_sets import Row, Sets, column, names_of, prompts, strong_share, tasks
from router.confidence.arrays import FloatArray
from router.confidence.fitting import Fitted, Recipe, fit
from router.confidence.gain import expected_gain
from router.confidence.trees import Growth

BASE = Recipe(growth=Growth(trees=250, rate=0.04))
SMALL = Recipe(growth=Growth(trees=80), ridge=20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of each judged row: P(draft good), and the score it is escalated by."""

    good: FloatArray
    escalate: FloatArray


def pair(
    sets: Sets, train: list[Row], judged: list[Row], *kinds: str, recipe: Recipe = BASE
) -> Scores:
    """A device draft and a stronger tier: P(good), and the gain expected of escalating."""
    good = _fit(sets, train, kinds, column(train, "weak_correct"), recipe)
    wrong = [row for row in train if not row["weak_correct"]]
    right = [row for row in train if row["weak_correct"]]
    label = np.array([strong_share(row) for row in wrong])
    rescue = _fit(sets, wrong, kinds, label, recipe)
    slips = 1 - column(right, "strong_correct")
    rows = sets.rows(judged, *kinds)
    chance = good.estimator.probabilities(rows, tasks(judged))
    saved = rescue.estimator.probabilities(rows, tasks(judged))
    slip = np.full(len(judged), float(slips.mean()))
    return Scores(good=chance, escalate=expected_gain(chance, saved, slip))


def _fit(
    sets: Sets, rows: list[Row], kinds: tuple[str, ...], label: FloatArray, recipe: Recipe
) -> Fitted:
    return fit(
        sets.rows(rows, *kinds), names_of(*kinds), label, tasks(rows), prompts(rows), recipe
    )


def inside(
    rows: list[Row], judge: Callable[[list[Row], list[Row]], Scores], fold: FloatArray
) -> Scores:
    """The same within one split: each fold judged by a fit on the others."""
    good, escalate = np.zeros(len(rows)), np.zeros(len(rows))
    for part in np.unique(fold):
        out = fold == part
        told = judge(
            [row for row, held in zip(rows, out, strict=True) if not held],
            [row for row, held in zip(rows, out, strict=True) if held],
        )
        good[out], escalate[out] = told.good, told.escalate
    return Scores(good=good, escalate=escalate)
