"""How many requests a caller may make in a while: a rate as people write it, and its bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..clock import Clock

_PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([a-z]+)")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    count: int
    period_s: float


def rate_of(written: str) -> Rate:
    """``60/min`` as a rate. Raises: ValueError that says how to write one."""
    found = _RATE.fullmatch(written)
    if found is None or found[2] not in _PERIODS:
        known = ", ".join(_PERIODS)
        raise ValueError(f"{written!r} is no rate; write it like 60/min, with one of {known}")
    return Rate(int(found[1]), _PERIODS[found[2]])


class Bucket:
    """A token bucket: full at first, one token for each that is asked, filled again evenly.

    So a caller may ask `count` times at once, and over a long time no more often than the rate.
    """

    __slots__ = ("_at", "_clock", "_left", "rate")

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self.rate = rate
        self._clock = clock
        self._left = float(rate.count)
        self._at = clock.now()

    def take(self, tokens: int = 1) -> float | None:
        """Take so many tokens, or none.

        Returns: None; or, if there are fewer, the seconds until there are so many.
        """
        now, rate = self._clock.now(), self.rate
        filled = (now - self._at) * rate.count / rate.period_s
        self._left = min(float(rate.count), self._left + filled)
        self._at = now
        if self._left < tokens - _ROUNDING:
            return (tokens - self._left) * rate.period_s / rate.count
        self._left = max(0.0, self._left - tokens)
        return None
