"""Time as a value that is handed in: the system's clock, and one that tests turn by hand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from .quick import quick


class Clock(Protocol):
    """Where every timed room gets its time from."""

    def now(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Come back after `seconds`."""
        ...


class SystemClock:
    """The real one. A request looks at it some twenty times, so nothing of ours is in between."""

    now = staticmethod(time.perf_counter)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """Stands still until `sleep` or `advance` turns it. For tests."""

    def __init__(self, now: float = 0.0, wall: float = 1_780_000_000.0) -> None:
        self._now = now
        self._wall = wall

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Turn both hands forward."""
        self._now += seconds
        self._wall += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


@quick
@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on a `Clock`'s `now`. None: there is no end.

    Attributes:
        at: The value of `now()` at which time is up.
    """

    at: float | None

    @classmethod
    def after(cls, seconds: float | None, now: float) -> Deadline:
        """A deadline `seconds` from `now`; None seconds make one that never comes."""
        return cls(None if seconds is None else now + seconds)

    def left_s(self, now: float) -> float | None:
        """Seconds left, at least 0. None: no end."""
        return None if self.at is None else max(0.0, self.at - now)

    def over(self, now: float) -> bool:
        """Whether the time is up."""
        return self.at is not None and now >= self.at
