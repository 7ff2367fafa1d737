"""Dollars are exact, add up, and are never made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from router.ledger.pricing import PriceBook, PriceLine, PriceTier, cost, worst_case
from router.ledger.sqlite import dollars, money
from router.types import Usage

PRICES = st.decimals(min_value=0, max_value=1000, places=6)
TOKENS = st.integers(0, 2_000_000)
DAY = date(2026, 1, 1)


@st.composite
def lines(draw: st.DrawFn) -> PriceLine:
    return PriceLine(
        id="p/m@2026-01-01",
        provider="p",
        model="m",
        input_usd_per_1m=draw(PRICES),
        cached_input_usd_per_1m=draw(st.none() | PRICES),
        cache_write_input_usd_per_1m=draw(st.none() | PRICES),
        output_usd_per_1m=draw(PRICES),
        source="here",
        checked=DAY,
        valid_from=DAY,
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    input_tokens = draw(TOKENS)
    cached = draw(st.none() | st.integers(0, input_tokens))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=draw(TOKENS),
        cached_input_tokens=cached,
        cache_write_tokens=draw(st.none() | st.integers(0, input_tokens - (cached or 0))),
        reasoning_tokens=draw(st.none() | TOKENS),
    )


def known(value: Decimal | None) -> Decimal:
    assert value is not None
    return value


@given(lines(), usages(), st.integers(1, 40))
def test_a_cost_is_the_exact_fraction_whatever_precision_the_app_has_set(
    line: PriceLine, usage: Usage, precision: int
) -> None:
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    cached = usage.cached_input_tokens or 0
    cached_price = line.cached_input_usd_per_1m
    written = usage.cache_write_tokens or 0
    written_price = line.cache_write_input_usd_per_1m
    exact = (
        (usage.input_tokens - cached - written) * Fraction(line.input_usd_per_1m)
        + written * Fraction(line.input_usd_per_1m if written_price is None else written_price)
        + cached * Fraction(line.input_usd_per_1m if cached_price is None else cached_price)
        + usage.output_tokens * Fraction(line.output_usd_per_1m)
    ) / 1_000_000
    with localcontext(Context(prec=precision)):
        paid = known(cost(line, usage))
        text, pico = money(paid)
    assert Fraction(paid) == exact
    assert Fraction(Decimal(text or "")) == exact
    assert pico is not None
    assert pico == exact * 10**12
    assert dollars(pico) == paid


@given(lines(), usages())
def test_a_call_never_costs_more_than_its_worst_case(line: PriceLine, usage: Usage) -> None:
    bound = worst_case(line, usage.input_tokens or 0, usage.output_tokens or 0)
    assert known(cost(line, usage)) <= bound


@st.composite
def stepped(draw: st.DrawFn) -> PriceLine:
    """A line whose price changes, up or down, with the length of the prompt."""
    lengths = sorted(draw(st.sets(st.integers(1, 1_000_000), max_size=3)))
    tiers = tuple(
        PriceTier(
            above_input_tokens=length,
            input_usd_per_1m=draw(PRICES),
            cached_input_usd_per_1m=draw(st.none() | PRICES),
            cache_write_input_usd_per_1m=draw(st.none() | PRICES),
            output_usd_per_1m=draw(PRICES),
        )
        for length in lengths
    )
    return replace(draw(lines()), tiers=tiers)


@given(stepped(), usages(), st.integers(0, 500_000), st.integers(0, 1000))
def test_nor_where_the_price_steps_and_the_prompt_stays_under_its_bound(
    line: PriceLine, usage: Usage, more_in: int, more_out: int
) -> None:
    bound = worst_case(
        line, (usage.input_tokens or 0) + more_in, (usage.output_tokens or 0) + more_out
    )
    assert known(cost(line, usage)) <= bound


@given(lines(), usages(), usages())
def test_two_calls_cost_the_sum_of_each(line: PriceLine, a: Usage, b: Usage) -> None:
    both = Usage(
        cache_write_tokens=(a.cache_write_tokens or 0) + (b.cache_write_tokens or 0),
        input_tokens=(a.input_tokens or 0) + (b.input_tokens or 0),
        output_tokens=(a.output_tokens or 0) + (b.output_tokens or 0),
        cached_input_tokens=(a.cached_input_tokens or 0) + (b.cached_input_tokens or 0),
    )
    assert known(cost(line, both)) == known(cost(line, a)) + known(cost(line, b))


@given(lines(), usages(), st.sampled_from(["input_tokens", "output_tokens"]))
def test_tokens_nobody_counted_make_a_paid_call_s_cost_unknown(
    line: PriceLine, usage: Usage, missing: str
) -> None:
    partial = Usage(
        input_tokens=None if missing == "input_tokens" else usage.input_tokens,
        output_tokens=None if missing == "output_tokens" else usage.output_tokens,
    )
    free = worst_case(line, 1, 1) == 0
    assert cost(line, partial) == (Decimal(0) if free else None)


@given(st.lists(st.integers(0, 400), unique=True, min_size=1), st.integers(-10, 410))
def test_the_line_that_holds_on_a_day_is_the_latest_that_has_come(
    starts: list[int], day: int
) -> None:
    book = PriceBook(
        PriceLine(
            id=f"p/m@{start}",
            provider="p",
            model="m",
            input_usd_per_1m=Decimal(start),
            output_usd_per_1m=Decimal(1),
            source="here",
            checked=DAY,
            valid_from=DAY + timedelta(days=start),
        )
        for start in starts
    )
    come = [start for start in starts if start <= day]
    found = book.find("p", "M", DAY + timedelta(days=day))
    assert (None if found is None else found.id) == (f"p/m@{max(come)}" if come else None)


@given(st.lists(st.decimals(min_value=0, max_value=10, places=12), max_size=30))
def test_sums_of_the_integer_column_are_the_exact_dollars(costs: list[Decimal]) -> None:
    pico = sum(money(usd)[1] or 0 for usd in costs)
    assert Fraction(dollars(pico)) == sum(map(Fraction, costs), Fraction(0))
