"""`max_in_flight` of a target, for all workers of a server together, first come, first served.

Each worker's row says how many calls it has under way and which call waits there first; who takes a
seat looks at all rows under the lock. A worker looks now and then whether its first is next, and
says so each time: one that hangs keeps the seats of its calls, and nobody waiting behind those that
wait there. When it is gone, its seats are free.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable

from .board import SEAT_BYTES, TARGETS, Board

_ROW = struct.Struct("qqq")
"""Seats that are taken; the number of who waits first, 0 for nobody; when that was last said."""
_NAME_BYTES = 16
_WAITS_NS = 1_000_000_000
"""For so long it is believed that somebody waits, after it was said."""


class SharedSeats:
    """One target's; see `drive.way.Seats`. Numbers are nanoseconds of the machine's clock."""

    __slots__ = ("_at", "_board", "_most", "_now_ns", "_own_at", "_taken", "_waits")

    def __init__(
        self, board: Board, target: str, most: int, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Raises: ConfigError, when there are too many."""
        assert board.number is not None
        name = hashlib.blake2b(target.encode(), digest_size=_NAME_BYTES).digest()
        what = "targets with `max_in_flight`"
        place = board.record(name, board.seats_at, board.seats_bytes, what, TARGETS)
        self._board = board
        self._most = most
        self._now_ns = now_ns
        self._at = place + _NAME_BYTES
        self._own_at = self._at + board.number * SEAT_BYTES
        self._taken = self._waits = 0
        self._tell()

    @property
    def taken(self) -> int:
        """See `Seats`."""
        return sum(count for count, _, _ in self._rows())

    def number(self) -> int:
        """See `Seats`."""
        return self._now_ns()

    def take(self, number: int) -> bool:
        """See `Seats`. No two workers can take the last one."""
        believed = self._now_ns() - _WAITS_NS
        with self._board.held():
            taken = 0
            for place, (count, waits, said) in enumerate(self._rows()):
                if 0 < waits < number and said > believed and place != self._board.number:
                    return False
                taken += count
            if taken >= self._most:
                return False
            self._taken += 1
            self._tell()
        return True

    def give(self) -> None:
        """See `Seats`."""
        self._taken -= 1
        self._tell()

    def wait(self, number: int | None) -> None:
        """See `Seats`."""
        self._waits = number or 0
        self._tell()

    def _rows(self) -> list[tuple[int, int, int]]:
        raw = self._board.read(self._board.workers * SEAT_BYTES, self._at)
        return list(_ROW.iter_unpack(raw))

    def _tell(self) -> None:
        """Write this worker's row, which nobody else writes while it lives."""
        row = _ROW.pack(self._taken, self._waits, self._now_ns() if self._waits else 0)
        self._board.write(row, self._own_at)


def vacate(board: Board, number: int) -> None:
    """For the supervisor: that worker is gone, so its calls are."""
    size = board.seats_bytes
    table = board.read(TARGETS * size, board.seats_at)
    for at in range(0, len(table), size):
        own = at + _NAME_BYTES + number * SEAT_BYTES
        if any(table[own : own + SEAT_BYTES]):
            board.write(bytes(SEAT_BYTES), board.seats_at + own)
