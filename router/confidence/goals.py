"""What a user may want of a bar beside a bound on its loss: a spend, or a share of quality.

Both become promises that are tested exactly. A spend looks at confidences only, so it needs no
label. A share of the strong tier's quality becomes a bound on the loss, since

    quality of the mix  >=  quality of the strong tier - loss,

which is careful: what the device gets right and the strong tier wrong is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import FloatArray
from .guarantee import Certificate, Promise, Refused, at_most, certify, labels_needed, upper_bound


def within_spend(
    confidence: FloatArray,
    loss: FloatArray,
    share: float,
    sure: float,
    again: float | None = None,
) -> Certificate | Refused:
    """The highest bar that escalates at most a share of requests, with so much certainty.

    Bars are tried from the one that keeps all upwards, each by an exact binomial test.

    Args:
        confidence: Of each calibration draft. Minus infinity: escalated whatever the bar.
        loss: Shape (n,), 0 or 1; said of the bar found, not part of the promise.
        share: Of all requests, 0 to 1.
        sure: Chance that the promise holds, over calibration sets.
        again: The same of the next test, for how many more labels would do. None: the same.
    """
    ranked = np.sort(confidence)
    total = len(ranked)
    passed: float | None = None
    for bar in np.unique(ranked[np.isfinite(ranked)]):
        escalated = int(np.searchsorted(ranked, bar))
        if at_most(escalated, total, share) > 1 - sure:
            break
        passed = float(bar)
    if passed is None:
        needed = labels_needed(0.0, Promise(loss=share, confidence=again or sure))
        return Refused(
            reason=f"From {total} drafts a share of at most {share:.3g} can't be told.",
            labels=total,
            more_labels=None if needed is None else max(1, needed - total),
        )
    stays = confidence >= passed
    losses = int(loss[stays].sum())
    return Certificate(
        bar=passed,
        kept=float(stays.mean()),
        loss=losses / total,
        most_loss=upper_bound(losses, total, sure),
        labels=total,
    )


def of_quality(
    confidence: FloatArray,
    loss: FloatArray,
    strong: FloatArray,
    share: float,
    sure: float,
    again: float | None = None,
) -> tuple[Certificate | Refused, float]:
    """The lowest bar under which the mix has a share of the strong tier's quality.

    Half of the doubt goes into how good the strong tier is at least, half into the loss.

    Args:
        strong: Shape (n,): whether the strong tier is right.
        share: Of its quality, 0 to 1.
        again: As for `within_spend`.

    Returns: The verdict, and the loss that it was held to: (1 - share) times the strong tier's
        quality at least.
    """
    total, half = len(strong), (1 + sure) / 2
    least = 1 - upper_bound(total - int(strong.sum()), total, half) if total else 0.0
    bound = (1 - share) * least
    promise = Promise(loss=bound, confidence=half)
    later = None if again is None else (1 + again) / 2
    return certify(confidence, loss, promise, again=later), bound


def mean_interval(
    sample: Sequence[float], confidence: float, seed: int = 0, rounds: int = 1_000
) -> tuple[float, float, float]:
    """A mean and the ends of its bootstrap interval: an estimate of its error, and no promise.

    Source: Efron & Tibshirani 1993, percentile method.
    """
    values, draw = np.array(sample, dtype=np.float64), np.random.default_rng(seed)
    found = values[draw.integers(0, len(values), (rounds, len(values)))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return float(values.mean()), float(low), float(high)
