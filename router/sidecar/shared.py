"""Rates, budgets and tool loops that hold for all workers of a server together.

The same classes as a server of one process has, with what they know on the `Board`. Dollars are
whole 1e-18 there, rounded up. What a worker had set aside when it died counts as spent, as its
calls may have been served and charged.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from ..clock import Clock
from ..drive.purse import Purse, Reservation, amount
from ..money import EXACT
from .board import AMOUNT_BYTES, KEYS, LOOP_BYTES, LOOPS, RATE_BYTES, Board
from .rate import Bucket, Rate

_LEFT = struct.Struct("dd")
_SUMS = struct.Struct(f"q{AMOUNT_BYTES}sq{AMOUNT_BYTES}sq{AMOUNT_BYTES}s")
_USED = struct.Struct("q")
_PARTS = 10**18
_MOST_USD = Decimal(10**15)
"""Of one amount: so that sums of them have room in a record."""
_NAME_BYTES = 16
_SHELF = 8


class Tallies(Protocol):
    """Where what keys have used is counted."""

    def purse(self, key: str) -> Purse:
        """Dollars of a key, by its digest. Raises: ConfigError, when there is no room for it."""
        ...

    def bucket(self, key: str, rate: Rate) -> Bucket:
        """What is left of a key's rate. Raises: ConfigError, when there is no room for it."""
        ...


@dataclass(frozen=True, slots=True)
class Own:
    """In this process alone."""

    clock: Clock

    def purse(self, key: str) -> Purse:
        """See `Tallies`."""
        return Purse(self.clock)

    def bucket(self, key: str, rate: Rate) -> Bucket:
        """See `Tallies`."""
        return Bucket(rate, self.clock)


@dataclass(frozen=True, slots=True)
class Shared:
    """On the board."""

    clock: Clock
    board: Board

    def purse(self, key: str) -> Purse:
        """See `Tallies`."""
        return SharedPurse(self.clock, self.board, key)

    def bucket(self, key: str, rate: Rate) -> Bucket:
        """See `Tallies`."""
        return SharedBucket(rate, self.clock, self.board, key)


class SharedBucket(Bucket):
    """A rate that all workers take from."""

    __slots__ = ("_board", "_place")

    def __init__(self, rate: Rate, clock: Clock, board: Board, key: str) -> None:
        """Raises: ConfigError, when there are too many."""
        super().__init__(rate, clock)
        self._board = board
        name = _name(f"{key} {rate.count}/{rate.period_s}")
        self._place = board.record(name, board.rates_at, RATE_BYTES, "keys with a rate")
        self._place += _NAME_BYTES

    def take(self, *tokens: int) -> float | None:
        """As in a process of its own."""
        with self._board.held():
            left, at = _LEFT.unpack(self._board.read(_LEFT.size, self._place))
            if at:  # else nobody has taken from it, and it is full
                self._left, self._at = left, at
            try:
                return super().take(*tokens)
            finally:
                self._board.write(_LEFT.pack(self._left, self._at), self._place)


class _Sums:
    """A purse's record, but for what each worker has open: that is in `open` all together.

    Attributes:
        day: The last one that was settled on, as its ordinal, and `spent` on it; so `before`.
        unpriced: The last day with a call whose price nobody knows.
    """

    __slots__ = ("before", "day", "open", "spent", "spent_before", "unpriced")
    day: int
    before: int
    unpriced: int

    def __init__(self, raw: bytes) -> None:
        self.day, spent, self.before, spent_before, self.unpriced, opened = _SUMS.unpack(raw)
        self.spent, self.spent_before = _number(spent), _number(spent_before)
        self.open = _number(opened)

    def raw(self) -> bytes:
        spent, before = _bytes(self.spent), _bytes(self.spent_before)
        return _SUMS.pack(self.day, spent, self.before, before, self.unpriced, _bytes(self.open))

    def of(self, day: int) -> int:
        """What counts on a day: what was settled on it, and all that is open."""
        settled = {self.before: self.spent_before, self.day: self.spent}.get(day, 0)
        return settled + self.open

    def book(self, day: int, parts: int) -> None:
        if day == self.before:
            self.spent_before += parts
        elif day == self.day:
            self.spent += parts
        elif day > self.day:
            self.before, self.spent_before = self.day, self.spent
            self.day, self.spent = day, parts
        elif day > self.before:
            self.before, self.spent_before = day, parts


