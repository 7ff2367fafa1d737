"""How long each worker's event loop has stood still, by the time that its supervisor was awake for.

Comes in: how often each loop has come round, and when that was looked at. Goes out: seconds. A
machine that sleeps, or a container that is frozen, stops the supervisor as it stops the workers: a
look that comes late counts for little more than one that comes in time. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

BEAT_S = 1.0
"""Between two times that a worker's loop says that it comes round."""
HUNG_S = 30.0
"""Seconds without that, after which a worker is taken to hang, unless another number is said."""
_LOOK_S = 2.0
"""Most that one look counts for, however long ago the last one was."""


@dataclass(slots=True)
class Pulse:
    """What is known of the workers, by number."""

    workers: int
    _beats: list[int] = field(init=False)
    _still_s: list[float] = field(init=False)
    _looked: float | None = None

    def __post_init__(self) -> None:
        self._beats = [0] * self.workers
        self._still_s = [0.0] * self.workers

    def look(self, beats: Sequence[int], now: float) -> None:
        """Learn how often each has come round.

        Args:
            now: Seconds on a clock that only goes forward.
        """
        passed_s = 0.0 if self._looked is None else min(now - self._looked, _LOOK_S)
        self._looked = now
        for number, count in enumerate(beats):
            if count != self._beats[number]:
                self._beats[number], self._still_s[number] = count, 0.0
            else:
                self._still_s[number] += passed_s

    def still_s(self, number: int) -> float:
        """For how long its loop has not come round."""
        return self._still_s[number]

    def anew(self, number: int) -> None:
        """It has done nothing wrong so far: it begins, or others held it up."""
        self._still_s[number] = 0.0
