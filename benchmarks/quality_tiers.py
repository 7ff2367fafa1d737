"""Three tiers on recorded answers: keep the draft, ask the cheap cloud, or go on to the strong one.

The walk sees what a router would: the draft; after the cheap tier was asked, that tier's answer and
length too. Costs are the recorded ones; before a call only their estimate from the prompt is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from quality_sets import (
    Row,
    Sets,
    answer_of,
    column,
    names_of,
    prompts,
    small_votes,
    strong_share,
    tasks,
)

from router.confidence.agreement import vote_features
from router.confidence.arrays import FloatArray
from router.confidence.estimator import to_rows
from router.confidence.fitting import Fitted, Recipe, fit
from router.confidence.measures import static_mixture
from router.confidence.trees import Growth

CHEAP = "gpt-4o-mini-2024-07-18"
RECIPE = Recipe(growth=Growth(trees=120))
WORTH = np.geomspace(1e-5, 3.0, 160)
"""What a right answer is worth, in dollars: the one dial of the walk, swept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Of each row, P(right) of draft, cheap and strong before and after the cheap tier was asked;
    before it, P(right) in the end if it is asked, and P(the strong one is then asked too); and what
    a call is expected to cost."""

    first: FloatArray
    ends: FloatArray
    goes_on: FloatArray
    second: FloatArray
    cheap_usd: FloatArray
    strong_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What truly came of it. Shapes (n, 3): draft, cheap, strong; the draft costs nothing."""

    right: FloatArray
    usd: FloatArray

    def some(self, rows: np.ndarray) -> Record:
        return Record(right=self.right[rows], usd=self.usd[rows])


def record(rows: list[Row]) -> Record:
    cheap = [row["peers"][CHEAP] for row in rows]
    zero = np.zeros(len(rows))
    return Record(
        right=np.column_stack(
            [
                column(rows, "weak_correct"),
                [float(said["correct"]) for said in cheap],
                column(rows, "strong_correct"),
            ]
        ),
        usd=np.column_stack([zero, [said["cost"] for said in cheap], column(rows, "strong_cost")]),
    )


class Walk:
    """Beliefs fitted on labelled rows; the dial's setting is chosen on the same, by crossing.

    Args:
        votes: Whether small models on the device may be asked too, at no dollar cost.
    """

    def __init__(
        self, sets: Sets, train: list[Row], *, votes: bool, recipe: Recipe = RECIPE
    ) -> None:
        self._sets, self._recipe = sets, recipe
        self._kinds = ("draft", "votes") if votes else ("draft",)
        self._votes = votes
        truth = record(train)
        one, two = self._rows(train)
        labels = [truth.right[:, 0], truth.right[:, 1], np.array([strong_share(r) for r in train])]
        self._first = [self._fit(one, train, label) for label in labels]
        self._second = [self._fit(two, train, label) for label in labels]
        second = np.column_stack([fitted.crossed for fitted in self._second])
        self._prices = [self._price(train, truth.usd[:, tier]) for tier in (1, 2)]
        believed = Beliefs(
            first=np.column_stack([fitted.crossed for fitted in self._first]),
            ends=second[:, :2].max(axis=1),
            goes_on=np.zeros(len(train)),
            second=second,
            cheap_usd=self._usd(train, 0),
            strong_usd=self._usd(train, 1),
        )
        wanted = 0.95 * float(truth.right[:, 2].mean())
        _, self.worth = cost_at(believed, truth, wanted)
        on, right = asked(believed, truth, self.worth)
        self._ends, self._goes_on = self._fit(one, train, right), self._fit(one, train, on)
        believed = replace(believed, ends=self._ends.crossed, goes_on=self._goes_on.crossed)
        _, self.worth = cost_at(believed, truth, wanted)

    def believe(self, rows: list[Row]) -> Beliefs:
        """Beliefs about rows the fit never saw."""
        one, two = self._rows(rows)
        kinds = tasks(rows)
        return Beliefs(
            first=np.column_stack(
                [fitted.estimator.probabilities(one, kinds) for fitted in self._first]
            ),
            ends=self._ends.estimator.probabilities(one, kinds),
            goes_on=self._goes_on.estimator.probabilities(one, kinds),
            second=np.column_stack(
                [fitted.estimator.probabilities(two, kinds) for fitted in self._second]
            ),
            cheap_usd=self._usd(rows, 0),
            strong_usd=self._usd(rows, 1),
        )

    def _rows(self, rows: list[Row]) -> tuple[FloatArray, FloatArray]:
        one = self._sets.rows(rows, *self._kinds)
        after = [self._after(row) for row in rows]
        return one, np.hstack([one, to_rows(after, sorted(after[0]))])

    def _after(self, row: Row) -> Mapping[str, float]:
        """What the cheap tier's answer says beside the draft's, and beside the votes."""
        said = row["peers"][CHEAP]
        cheap = None if said["answer"] is None else str(said["answer"])
        others = small_votes(row) if self._votes else {}
        beside = vote_features(answer_of(row), others | {CHEAP: cheap})
        own = vote_features(cheap, others | {"draft": answer_of(row)})
        found = {f"both.{name}": value for name, value in beside.items()}
        found |= {f"cheap.{name}": value for name, value in own.items()}
        draft, other = answer_of(row), vote_features(answer_of(row), {CHEAP: cheap})
        return found | {
            "cheap.agrees": other["votes.agree"] if draft else math.nan,
            "cheap.silent": float(cheap is None),
            "cheap.tokens": math.log1p(said["tokens"]),
        }

    def _fit(self, rows: FloatArray, train: list[Row], label: FloatArray) -> Fitted:
        names = [f"{place}" for place in range(rows.shape[1])]
        return fit(rows, names, label, tasks(train), prompts(train), self._recipe)

    def _price(self, train: list[Row], usd: FloatArray) -> FloatArray:
        found: FloatArray = np.linalg.lstsq(self._sizes(train), np.log(usd), rcond=None)[0]
        return found

    def _usd(self, rows: list[Row], tier: int) -> FloatArray:
        return np.exp(self._sizes(rows) @ self._prices[tier])

    def _sizes(self, rows: list[Row]) -> FloatArray:
        names = names_of("draft")
        made = self._sets.rows(rows, "draft")
        sizes = [made[:, names.index(name)] for name in ("asked.length", "draft.length")]
        code = np.isnan(made[:, names.index("asked.code_length")]).astype(np.float64)
        latex = made[:, names.index("asked.latex")]
        return np.column_stack([np.ones(len(rows)), *sizes, code, latex])