class SharedPurse(Purse):
    """Dollars of a day that all workers spend from."""

    def __init__(self, clock: Clock, board: Board, name: str) -> None:
        """Raises: ConfigError, when there are too many."""
        super().__init__(clock)
        assert board.number is not None
        self._board = board
        place = board.record(_name(name), board.purses_at, board.purse_bytes, "keys with a budget")
        self._place = place + _NAME_BYTES
        self._own_place = self._place + _SUMS.size + board.number * AMOUNT_BYTES

    def reserve(self, usd: Decimal) -> Reservation:
        """See `Purse`."""
        amount(usd)
        with self._board.held():
            return self._reserve(self._read(), usd)

    def set_aside(self, usd: Decimal, day_usd: Decimal) -> tuple[Reservation, Decimal]:
        """See `Purse`. No two workers can be promised the same dollars."""
        amount(usd)
        today = self._today().toordinal()
        with self._board.held():
            sums = self._read()
            left = max(Decimal(0), EXACT.subtract(day_usd, _usd(sums.of(today))))
            return self._reserve(sums, min(usd, left)), left

    def settle(self, reservation: Reservation, usd: Decimal | None) -> None:
        """See `Purse`."""
        if usd is not None:
            amount(usd)
        if reservation not in self._open:
            return
        del self._open[reservation]
        today = self._today().toordinal()
        with self._board.held():
            sums = self._read()
            if usd is None:
                sums.unpriced = today
            else:
                sums.book(today, _parts(usd))
            self._write(sums, -_parts(reservation.usd))

    @property
    def complete(self) -> bool:
        """See `Purse`."""
        with self._board.held():
            return self._read().unpriced != self._today().toordinal()

    def spent_usd(self) -> Decimal:
        """See `Purse`."""
        with self._board.held():
            return _usd(self._read().of(self._today().toordinal()))

    def _reserve(self, sums: _Sums, usd: Decimal) -> Reservation:
        reservation = Reservation(usd)
        self._open[reservation] = None
        self._write(sums, _parts(usd))
        return reservation

    def _read(self) -> _Sums:
        return _Sums(self._board.read(_SUMS.size, self._place))

    def _write(self, sums: _Sums, opened: int) -> None:
        """Write them, with so much more that this worker has open."""
        sums.open += opened
        self._board.write(sums.raw(), self._place)
        if opened:  # read anew: a key that came back has two of these for a while
            own = _number(self._board.read(AMOUNT_BYTES, self._own_place)) + opened
            self._board.write(_bytes(own), self._own_place)


def bury(board: Board, number: int) -> None:
    """For the supervisor: what a worker had set aside when it ended counts as spent today."""
    today = date.today().toordinal()  # the machine's local day, as the purse has it
    size = board.purse_bytes
    with board.held():
        table = board.read(KEYS * size, board.purses_at)
        for at in range(0, len(table), size):
            first = at + _NAME_BYTES + _SUMS.size
            sums = _Sums(table[at + _NAME_BYTES : first])
            owns = [
                _number(table[first + i * AMOUNT_BYTES : first + (i + 1) * AMOUNT_BYTES])
                for i in range(board.workers)
            ]
            if not owns[number] and sums.open == sum(owns):
                continue
            # It may have died between its two writes: what is open is what the others say.
            sums.book(today, owns[number])
            sums.open = sum(owns) - owns[number]
            board.write(sums.raw(), board.purses_at + at + _NAME_BYTES)
            board.write(bytes(AMOUNT_BYTES), board.purses_at + first + number * AMOUNT_BYTES)


@dataclass(slots=True)
class SharedLoops:
    """Which target made a tool call, whichever worker was told it.

    `LOOPS` are remembered, on shelves of eight; on a full shelf the one unused for longest goes.
    """

    board: Board
    targets: Iterable[str]
    now_ns: Callable[[], int] = time.monotonic_ns
    _by_mark: dict[bytes, str] = field(init=False)

    def __post_init__(self) -> None:
        self._by_mark = {_mark(name): name for name in self.targets}

    def put(self, digest: bytes, target: str) -> None:
        """Remember it."""
        with self.board.held():
            shelf, at = self._shelf(digest)
            same = [i for i, one in enumerate(shelf) if one[:_NAME_BYTES] == digest[:_NAME_BYTES]]
            place = same[0] if same else min(range(_SHELF), key=lambda i: _used(shelf[i]))
            record = digest[:_NAME_BYTES] + _mark(target) + _USED.pack(self.now_ns())
            self.board.write(record, at + place * LOOP_BYTES)

    def get(self, digest: bytes) -> str | None:
        """Its target. None: it is not known, or the target is no more."""
        with self.board.held():
            shelf, at = self._shelf(digest)
            for place, one in enumerate(shelf):
                if one[:_NAME_BYTES] == digest[:_NAME_BYTES]:
                    used = _USED.pack(self.now_ns())
                    self.board.write(used, at + place * LOOP_BYTES + LOOP_BYTES - _USED.size)
                    return self._by_mark.get(one[_NAME_BYTES : -_USED.size])
        return None

    def _shelf(self, digest: bytes) -> tuple[list[bytes], int]:
        shelf = int.from_bytes(digest[-8:], "little") % (LOOPS // _SHELF)
        at = self.board.loops_at + shelf * _SHELF * LOOP_BYTES
        raw = self.board.read(_SHELF * LOOP_BYTES, at)
        return [raw[i : i + LOOP_BYTES] for i in range(0, len(raw), LOOP_BYTES)], at


def _used(record: bytes) -> int:
    return int(_USED.unpack(record[-_USED.size :])[0])


def _mark(target: str) -> bytes:
    return hashlib.blake2b(target.encode(), digest_size=8).digest()


def _name(words: str) -> bytes:
    return hashlib.blake2b(words.encode(), digest_size=_NAME_BYTES).digest()


def _parts(usd: Decimal) -> int:
    if not usd:
        return 0
    bounded = min(usd, _MOST_USD)
    return int(EXACT.multiply(bounded, Decimal(_PARTS)).to_integral_value(ROUND_CEILING))


def _usd(parts: int) -> Decimal:
    return EXACT.divide(Decimal(parts), Decimal(_PARTS))


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _bytes(parts: int) -> bytes:
    return parts.to_bytes(AMOUNT_BYTES, "little", signed=True)
