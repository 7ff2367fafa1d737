"""Two confidences on the same rows: which is better, and whether that is more than chance.

Paired: each resampled set judges both, so what is hard or easy about its rows falls out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..confidence.arrays import IntArray
from .judged import Judged
from .measured import KINDS, Kind, measure
from .resample import RESAMPLES, Interval, intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure of two confidences.

    Attributes:
        name: Of the figure.
        one: Its value by the first, `other` by the second.
        interval: 90 %, of the second less the first. None: too few resampled sets have it.
    """

    name: str
    one: float
    other: float
    interval: Interval | None

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``can't be told`` of the second."""
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return "can't be told"
        more = self.interval.low > 0
        return "better" if more == (self.kind.better == "more") else "worse"


def compare(
    one: Judged, other: Judged, *, times: int = RESAMPLES, seed: int = 0
) -> tuple[Change, ...]:
    """What changes from one confidence to another.

    Args:
        one: A judged set.
        other: The same rows in the same order, with another confidence.

    Raises:
        ValueError: They are not the same rows.
    """
    if one.prompts.tolist() != other.prompts.tolist():
        raise ValueError("two confidences are compared on the same rows, in the same order")
    first, second = measure(one, None), measure(other, None)

    def gaps(rows: IntArray) -> dict[str, float]:
        a, b = measure(one.some(rows), None), measure(other.some(rows), None)
        return {name: b[name] - a[name] for name in a.keys() & b.keys()}

    ends = intervals(gaps, one.prompts, times, seed)
    return tuple(
        Change(name=name, one=first[name], other=second[name], interval=ends.get(name))
        for name, kind in KINDS.items()
        if kind.better is not None
        and math.isfinite(first.get(name, math.nan))
        and math.isfinite(second.get(name, math.nan))
    )
