"""Cost against quality: what a cascade makes of a confidence, and what it has to beat.

Spend is a share of what asking the strong tier always would cost: of its dollars where every tier's
are known, else of its calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..confidence.arrays import FloatArray
from ..confidence.measures import curve
from .judged import Judged, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What comes of escalating more and more, the least sure drafts first.

    Attributes:
        name: Of the tier that is asked then.
        escalated: Share of requests that are escalated, 0 to 1, rising.
        spend: Share of always-strong's spend. A draft is paid for whether it is kept or not.
        quality: Mean over all requests.
    """

    name: str
    escalated: FloatArray
    spend: FloatArray
    quality: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One way to answer all requests. `escalated` None: it does not escalate."""

    name: str
    spend: float
    quality: float
    escalated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Up to which share of escalations a cascade saves anything.

    Attributes:
        cost_ratio: Mean cost of a draft over that of a strong call.
        rate: ``1 - cost_ratio``: at more escalations than this, always asking the strong tier
            costs less.
        under_cheap: Share of escalations to the strong tier up to which a cascade costs less than
            always asking the cheapest cloud tier. None: there is none.
    """

    cost_ratio: float
    rate: float
    under_cheap: float | None


def cascade(judged: Judged, to: Tier) -> Curve:
    """Drafts by the device, and the least sure of them asked again of one tier."""
    doubt, weak = -judged.sure, judged.device.right
    calls, quality = curve(doubt, weak, to.right)
    spend = calls
    if judged.priced:
        assert to.usd is not None
        paid, whole = float(to.usd.sum()), _whole(judged)
        share, _ = curve(doubt, weak, to.right, to.usd) if paid else (np.zeros(len(calls)), weak)
        spend = _spend(judged, judged.device) + share * paid / whole
    return Curve(name=to.name, escalated=calls, spend=spend, quality=quality)


def cascades(judged: Judged) -> tuple[Curve, ...]:
    """One for each stronger tier; the strong one alone where there are no dollars."""
    return tuple(cascade(judged, tier) for tier in _compared(judged)[1:])


def references(judged: Judged) -> tuple[Point, ...]:
    """Each tier asked always, weak to strong."""
    return tuple(
        Point(
            name=tier.name,
            spend=_spend(judged, tier),
            quality=float(tier.right.mean()),
        )
        for tier in _compared(judged)
    )


def oracle(judged: Judged) -> Point:
    """Who knows beforehand which tiers will be right, and asks the cheapest of the best."""
    tiers = _compared(judged)
    right = np.array([tier.right for tier in tiers])
    cost = np.array([_each(judged, tier) for tier in tiers])
    best = right.max(axis=0)
    least = np.where(right >= best, cost, np.inf).min(axis=0)
    return Point(
        name="oracle", spend=float(least.sum()) / _whole(judged), quality=float(best.mean())
    )


def mixture(points: tuple[Point, ...]) -> tuple[FloatArray, FloatArray]:
    """The best that tossing a coin between two tiers reaches: spend and quality of its corners.

    The upper hull of the tiers asked always; between corners it is straight, and beyond the best
    tier it is not continued.
    """
    hull: list[tuple[float, float]] = []
    for at in sorted((point.spend, point.quality) for point in points):
        if hull and at[1] <= max(quality for _, quality in hull):
            continue
        while len(hull) > 1 and _under(hull[-2], hull[-1], at):
            hull.pop()
        if hull and hull[-1][0] == at[0]:
            hull.pop()
        hull.append(at)
    return np.array([x for x, _ in hull]), np.array([y for _, y in hull])


def at_bar(judged: Judged, to: Tier, bar: float, name: str) -> Point:
    """Drafts that reach the bar kept, the others asked of one tier."""
    kept = judged.sure >= bar
    spend = float(np.mean(~kept))
    if judged.priced:
        spend = _spend(judged, judged.device) + float(_each(judged, to)[~kept].sum()) / _whole(
            judged
        )
    return Point(
        name=name,
        spend=spend,
        quality=float(np.where(kept, judged.device.right, to.right).mean()),
        escalated=float(np.mean(~kept)),
    )


def cheapest_bar(judged: Judged, wanted: float) -> float | None:
    """The bar of the cheapest cascade to the strong tier that reaches a quality.

    None: none does. Infinity: every draft has to be escalated.
    """
    bars = np.unique(judged.sure)
    steps = cascade(judged, judged.strong)
    reached = np.flatnonzero(steps.quality >= wanted)
    if not len(reached):
        return None
    cheapest = int(reached[np.argmin(steps.spend[reached])])
    # After `cheapest` steps the so many lowest are escalated.
    return float(bars[cheapest]) if cheapest < len(bars) else float("inf")


def break_even(judged: Judged) -> BreakEven:
    """Where a cascade to the strong tier stops saving."""
    whole = _whole(judged)
    ratio = float(_each(judged, judged.device).sum()) / whole
    clouds = _compared(judged)[1:-1]
    under = None
    if clouds:
        steps = cascade(judged, judged.strong)
        cheap = min(_spend(judged, tier) for tier in clouds)
        # Spend never falls along a curve, and outside of it the nearer end is meant.
        under = float(np.interp(cheap, steps.spend, steps.escalated))
    return BreakEven(cost_ratio=ratio, rate=1 - ratio, under_cheap=under)


def _compared(judged: Judged) -> tuple[Tier, ...]:
    """Tiers that have a place on the spend axis: without dollars only the device and the strong."""
    return (judged.device, *(judged.others if judged.priced else judged.others[-1:]))


def _each(judged: Judged, tier: Tier) -> FloatArray:
    if judged.priced:
        assert tier.usd is not None
        return tier.usd
    return np.full(len(judged), float(tier is not judged.device))


def _whole(judged: Judged) -> float:
    return float(_each(judged, judged.strong).sum())


def _spend(judged: Judged, tier: Tier) -> float:
    return float(_each(judged, tier).sum()) / _whole(judged)


def _under(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether the middle of three corners lies on or under the straight between the others."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
