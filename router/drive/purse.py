"""Dollars spent today by this process, calls under way at their worst case."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce

from ..clock import Clock
from ..money import EXACT
from ..quick import quick

_DAYS_KEPT = 2


@quick
@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Dollars set aside for one hop. Two of the same amount are still two."""

    usd: Decimal


class Purse:
    """Reserve a hop's worst case before it, settle what it cost after it.

    A day is the machine's local calendar day by the clock's `wall`. A settlement counts to the day
    it is made on, so a hop over midnight is tomorrow's; what is open counts on any day. The last
    two days settled on are kept, so a wall clock that is set back and forth loses nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._settled: dict[date, Decimal] = {}
        self._open: dict[Reservation, None] = {}
        self._unpriced: set[date] = set()
        self._looked_at, self._day = -1, date.min

    def reserve(self, usd: Decimal) -> Reservation:
        """Set dollars aside.

        Raises:
            ValueError: not an amount of at least zero.
        """
        reservation = Reservation(amount(usd))
        self._open[reservation] = None
        return reservation

    def set_aside(self, usd: Decimal, day_usd: Decimal) -> tuple[Reservation, Decimal]:
        """Reserve dollars, but no more than are left of a day's.

        Returns: the reservation, and what was left before it; at least zero.

        Raises:
            ValueError: not an amount of at least zero.
        """
        left = max(Decimal(0), EXACT.subtract(day_usd, self.spent_usd()))
        return self.reserve(min(amount(usd), left)), left

    def settle(self, reservation: Reservation, usd: Decimal | None) -> None:
        """Give back what was set aside and book what it cost. A second time changes nothing.

        Args:
            usd: None: nobody knows, not even at the worst; then the day's sum isn't known either.

        Raises:
            ValueError: not an amount of at least zero; the reservation stays open.
        """
        if usd is not None:
            amount(usd)
        if reservation not in self._open:
            return
        del self._open[reservation]
        today = self._today()
        if usd is None:
            self._unpriced = {today}  # of earlier days nobody asks
            return
        so_far = self._settled.pop(today, Decimal(0))
        self._settled[today] = EXACT.add(so_far, usd)
        while len(self._settled) > _DAYS_KEPT:
            del self._settled[next(iter(self._settled))]

    @property
    def complete(self) -> bool:
        """Whether every call of today has a known price, so that `spent_usd` is all of it."""
        return self._today() not in self._unpriced

    def spent_usd(self) -> Decimal:
        """What was settled today and all that is open, as far as prices are known."""
        settled = self._settled.get(self._today(), Decimal(0))
        return reduce(EXACT.add, (reservation.usd for reservation in self._open), settled)

    def _today(self) -> date:
        second = int(self._clock.wall())
        if second != self._looked_at:
            now = time.localtime(second)
            self._looked_at, self._day = second, date(now.tm_year, now.tm_mon, now.tm_mday)
        return self._day


def amount(usd: Decimal) -> Decimal:
    """The same. Raises: ValueError, for what is no amount of dollars of at least zero."""
    if not (usd.is_finite() and usd >= 0):
        raise ValueError(f"{usd} is not an amount of dollars")
    return usd
