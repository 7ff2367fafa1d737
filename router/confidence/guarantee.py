"""A bar that keeps a promise: at most so much loss, with so much confidence, or no bar at all.

Learn-then-test (Angelopoulos et al., arXiv 2110.01052) by fixed-sequence testing: bars are tried
from the strictest down, each by an exact binomial test on labels that the fit never saw, and the
last that passes before the first that fails is certified. The order is fixed before any label is
seen, so nothing is paid for trying many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .arrays import FloatArray
from .spending import sure

Per = Literal["all", "kept"]
_STEPS = 200
_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is to hold.

    Attributes:
        loss: Greatest share of losses. A loss is a draft that was kept where it was wrong and the
            stronger tier right.
        confidence: Chance, over calibration sets, that a certified bar keeps to it.
        per: Share of all requests, or of those that are kept.
    """

    loss: float
    confidence: float = 0.9
    per: Per = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A bar that passed.

    Attributes:
        bar: Keep a draft whose confidence is at least this.
        kept: Share of the calibration rows it keeps.
        loss: Share of losses it had there; `most_loss` the exact upper bound at the promise's
            confidence.
        labels: Calibration rows.
    """

    bar: float
    kept: float
    loss: float
    most_loss: float
    labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why nothing can be certified.

    Attributes:
        reason: In a sentence.
        labels: Rows there were.
        more_labels: How many more would do if what was seen goes on like this. None: more of the
            same would not, since the loss seen is itself above the promise.
    """

    reason: str
    labels: int
    more_labels: int | None


def certify(
    confidence: FloatArray,
    loss: FloatArray,
    promise: Promise,
    *,
    least_kept: float = 0.05,
    again: float | None = None,
) -> Certificate | Refused:
    """The lowest bar that passes, or why none does.

    Args:
        confidence: Of each calibration draft, by an estimator fitted on other rows. Minus infinity:
            no bar keeps it.
        loss: Shape (n,), 0 or 1: whether keeping this draft would be a loss.
        least_kept: The first bar tried keeps this share; one that keeps less is no use.
        again: Confidence that the next test will be held to, for how many more labels would do.
            None: the same.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, lost = confidence[order], np.cumsum(loss[order])
    ends = np.flatnonzero(np.r_[ranked[1:] < ranked[:-1], True]) if len(ranked) else np.zeros(0)
    shares = np.linspace(least_kept, 1.0, _STEPS)
    passed: tuple[int, int, int] | None = None
    total = len(ranked)
    for share in shares:
        reach = np.searchsorted(ends, math.ceil(share * total) - 1)
        if reach >= len(ends):
            break
        at = int(ends[reach])
        if not math.isfinite(ranked[at]):
            break
        losses, kept = round(float(lost[at])), at + 1
        trials = total if promise.per == "all" else kept
        if at_most(losses, trials, promise.loss) > 1 - promise.confidence:
            break
        passed = (at, losses, trials)
    if passed is None:
        return _refusal(lost, total, promise, least_kept, again)
    at, losses, trials = passed
    return Certificate(
        bar=float(ranked[at]),
        kept=(at + 1) / total,
        loss=losses / trials,
        most_loss=upper_bound(losses, trials, promise.confidence),
        labels=total,
    )


def upper_bound(losses: int, trials: int, confidence: float) -> float:
    """Greatest loss rate under which so few losses are not yet a surprise.

    Source: Clopper & Pearson, Biometrika 26, 1934; one-sided, by bisection.
    """
    if losses >= trials:
        return 1.0
    low, high = losses / trials, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if at_most(losses, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(losses: int, trials: int, rate: float) -> float:
    """Chance of at most so many losses in so many trials at a loss rate (exact binomial)."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return float(losses >= trials)
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        for k in range(losses + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def labels_needed(rate: float, promise: Promise) -> int | None:
    """Fewest labels that could certify if losses go on at this rate. None: no number would."""
    if rate >= promise.loss:
        return None
    low, high = 1, 1
    while not _would_do(rate, high, promise):
        if high >= _MOST:
            return None
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if _would_do(rate, middle, promise):
            high = middle
        else:
            low = middle + 1
    return high


def _would_do(rate: float, trials: int, promise: Promise) -> bool:
    losses = math.ceil(rate * trials)
    return losses < trials and at_most(losses, trials, promise.loss) <= 1 - promise.confidence


def _refusal(
    lost: FloatArray, total: int, promise: Promise, least_kept: float, again: float | None
) -> Refused:
    later = promise if again is None else replace(promise, confidence=again)
    if not total:
        return Refused(
            reason="There are no labelled drafts.",
            labels=0,
            more_labels=labels_needed(0.0, later),
        )
    kept = max(1, math.ceil(least_kept * total))
    losses = round(float(lost[kept - 1]))
    trials = total if promise.per == "all" else kept
    needed = labels_needed(losses / trials, later)
    scale = total / trials
    more = None if needed is None else max(1, math.ceil(needed * scale) - total)
    return Refused(
        reason=(
            f"The strictest bar keeps {kept} of {total} labelled drafts and loses {losses}; a loss "
            f"of at most {promise.loss:.3g} can't be told from that with confidence "
            f"{sure(promise.confidence)}."
        ),
        labels=total,
        more_labels=more,
    )