def asked(believed: Beliefs, truth: Record, worth: float) -> tuple[FloatArray, FloatArray]:
    """Once the cheap tier has answered: whether the strong one is asked too, and quality then."""
    two = believed.second
    on = worth * (two[:, 2] - np.maximum(two[:, 0], two[:, 1])) > believed.strong_usd
    settled = np.where(two[:, 1] >= two[:, 0], truth.right[:, 1], truth.right[:, 0])
    return on.astype(np.float64), np.where(on, truth.right[:, 2], settled)


def walked(believed: Beliefs, truth: Record, worth: float) -> FloatArray:
    """Quality and dollars of each row when an answer is worth so much. Shape (n, 2)."""
    keep = worth * believed.first[:, 0]
    ask = worth * believed.ends - believed.cheap_usd - believed.goes_on * believed.strong_usd
    jump = worth * believed.first[:, 2] - believed.strong_usd
    on, then = asked(believed, truth, worth)
    kept, asks = (keep >= ask) & (keep >= jump), ask >= jump
    right = np.where(kept, truth.right[:, 0], np.where(asks, then, truth.right[:, 2]))
    usd = np.where(asks, truth.usd[:, 1] + on * truth.usd[:, 2], truth.usd[:, 2])
    return np.column_stack([right, np.where(kept, 0.0, usd)])


def swept(believed: Beliefs, truth: Record) -> FloatArray:
    """Every dial setting's `walked`. Shape (n_settings, n, 2)."""
    return np.stack([walked(believed, truth, worth) for worth in WORTH])


def cost_at(believed: Beliefs, truth: Record, wanted: float) -> tuple[float, float]:
    """Least share of always-strong's dollars that reaches a quality, and the dial it took."""
    means = swept(believed, truth).mean(axis=1)
    return least(means[:, 1] / truth.usd[:, 2].mean(), means[:, 0], wanted)


def least(spend: FloatArray, quality: FloatArray, wanted: float) -> tuple[float, float]:
    """Cheapest setting, or mix of two neighbours, that reaches a quality; the upper one's dial."""
    best, dial = math.inf, float(WORTH[-1])
    for at in range(len(WORTH)):
        if quality[at] < wanted:
            continue
        found = float(spend[at])
        if at and quality[at - 1] < wanted:
            part = (wanted - quality[at - 1]) / (quality[at] - quality[at - 1])
            found = float(spend[at - 1] + part * (spend[at] - spend[at - 1]))
        if found < best:
            best, dial = found, float(WORTH[at])
    return best, dial


def blind_mix(truth: Record, wanted: float) -> float:
    """The cheapest blind mix of two of the tiers, as a share of always-strong's dollars."""
    usd, right = truth.usd.mean(axis=0), truth.right.mean(axis=0)
    return static_mixture(list(usd), list(right), wanted) / float(usd[2])
