"""Dollars of a day: set aside, settled, gone at midnight."""

from __future__ import annotations

import time
from decimal import Context, Decimal, localcontext

import pytest

from router.clock import ManualClock
from router.drive.purse import Purse

DAY_S = 24 * 3600.0
NOON = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))
CENT = Decimal("0.01")


def test_an_open_reservation_counts_as_spent() -> None:
    purse = Purse(ManualClock(wall=NOON))
    assert purse.spent_usd() == 0
    reservation = purse.reserve(5 * CENT)
    assert purse.spent_usd() == 5 * CENT

    purse.settle(reservation, 2 * CENT)
    assert purse.spent_usd() == 2 * CENT


def test_settling_twice_changes_nothing() -> None:
    purse = Purse(ManualClock(wall=NOON))
    reservation = purse.reserve(5 * CENT)
    purse.settle(reservation, 2 * CENT)
    purse.settle(reservation, 9 * CENT)

    assert purse.spent_usd() == 2 * CENT


def test_a_hop_may_cost_more_than_was_set_aside() -> None:
    purse = Purse(ManualClock(wall=NOON))
    purse.settle(purse.reserve(Decimal(0)), CENT)

    assert purse.spent_usd() == CENT


def test_two_reservations_of_one_amount_are_two() -> None:
    purse = Purse(ManualClock(wall=NOON))
    first, second = purse.reserve(CENT), purse.reserve(CENT)
    purse.settle(first, CENT)

    assert purse.spent_usd() == 2 * CENT
    purse.settle(second, Decimal(0))
    assert purse.spent_usd() == CENT


def test_another_purses_reservation_is_not_settled_here() -> None:
    clock = ManualClock(wall=NOON)
    purse, other = Purse(clock), Purse(clock)
    reservation = other.reserve(CENT)
    purse.settle(reservation, CENT)

    assert (purse.spent_usd(), other.spent_usd()) == (Decimal(0), CENT)


def test_midnight_forgets_what_was_settled_and_keeps_what_is_open() -> None:
    clock = ManualClock(wall=NOON)
    purse = Purse(clock)
    purse.settle(purse.reserve(CENT), CENT)
    across = purse.reserve(5 * CENT)
    clock.advance(DAY_S / 2 - 1)
    assert purse.spent_usd() == 6 * CENT
    clock.advance(1)
    assert purse.spent_usd() == 5 * CENT

    purse.settle(across, 3 * CENT)
    assert purse.spent_usd() == 3 * CENT


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone can't be set for a process here")
def test_the_day_is_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "UTC-10")  # POSIX's sign: ten hours east
        time.tzset()
        clock = ManualClock(wall=1_780_272_000.0 - 11 * 3600)  # 13:00 UTC, 23:00 here
        purse = Purse(clock)
        purse.settle(purse.reserve(CENT), CENT)
        assert purse.spent_usd() == CENT
        clock.advance(3600)
        assert purse.spent_usd() == 0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_wall_clock_set_back_and_forth_loses_nothing() -> None:
    clock = ManualClock(wall=NOON)
    purse = Purse(clock)
    purse.settle(purse.reserve(CENT), CENT)
    clock.advance(-DAY_S)
    assert purse.spent_usd() == 0
    purse.settle(purse.reserve(CENT), 3 * CENT)
    clock.advance(DAY_S)

    assert purse.spent_usd() == CENT


def test_an_apps_coarse_decimals_change_no_sum() -> None:
    with localcontext(Context(prec=2)):
        purse = Purse(ManualClock(wall=NOON))
        purse.settle(purse.reserve(Decimal("1000")), Decimal("1000.000001"))
        purse.reserve(Decimal("0.123456789"))

        assert str(purse.spent_usd()) == "1000.123457789"


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "sNaN", "Infinity"])
def test_what_is_no_amount_is_refused(usd: str) -> None:
    purse = Purse(ManualClock(wall=NOON))
    reservation = purse.reserve(CENT)

    with pytest.raises(ValueError, match="not an amount"):
        purse.reserve(Decimal(usd))
    with pytest.raises(ValueError, match="not an amount"):
        purse.settle(reservation, Decimal(usd))
    assert purse.spent_usd() == CENT
