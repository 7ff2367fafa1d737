"""How good confidence is: ranking, calibration, and what a router makes of it in quality and cost.

An escalation score is higher the more an answer needs the stronger tier. Tied scores are escalated
together, and a curve runs straight across them, so that no order of the rows is favoured.
"""

from __future__ import annotations

import numpy as np

from .arrays import FloatArray

_BINS = 15


def auroc(score: FloatArray, right: FloatArray) -> float:
    """Chance that a right answer scores above a wrong one; ties count half. NaN: one kind only."""
    _, place, times = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(times) - (times - 1) / 2)[place]
    good = float(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return float("nan")
    return float((rank[right == 1].sum() - good * (good + 1) / 2) / (good * bad))


def ece(probability: FloatArray, right: FloatArray) -> float:
    """Expected calibration error over 15 equal bins."""
    bins = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    gap = np.bincount(bins, probability - right, _BINS)
    return float(np.abs(gap).sum() / len(right))


def risks(probability: FloatArray, right: FloatArray) -> FloatArray:
    """Share of wrong answers among the surest 1, 2, ... n.

    Of tied answers each is taken to be as wrong as they are on average, so that the order of the
    rows makes no difference.
    """
    _, place = np.unique(-probability, return_inverse=True)
    ends = np.cumsum(np.bincount(place))
    wrong = np.cumsum(np.bincount(place, 1 - right))
    kept = np.arange(1, len(right) + 1)
    return np.interp(kept, np.r_[0, ends], np.r_[0.0, wrong]) / kept


def aurc(probability: FloatArray, right: FloatArray) -> float:
    """Mean share of wrong answers over all coverages, surest first. Lower is better."""
    return float(risks(probability, right).mean())


def curve(
    score: FloatArray, weak: FloatArray, strong: FloatArray, cost: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Spend and mean quality as more is escalated, highest score first.

    Args:
        score: Escalation score, shape (n,).
        weak: Quality of each weak answer; `strong` of each strong one.
        cost: Of each strong call. None: calls are counted.

    Returns: Share of always-strong's spend, 0 to 1, and quality; both start at always-weak.
    """
    price = np.ones(len(score)) if cost is None else cost
    _, place = np.unique(-score, return_inverse=True)
    spent = np.cumsum(np.bincount(place, price)) / price.sum()
    gained = np.cumsum(np.bincount(place, strong - weak)) / len(score)
    return np.r_[0.0, spent], weak.mean() + np.r_[0.0, gained]


def apgr(score: FloatArray, weak: FloatArray, strong: FloatArray) -> float:
    """Mean share of the quality gap recovered over all shares of calls; random order gives 0.5.

    Source: Ong et al., RouteLLM, arXiv 2406.18665, section 3.
    """
    calls, quality = curve(score, weak, strong)
    share = (quality - weak.mean()) / (strong.mean() - weak.mean())
    return float((np.diff(calls) * (share[1:] + share[:-1]) / 2).sum())


def spend_at(spend: FloatArray, quality: FloatArray, wanted: float) -> float:
    """Least spend at which a curve reaches a quality; NaN when it never does."""
    reached = np.flatnonzero(quality >= wanted)
    if not len(reached):
        return float("nan")
    at = int(reached[0])
    if at == 0:
        return float(spend[0])
    part = (wanted - quality[at - 1]) / (quality[at] - quality[at - 1])
    return float(spend[at - 1] + part * (spend[at] - spend[at - 1]))


def static_mixture(costs: list[float], qualities: list[float], wanted: float) -> float:
    """Cheapest mean cost of a blind mix of two fixed tiers that reaches a quality. NaN: none does.

    Args:
        costs: Mean cost of asking each tier alone; `qualities` likewise.
    """
    least = min((c for c, q in zip(costs, qualities, strict=True) if q >= wanted), default=None)
    for low_cost, low in zip(costs, qualities, strict=True):
        for high_cost, high in zip(costs, qualities, strict=True):
            if low < wanted <= high:
                part = (wanted - low) / (high - low)
                mixed = low_cost + part * (high_cost - low_cost)
                least = mixed if least is None else min(least, mixed)
    return float("nan") if least is None else least


def realised_loss(kept: FloatArray, weak: FloatArray, strong: FloatArray) -> float:
    """Share of all rows that are kept on the device where it is wrong and the strong tier right."""
    return float(np.mean(kept * (strong > weak)))
