"""What one target costs, and ids that sort by time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.clock import ManualClock
from router.drive.ids import new_id
from router.drive.live import Allowance
from router.drive.meter import DatedMeter, PriceMeter
from router.hops import Attempt
from router.ledger.pricing import PriceLine
from router.types import Usage


def line(input_usd: str, output_usd: str) -> PriceLine:
    day = date(2026, 1, 1)
    return PriceLine(
        id="a-line",
        provider="p",
        model="m",
        input_usd_per_1m=Decimal(input_usd),
        output_usd_per_1m=Decimal(output_usd),
        source="the test",
        checked=day,
        valid_from=day,
    )


def test_without_a_price_line_every_cost_is_unknown() -> None:
    meter = PriceMeter(None)

    assert meter.price is None
    assert not meter.free
    assert meter.cost(Usage(input_tokens=1, output_tokens=1)) is None
    assert meter.worst_case(1, 1) is None


def test_a_line_that_declares_zero_is_known_even_without_usage() -> None:
    meter = PriceMeter(line("0", "0"))

    assert meter.price == "a-line"
    assert meter.free
    assert meter.cost(Usage()) == meter.worst_case(9, 9) == Decimal(0)


def test_a_priced_line_needs_usage_to_know_a_cost() -> None:
    meter = PriceMeter(line("1", "2"))

    assert not meter.free
    assert meter.cost(Usage(input_tokens=1_000_000, output_tokens=500_000)) == Decimal(2)
    assert meter.cost(Usage(input_tokens=3)) is None
    assert meter.worst_case(1_000_000, 1_000_000) == Decimal(3)


def test_a_meter_takes_the_line_of_the_day_and_looks_it_up_once_a_day() -> None:
    clock, asked = ManualClock(wall=86_400 * 20_000 - 2.0), []
    usage = Usage(input_tokens=1_000_000, output_tokens=0)

    def line_on(day: date) -> PriceLine | None:
        asked.append(day)
        return {date(2024, 10, 3): line("1", "1"), date(2024, 10, 4): line("9", "9")}.get(day)

    meter = DatedMeter(line_on, clock)
    paid = []
    for _ in range(3):
        paid.append((meter.cost(usage), meter.worst_case(1_000_000, 0), meter.price))
        clock.advance(1.0)

    assert paid == [(1, 1, "a-line"), (1, 1, "a-line"), (9, 9, "a-line")]
    assert asked == [date(2024, 10, 3), date(2024, 10, 4)]
    assert meter.at(clock.wall() - 10).cost(usage) == 1
    clock.advance(86_400)
    assert (meter.price, meter.cost(usage)) == (None, None)


def attempt(cost_usd: Decimal | None) -> Attempt:
    return Attempt(attempt_id="a", number=1, started_at=0, total_s=1, cost_usd=cost_usd)


@pytest.mark.parametrize(
    ("left", "worst", "costs", "covers"),
    [
        (None, None, [None], True),
        (Decimal(1), None, [], False),
        (Decimal(1), Decimal(1), [], True),
        (Decimal(1), Decimal("0.5"), [None], True),
        (Decimal(1), Decimal("0.6"), [None], False),
        (Decimal(1), Decimal("0.6"), [Decimal(0)], True),
        (Decimal(1), Decimal("0.6"), [Decimal("0.3"), Decimal("0.2")], False),
    ],
)
def test_one_more_call_is_covered_if_its_worst_case_fits_what_is_left(
    left: Decimal | None, worst: Decimal | None, costs: list[Decimal | None], covers: bool
) -> None:
    attempts = [attempt(cost) for cost in costs]

    assert Allowance(left, worst).covers_one_more(attempts) is covers


@given(st.floats(0, 4e9), st.floats(0.001, 1e6))
def test_ids_sort_by_time(first_s: float, later_by_s: float) -> None:
    first, second = new_id(first_s), new_id(first_s + later_by_s)

    assert len(first) == len(second) == 26
    assert first[:10] <= second[:10]
    if later_by_s >= 0.002:
        assert first < second


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id(1_780_000_000) for _ in range(1000)}) == 1000


def test_an_id_begins_with_its_milliseconds() -> None:
    assert new_id(0).startswith("0000000000")
    assert new_id(0.033)[:10] == "0000000011"
    assert new_id(1_469_918_176.385)[:10] == "01ARYZ6S41"  # the example of the ULID specification
