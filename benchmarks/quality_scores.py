"""What the shipped estimator says of each row of a split it was not fitted on, set by set.

Every function here takes rows to fit on and rows to judge, and of the latter reads nothing but
prompt, draft, and the answers of models it is said to call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from quality_sets import (
    Row,
    Sets,
    column,
    names_of,
    prompts,
    strong_share,
    tasks,
)

from router.confidence.arrays import FloatArray, IntArray, chance
from router.confidence.fitting import Fitted, Recipe, fit
from router.confidence.gain import expected_gain
from router.confidence.logistic import fit_line
from router.confidence.shift import settle
from router.confidence.trees import Growth, grow
from router.confidence.words import fit_words, hashed

BASE = Recipe(growth=Growth(trees=200, rate=0.05))
LINE = Recipe(growth=None)
WORDY = replace(BASE, words=2048, words_ridge=30.0)
FEW = Recipe(growth=Growth(trees=80), ridge=20.0)
SCORES = Recipe(growth=Growth(trees=200, rate=0.1, share=0.6))
BESIDE = 0.5
"""What another pair's rows, words and gain alike, are multiplied by in `prompt_only`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of each judged row: P(draft good), and the score it is escalated by."""

    good: FloatArray
    escalate: FloatArray


def judged_by(
    sets: Sets, fitted: Fitted, rows: list[Row], *kinds: str, bucket: str | None = ""
) -> FloatArray:
    """P(good) of rows. `bucket` None: as of a task that is not known; else each row's own."""
    made = fitted.estimator.with_words(sets.rows(rows, *kinds), prompts(rows))
    return fitted.estimator.probabilities(
        made, tasks(rows) if bucket is not None else [None] * len(rows)
    )


def fitted_on(
    sets: Sets, rows: list[Row], kinds: tuple[str, ...], label: FloatArray, recipe: Recipe
) -> Fitted:
    return fit(sets.rows(rows, *kinds), names_of(*kinds), label, tasks(rows), prompts(rows), recipe)


def pair(
    sets: Sets,
    train: list[Row],
    judged: list[Row],
    *kinds: str,
    recipe: Recipe = BASE,
    by_gain: bool = True,
) -> Scores:
    """A device draft and a stronger tier: P(good), and the gain expected of escalating.

    Args:
        by_gain: False: escalate by doubt alone, where cross-fitting inside train showed the
            strong tier's chances too noisy to help.
    """
    good = fitted_on(sets, train, kinds, column(train, "weak_correct"), recipe)
    told = judged_by(sets, good, judged, *kinds)
    if not by_gain:
        return Scores(good=told, escalate=1 - told)
    wrong = [row for row in train if not row["weak_correct"]]
    right = [row for row in train if row["weak_correct"]]
    label = np.array([strong_share(row) for row in wrong])
    rescue = fitted_on(sets, wrong, kinds, label, recipe)
    slips = 1 - column(right, "strong_correct")
    saved = judged_by(sets, rescue, judged, *kinds)
    slip = np.full(len(judged), float(slips.mean()))
    return Scores(good=told, escalate=expected_gain(told, saved, slip))


def prompt_only(
    sets: Sets, train: list[Row], judged: list[Row], beside: Sequence[Row] = ()
) -> FloatArray:
    """Before any model runs: the strong tier's gain, from the prompt. Rows of one task.

    The prompt's words, and by half as much each a line and trees over its shape; the shares were
    found by crossing inside train.

    Args:
        beside: Labelled rows of another pair of models on the same kind of question: their words
            count too, at a quarter of an own row's squared error. One whose prompt is judged is
            left out.
    """
    gain, asked_now = _gain(train), set(prompts(judged))
    others = [row for row in beside if row["prompt"] not in asked_now]
    seen = hashed(prompts(train), 2048, False)
    more = hashed(prompts(others), 2048, False) * np.float32(BESIDE)
    labels = np.r_[gain, BESIDE * _gain(others)]
    words = fit_words(np.vstack([seen, more]), labels, 30.0, False)
    asked, rows = sets.rows(train, "asked"), sets.rows(judged, "asked")
    line = fit_line(asked, (gain + 1) / 2, 100.0)
    trees = grow(asked, (gain + 1) / 2, Growth(trees=40))
    formed = (2 * chance(line.logit(rows)) - 1) + (2 * chance(trees.logit(rows)) - 1)
    return words.read(prompts(judged)) + 0.5 * formed


def _gain(rows: list[Row]) -> FloatArray:
    return column(rows, "strong_correct") - column(rows, "weak_correct")


def from_options(sets: Sets, train: list[Row], judged: list[Row]) -> Scores:
    """From the logits of the options alone."""
    fitted = fitted_on(sets, train, ("options",), column(train, "weak_agrees"), SCORES)
    good = judged_by(sets, fitted, judged, "options")
    return Scores(good=good, escalate=1 - good)


def from_samples(sets: Sets, train: list[Row], judged: list[Row], recipe: Recipe = FEW) -> Scores:
    """From ten samples of the device, the first of which is the draft.

    Fitted to the share of the samples that were right: ten noisy labels a row, not one.
    """
    label = np.array([float(np.mean(row["weak_samples_correct"])) for row in train])
    label = (label + column(train, "weak_correct")) / 2
    fitted = fitted_on(sets, train, ("samples",), label, recipe)
    good = judged_by(sets, fitted, judged, "samples")
    return Scores(good=good, escalate=1 - good)


def unseen_task(sets: Sets, train: list[Row], judged: list[Row], recipe: Recipe = LINE) -> Scores:
    """Judged as a task that no label was ever seen of, with its own drafts unlabelled beside it.

    Args:
        train: Labelled rows of other tasks.
        judged: All of one task.
    """
    label = column(train, "weak_correct")
    fitted = fitted_on(sets, train, ("draft",), label, recipe)
    seen = judged_by(sets, fitted, judged, "draft", bucket=None)
    good = settle(seen, float(label.mean()))
    return Scores(good=good, escalate=1 - good)


def same_question(
    sets: Sets, train: list[Row], english: list[Row], translated: list[Row]
) -> tuple[FloatArray, FloatArray]:
    """The pair's gain for English questions, and for translations of them.

    No drafts in other languages are recorded, so each translation is judged with the draft of its
    English original: what changes is the prompt alone.

    Args:
        english: Rows of the pair: the originals, with drafts.
        translated: For each of them a row with another prompt, in the same order.
    """
    swapped = [
        row | {"prompt": other["prompt"], "lang": other["lang"], "id": other["id"]}
        for row, other in zip(english, translated, strict=True)
    ]
    told = pair(sets, train, english + swapped, "draft")
    return told.escalate[: len(english)], told.escalate[len(english) :]


def inside(
    rows: list[Row], judge: Callable[[list[Row], list[Row]], Scores], fold: IntArray
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
