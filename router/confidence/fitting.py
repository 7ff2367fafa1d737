"""Labelled answers to an `Estimator`: readings, blend and offsets, each on rows it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .arrays import FloatArray, IntArray, chance, folds_of
from .estimator import WORDS, Blend, Estimator, with_buckets
from .logistic import fit_line, newton
from .trees import Growth, grow
from .words import Words, fit_words, hashed

_SHRINK = 4.0
"""A bucket's offset is held to zero as if by so many rows' worth of curvature."""
_UNMEASURED = 1.5
"""Spread between tasks, in log-odds, where fewer than two tasks leave it unmeasured."""
_GROUPS = 6
_TELLS = 0.5
"""A signal with more of its variance between tasks than this is not read for unknown tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an estimator is fitted.

    Attributes:
        growth: Of the trees. None: the line alone.
        ridge: Of the line.
        folds: Rows are parted into so many, by their keys, for the readings of unseen rows.
        words: Places that a prompt's words are hashed into. 0: words are not read.
        pairs: Whether pairs of words are read too.
        words_ridge: Of the words.
    """

    growth: Growth | None = field(default_factory=Growth)
    ridge: float = 50.0
    folds: int = 5
    words: int = 0
    pairs: bool = False
    words_ridge: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """An estimator, and what the same recipe says of the fit's own rows when they are left out.

    Attributes:
        crossed: Shape (n,): P(good) of each row by readings that never saw its fold.
    """

    estimator: Estimator
    crossed: FloatArray


def fit(
    rows: FloatArray,
    names: Sequence[str],
    target: FloatArray,
    buckets: Sequence[str],
    keys: Sequence[str],
    recipe: Recipe,
    *,
    weight: FloatArray | None = None,
) -> Fitted:
    """Fit an estimator.

    Args:
        rows: Shape (n, n_names); NaN is unknown.
        target: Shape (n,), in 0 to 1: whether, or how far, each answer was good.
        buckets: Each row's task.
        keys: Each row's prompt: rows with one prompt stay in one fold, and its words are read.
        weight: Shape (n,). None: all alike.
    """
    load = np.ones(len(rows)) if weight is None else weight
    fold = folds_of(list(keys), recipe.folds)
    words: Words | None = None
    if recipe.words:
        words, prior = _words(list(keys), target, fold, recipe)
        rows, names = np.column_stack([rows, prior]), (*names, WORDS)
    tasks = tuple(sorted(set(buckets)))
    place = np.array([tasks.index(bucket) for bucket in buckets], dtype=np.int64)
    wide = with_buckets(rows, place, len(tasks))
    unseen = _crossed(wide, target, fold, recipe, load)
    own = with_buckets(np.zeros((len(rows), 0)), place, len(tasks))
    base, slope, offset = _blend(unseen, own, target, load)
    known = _both(wide, target, recipe, load, base, slope)
    logit = base + unseen @ slope + offset[place]
    crossed = chance(logit)
    curve = own.T @ (load * crossed * (1 - crossed))
    general, spread = _general(rows, target, place, len(tasks), recipe, load)
    estimator = Estimator(
        names=tuple(names),
        buckets=tasks,
        known=known,
        offset=offset,
        doubt=1 / np.sqrt(curve + _SHRINK),
        general=general,
        spread=spread,
        words=words,
    )
    return Fitted(estimator=estimator, crossed=crossed)


def _both(
    rows: FloatArray,
    target: FloatArray,
    recipe: Recipe,
    load: FloatArray,
    base: float = 0.0,
    slope: FloatArray | None = None,
) -> Blend:
    return Blend(
        forest=None if recipe.growth is None else grow(rows, target, recipe.growth, load),
        line=fit_line(rows, target, recipe.ridge, load),
        slope=np.array([0.5, 0.5]) if slope is None else slope,
        base=base,
    )


def _crossed(
    rows: FloatArray, target: FloatArray, fold: IntArray, recipe: Recipe, load: FloatArray
) -> FloatArray:
    """Both readings of each row, by a fit that left its fold out. Shape (n, 2)."""
    found = np.zeros((len(rows), 2))
    for part in np.unique(fold):
        out = fold == part
        found[out] = _both(rows[~out], target[~out], recipe, load[~out]).readings(rows[out])
    return found


def _blend(
    unseen: FloatArray, own: FloatArray, target: FloatArray, load: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Base, slopes (never below zero) and shrunk offsets: Platt's scaling of two readings at once.

    Source: Platt 1999; stacking by Wolpert, Neural Networks 5, 1992.
    """
    root = np.sqrt(_SHRINK)
    both = np.column_stack([unseen, own / root])
    base, slope = newton(both, target, 1.0, load)
    if slope[:2].min() < 0:
        better = int(slope[1] > slope[0])
        single = np.column_stack([unseen[:, better], own / root])
        base, alone = newton(single, target, 1.0, load)
        slope = np.r_[alone[0] * (better == 0), alone[0] * (better == 1), alone[1:]]
    return base, slope[:2], slope[2:] / root


def _general(
    rows: FloatArray,
    target: FloatArray,
    place: IntArray,
    tasks: int,
    recipe: Recipe,
    load: FloatArray,
) -> tuple[Blend, float]:
    """Readings for unknown tasks, blended on tasks that were left out, and the spread they leave.

    A line alone: where a new task lies outside what was seen, it errs less wildly than trees.
    """
    recipe = replace(recipe, growth=None)
    if tasks < 2:
        return _both(rows, target, recipe, load), _UNMEASURED
    rows = _telling_no_task(rows, place, tasks)
    group = place % min(_GROUPS, tasks)
    unseen = _crossed(rows, target, group, recipe, load)
    own = with_buckets(np.zeros((len(rows), 0)), place, tasks)
    base, slope, offset = _blend(unseen, own, target, load)
    spread = float(np.sqrt(np.mean(offset**2) + 1 / (tasks + 1)))
    return _both(rows, target, recipe, load, base, slope), spread


def _telling_no_task(rows: FloatArray, place: IntArray, tasks: int) -> FloatArray:
    """Rows with those signals unknown that differ more between tasks than within them.

    What such a signal has to do with being right can't be told from what its tasks have to do with
    it, and on a task nobody has labelled it would speak of a value it never had before.
    """
    known = ~np.isnan(rows)
    counted = np.array([known[place == task].sum(axis=0) for task in range(tasks)])
    here = np.array([(place == task).sum() for task in range(tasks)])
    filled = np.where(known, rows, 0.0)
    total = np.maximum(known.sum(axis=0), 1)
    centre = filled.sum(axis=0) / total
    sums = np.array([filled[place == task].sum(axis=0) for task in range(tasks)])
    means = sums / np.maximum(counted, 1)
    between = (counted * (means - centre) ** 2).sum(axis=0)
    whole = (np.where(known, rows - centre, 0.0) ** 2).sum(axis=0)
    sparse = (counted < here[:, None] / 2).any(axis=0)
    return np.where(sparse | (between > _TELLS * whole), np.nan, rows)


def _words(
    keys: list[str], target: FloatArray, fold: IntArray, recipe: Recipe
) -> tuple[Words, FloatArray]:
    """The words' reading, and what it says of each row when fitted without its fold."""
    seen = hashed(keys, recipe.words, recipe.pairs)
    prior = np.zeros(len(keys))
    for part in np.unique(fold):
        out = fold == part
        some = fit_words(seen[~out], target[~out], recipe.words_ridge, recipe.pairs)
        prior[out] = some.base + seen[out] @ some.weight
    return fit_words(seen, target, recipe.words_ridge, recipe.pairs), prior
