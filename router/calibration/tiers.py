"""How each stronger tier of a policy did beside the labelled drafts. Pure.

Comes in: labelled rows, and the tiers of a policy. Goes out: rows that name each tier they know
of, the odds that are counted on them, and what a tier is worth at the usual draft.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from ..confidence.gain import Gains, TierWorth, gains, tier_gains
from .labelled import GOOD, Labelled


def strong_gains(rows: Sequence[Labelled]) -> Gains | None:
    """What the strong tier adds, by the rows that say how it fared. None: too few do."""
    told = [row for row in rows if row.strong_right is not None]
    strong = [row.strong_right is not None and row.strong_right >= GOOD for row in told]
    return gains([row.good > 0 for row in told], strong, [row.task for row in told])


def all_gains(rows: Sequence[Labelled]) -> dict[str, Gains]:
    """What each tier adds that enough of these rows tell of."""
    right = [{name: score >= GOOD for name, score in row.tiers.items()} for row in rows]
    return tier_gains([row.good > 0 for row in rows], right, [row.task for row in rows])


@dataclass(frozen=True, slots=True)
class Tiered:
    """Rows that speak of a policy's tiers by their names.

    Attributes:
        rows: In the order they came.
        unknown: How many told of each name that is no such tier.
        apart: How many said "the strong tier" of another one than it is now, by that one's name,
            and nothing of the one it is now.
    """

    rows: list[Labelled]
    unknown: Counter[str]
    apart: Counter[str]


def by_tier(rows: Sequence[Labelled], tiers: Collection[str], strong: str | None) -> Tiered:
    """Rows that speak of a policy's tiers, and of the strong one in both ways if in either.

    What is told of a tier by its name holds where the two differ. What a row says of "the strong
    tier" is left out of one that means another by it, which may be better or worse.

    Args:
        tiers: Stronger than the device's. What is told of another name is left out.
        strong: Which of them is the strong one. None: there is none.
    """
    said = Tiered([], Counter(), Counter())
    for row in rows:
        said.unknown.update(name for name in row.tiers if name not in tiers)
        told = {name: score for name, score in row.tiers.items() if name in tiers}
        usd = {name: cost for name, cost in row.tier_usd.items() if name in tiers}
        right, cost = row.strong_right, row.cost_usd
        if strong is not None:
            if row.strong_tier not in (None, strong):
                right = cost = None
                said.apart.update([] if strong in told else [row.strong_tier])
            right, cost = told.get(strong, right), usd.get(strong, cost)
            told |= {} if right is None else {strong: right}
            usd |= {} if right is None or cost is None else {strong: cost}
        said.rows.append(replace(row, strong_right=right, cost_usd=cost, tiers=told, tier_usd=usd))
    return said


def worths(
    rows: Sequence[Labelled], tiers: Mapping[str, Gains], chances: Sequence[float]
) -> tuple[TierWorth, ...]:
    """Each tier of a calibration at its median draft.

    Args:
        rows: That the odds were counted on.
        chances: P(draft right) of drafts as they come.

    Returns: Weakest rescuer first. Empty: no tier is told of, or there is no draft.
    """
    if not chances:
        return ()
    usual = median(chances)
    found = []
    for name, odds in tiers.items():
        told = [row.tiers[name] >= GOOD for row in rows if name in row.tiers]
        paid = [row.tier_usd[name] for row in rows if name in row.tier_usd]
        found.append(
            TierWorth(
                tier=name,
                labels=len(told),
                right=fmean(told),
                odds=odds.overall,
                draft=usual,
                gain=odds.overall.gain(usual),
                usd=fmean(paid) if paid else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.odds.rescue, one.tier)))
