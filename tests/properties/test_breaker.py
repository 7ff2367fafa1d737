"""An open breaker lets nothing through, whatever was seen and whenever it is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.clock import ManualClock
from router.drive.breaker import (
    AUTH_OPEN_S,
    FAILURES,
    FIRST_OPEN_S,
    LONGEST_OPEN_S,
    NOTHING_AGAINST,
    Breakers,
)

AGAINST = st.sampled_from(["unavailable", "timed_out", "bad_wire", "rate_limited", "failed"])
NEUTRAL = st.sampled_from(sorted(NOTHING_AGAINST))
KIND = AGAINST | NEUTRAL | st.none() | st.sampled_from(["auth_failed", "gone"])
EVENTS = st.lists(st.tuples(st.floats(0, 400), KIND), max_size=40)


@given(EVENTS)
def test_an_open_breaker_lets_nothing_through_and_the_others_let_all(
    events: list[tuple[float, str | None]],
) -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    for wait, kind in events:
        clock.advance(wait)
        breakers.saw("cloud", kind)
        asked = {breakers.lets("cloud") for _ in range(3)}
        assert asked == {breakers.state("cloud") != "open"}
        assert breakers.lets("device")


@given(EVENTS, st.sampled_from(["unavailable", "timed_out", "auth_failed"]))
def test_whatever_was_seen_enough_failures_shut_it(
    events: list[tuple[float, str | None]], kind: str
) -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    for wait, seen in events:
        clock.advance(wait)
        breakers.saw("cloud", seen)
    for _ in range(FAILURES):
        breakers.saw("cloud", kind)

    assert not breakers.lets("cloud")


@given(EVENTS.map(lambda events: [e for e in events if e[1] != "gone"]))
def test_what_is_not_gone_is_tried_again_within_the_bound(
    events: list[tuple[float, str | None]],
) -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    for wait, kind in events:
        clock.advance(wait)
        breakers.saw("cloud", kind)
    clock.advance(max(LONGEST_OPEN_S, AUTH_OPEN_S) + 0.001)

    assert breakers.lets("cloud")


@given(EVENTS, st.floats(0.001, 1))
def test_from_an_end_that_opens_it_nothing_passes_for_at_least_thirty_seconds(
    events: list[tuple[float, str | None]], share: float
) -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    for wait, kind in events:
        clock.advance(wait)
        before = breakers.state("cloud")
        breakers.saw("cloud", kind)
        if before != "open" and breakers.state("cloud") == "open":
            clock.advance((FIRST_OPEN_S - 0.002) * share)
            assert not breakers.lets("cloud")


@given(EVENTS.map(lambda events: [e for e in events if e[1] in NOTHING_AGAINST or e[1] is None]))
def test_what_says_nothing_against_a_target_never_shuts_it(
    events: list[tuple[float, str | None]],
) -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    for wait, kind in events:
        clock.advance(wait)
        breakers.saw("cloud", kind)
        assert breakers.state("cloud") == "closed"
