"""A circuit breaker per target: after failures in a row it is left alone for a while.

Closed lets calls through, open does not, half-open lets them through until one result is seen.

Whether a target may be called is asked for every request, of every target, while the walk is set
up; most of those targets are then not called. So asking must not use anything up: a single probe
handed to whoever asks first would be lost on a request that never needed the target, and the
target would stay shut. Instead half-open lets every asker through, and the first result ends it:
a success closes, a failure opens again for twice as long. What that can cost is the calls that
begin between the first probe and its result; their failures, seen while it is open again, change
nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..clock import Clock

State = Literal["closed", "half_open", "open"]

FAILURES = 5
FIRST_OPEN_S = 30.0
LONGEST_OPEN_S = 300.0
AUTH_OPEN_S = 300.0
"""A key that was turned away is turned away again until somebody changes something."""
LEFT_ALONE = "left_alone"
"""Code of an error that says: whoever runs the target has given up starting it for a while."""
LEFT_ALONE_OPEN_S = 60.0
NOTHING_AGAINST = frozenset(
    ("aborted", "cancelled", "filtered", "incapable", "not_sent", "refused")
)
"""Ends that are about the request or the caller. They neither count nor break a run of failures:
some are found without asking the target, so they don't speak for it either."""


@dataclass(slots=True)
class _Breaker:
    """One target's.

    Attributes:
        failures: In a row, while closed.
        until: When open ends, on the clock's `now`; infinity: never. None: closed.
        open_s: How long it was opened for the last time. None: not since it last was closed.
    """

    failures: int = 0
    until: float | None = None
    open_s: float | None = None


class Breakers:
    """The breakers of a router's targets, by name. A target never seen is closed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._breakers: dict[str, _Breaker] = {}

    def state(self, target: str) -> State:
        """As it is now."""
        breaker = self._breakers.get(target)
        if breaker is None or breaker.until is None:
            return "closed"
        return "open" if self._clock.now() < breaker.until else "half_open"

    def open_for_s(self, target: str) -> float | None:
        """Seconds until calls are let through again; infinity: never. None: they are now."""
        if self.state(target) != "open":
            return None
        until = self._breakers[target].until
        return None if until is None else until - self._clock.now()

    def lets(self, target: str) -> bool:
        """Whether calls are let through. Asking changes nothing."""
        return target not in self._breakers or self.state(target) != "open"

    def saw(self, target: str, error_kind: str | None, code: str | None = None) -> None:
        """Learn how a call ended.

        A success closes at any time. `auth_failed` and the code `left_alone` open at once; `gone`
        opens until a call that was already under way succeeds, which is as good as for ever.

        Args:
            error_kind: A `HopError.kind`, "cancelled" or "aborted". None: it ended well.
            code: The error's own.
        """
        if error_kind is None:
            self._breakers.pop(target, None)
            return
        if error_kind in NOTHING_AGAINST:
            return
        state = self.state(target)
        breaker = self._breakers.setdefault(target, _Breaker())
        if error_kind == "gone":
            self._open(breaker, math.inf)
        elif error_kind == "auth_failed":
            self._open(breaker, AUTH_OPEN_S)
        elif code == LEFT_ALONE:
            self._open(breaker, LEFT_ALONE_OPEN_S)
        elif state == "half_open":
            self._open(breaker, min(LONGEST_OPEN_S, 2 * (breaker.open_s or FIRST_OPEN_S)))
        elif state == "closed":
            breaker.failures += 1
            if breaker.failures >= FAILURES:
                self._open(breaker, FIRST_OPEN_S)

    def _open(self, breaker: _Breaker, seconds: float) -> None:
        """Open it for `seconds` from now, never for less than it already is."""
        breaker.open_s = seconds
        until = self._clock.now() + seconds
        breaker.until = until if breaker.until is None else max(breaker.until, until)
