"""How long a worker has had nothing to do, and when that is long enough to leave."""

from __future__ import annotations

GOODBYE = "the device worker had nothing to do for a while, and has left"


class Idle:
    """Counts from the last time there was work.

    Args:
        longest_s: Seconds without work after which to leave. None: never.
        now: When the worker was ready, on the clock.
    """

    def __init__(self, longest_s: float | None, now: float) -> None:
        self._longest_s = longest_s
        self._since = now

    def saw_work(self, now: float) -> None:
        """There was a job at this moment."""
        self._since = now

    def left_s(self, now: float) -> float | None:
        """Seconds until it is time to leave; 0: it is. None: it never will be."""
        if self._longest_s is None:
            return None
        return max(0.0, self._since + self._longest_s - now)
