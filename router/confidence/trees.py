"""Small boosted trees as plain arrays: fitted with numpy, read in microseconds.

Every tree is complete and three questions deep, so a forest is four rectangular arrays and reading
it is three look-ups for all trees at once. A value that is unknown (NaN) goes the way most of the
known ones went.

Source of the fit: second-order gradient boosting of the logistic loss over binned values
(Chen & Guestrin, KDD 2016, arXiv 1603.02754, equations 6 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import BoolArray, FloatArray, IntArray, chance

DEPTH = 3
_INNER = 2**DEPTH - 1
_LEAVES = 2**DEPTH
_BINS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a forest is grown.

    Attributes:
        trees: How many.
        rate: Share of each tree's advice that is taken.
        ridge: Added to the curvature of every leaf: few rows move it little.
        leaf: Least curvature (rows times p(1-p)) on either side of a question.
        share: Share of the features a tree may ask about, drawn anew for each.
        seed: Of that draw; the same rows and seed give the same forest.
    """

    trees: int = 150
    rate: float = 0.05
    ridge: float = 5.0
    leaf: float = 2.0
    share: float = 0.3
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Boosted trees. Add `base` and one leaf of each tree: log-odds.

    Attributes:
        base: Log-odds before any question.
        feature: Shape (n_trees, 7): the column each inner node asks about.
        cut: Same shape: a value of at most this goes left. Infinite: all go left.
        unknown_right: Same shape: whether an unknown value goes right.
        leaf: Shape (n_trees, 8): what is added.
    """

    base: float
    feature: IntArray
    cut: FloatArray
    unknown_right: BoolArray
    leaf: FloatArray

    def logit(self, rows: FloatArray) -> FloatArray:
        """Log-odds of each row. Shape (n, n_features) to (n,)."""
        every = np.arange(len(self.feature))
        place = np.zeros((len(rows), len(every)), dtype=np.int64)
        for _ in range(DEPTH):
            asked = np.take_along_axis(rows, self.feature[every, place], axis=1)
            right = np.where(
                np.isnan(asked), self.unknown_right[every, place], asked > self.cut[every, place]
            )
            place = 2 * place + 1 + right
        found: FloatArray = self.base + self.leaf[every, place - _INNER].sum(axis=1)
        return found


def grow(
    rows: FloatArray, target: FloatArray, growth: Growth, weight: FloatArray | None = None
) -> Forest:
    """Fit a forest to targets in 0 to 1 (a share of right answers is a target too).

    Args:
        rows: Shape (n, n_features); NaN is unknown.
        target: Shape (n,).
        weight: Shape (n,), mean about 1. None: all alike.
    """
    n, width = rows.shape
    load = np.ones(n) if weight is None else weight
    cuts = _cuts(rows)
    binned = _binned(rows, cuts)
    draw = np.random.default_rng(growth.seed)
    mean = float(np.clip(np.average(target, weights=load), 1e-3, 1 - 1e-3))
    base = float(np.log(mean / (1 - mean)))
    score = np.full(n, base)
    kept = max(1, round(growth.share * width))
    forest = Forest(
        base=base,
        feature=np.zeros((growth.trees, _INNER), dtype=np.int64),
        cut=np.full((growth.trees, _INNER), np.inf),
        unknown_right=np.zeros((growth.trees, _INNER), dtype=np.bool_),
        leaf=np.zeros((growth.trees, _LEAVES)),
    )
    for tree in range(growth.trees):
        now = chance(score)
        slope = (target - now) * load
        curve = np.maximum(now * (1 - now), 1e-6) * load
        columns = np.sort(draw.permutation(width)[:kept])
        place = np.zeros(n, dtype=np.int64)
        for depth in range(DEPTH):
            place = _split(forest, tree, depth, place, columns, cuts, binned, slope, curve, growth)
        top = np.bincount(place, weights=slope, minlength=_LEAVES)
        under = np.bincount(place, weights=curve, minlength=_LEAVES) + growth.ridge
        forest.leaf[tree] = growth.rate * top / under
        score += forest.leaf[tree, place]
    return forest


def _cuts(rows: FloatArray) -> list[FloatArray]:
    """For each feature the values between which it may be cut: at most 31, ascending."""
    found = []
    for column in rows.T:
        known = column[np.isfinite(column)]
        if not len(known):
            found.append(np.zeros(0))
            continue
        different = np.unique(known)
        if len(different) <= _BINS - 1:
            found.append((different[:-1] + different[1:]) / 2)
        else:
            found.append(np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])))
    return found


def _binned(rows: FloatArray, cuts: list[FloatArray]) -> IntArray:
    """Which bin each value lies in; the last bin, `_BINS`, is for the unknown."""
    binned = np.empty(rows.shape, dtype=np.int64)
    for place, among in enumerate(cuts):
        binned[:, place] = np.searchsorted(among, rows[:, place], side="left")
        binned[np.isnan(rows[:, place]), place] = _BINS
    return binned


def _split(
    forest: Forest,
    tree: int,
    depth: int,
    place: IntArray,
    columns: IntArray,
    cuts: list[FloatArray],
    binned: IntArray,
    slope: FloatArray,
    curve: FloatArray,
    growth: Growth,
) -> IntArray:
    """Ask the best question in each node of one level; where each row stands after it."""
    nodes, width, cells = 2**depth, len(columns), _BINS + 1
    key = ((place[:, None] * width + np.arange(width)) * cells + binned[:, columns]).ravel()
    shape = (nodes, width, cells)
    size = nodes * width * cells
    top = np.bincount(key, np.repeat(slope, width), size).reshape(shape)
    under = np.bincount(key, np.repeat(curve, width), size).reshape(shape)
    left_top, left_under = top[..., :-1].cumsum(-1), under[..., :-1].cumsum(-1)
    to_right = left_under < left_under[..., -1:] / 2
    left_top = left_top + np.where(to_right, 0.0, top[..., -1:])
    left_under = left_under + np.where(to_right, 0.0, under[..., -1:])
    all_top, all_under = top.sum(-1, keepdims=True), under.sum(-1, keepdims=True)
    right_top, right_under = all_top - left_top, all_under - left_under
    gain = (
        left_top**2 / (left_under + growth.ridge)
        + right_top**2 / (right_under + growth.ridge)
        - all_top**2 / (all_under + growth.ridge)
    )
    gain[(left_under < growth.leaf) | (right_under < growth.leaf)] = 0.0
    best = gain.reshape(nodes, -1).argmax(axis=1)
    column, cell = np.divmod(best, _BINS)
    went_right = np.zeros(len(place), dtype=np.bool_)
    for node in range(nodes):
        at, feature = nodes - 1 + node, int(columns[column[node]])
        if gain[node, column[node], cell[node]] <= 1e-12 or cell[node] >= len(cuts[feature]):
            continue
        forest.feature[tree, at] = feature
        forest.cut[tree, at] = cuts[feature][cell[node]]
        forest.unknown_right[tree, at] = to_right[node, column[node], cell[node]]
        here = place == node
        values = binned[here, feature]
        unknown = values == _BINS
        went_right[here] = np.where(unknown, forest.unknown_right[tree, at], values > cell[node])
    return 2 * place + went_right
