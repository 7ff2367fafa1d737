"""When a target is left alone, and for how long."""

from __future__ import annotations

import pytest

from router.clock import ManualClock
from router.drive.breaker import (
    AUTH_OPEN_S,
    FAILURES,
    FIRST_OPEN_S,
    LEFT_ALONE_OPEN_S,
    LONGEST_OPEN_S,
    NOTHING_AGAINST,
    Breakers,
)
from router.errors import HopError


def kinds(error: type[HopError] = HopError) -> set[str]:
    return {error.kind}.union(*(kinds(sub) for sub in error.__subclasses__()))


AGAINST = sorted(kinds() - NOTHING_AGAINST - {"auth_failed", "gone"})


def opened(clock: ManualClock) -> Breakers:
    breakers = Breakers(clock)
    for _ in range(FAILURES):
        breakers.saw("cloud", "unavailable")
    assert breakers.state("cloud") == "open"
    return breakers


def test_a_target_never_seen_is_closed() -> None:
    breakers = Breakers(ManualClock())

    assert breakers.state("cloud") == "closed"
    assert breakers.lets("cloud")


def test_every_kind_of_error_is_judged() -> None:
    assert AGAINST == ["bad_wire", "failed", "rate_limited", "timed_out", "unavailable"]
    assert sorted(NOTHING_AGAINST) == [
        "aborted",
        "cancelled",
        "filtered",
        "incapable",
        "not_sent",
        "refused",
    ]


@pytest.mark.parametrize("kind", AGAINST)
def test_the_fifth_failure_in_a_row_opens(kind: str) -> None:
    breakers = Breakers(ManualClock())
    for _ in range(FAILURES - 1):
        breakers.saw("cloud", kind)
    assert breakers.lets("cloud")
    breakers.saw("cloud", kind)

    assert not breakers.lets("cloud")
    assert breakers.lets("device")


def test_a_success_breaks_the_row() -> None:
    breakers = Breakers(ManualClock())
    for kind in (["timed_out"] * (FAILURES - 1) + [None]) * 3:
        breakers.saw("cloud", kind)

    assert breakers.state("cloud") == "closed"


@pytest.mark.parametrize("kind", sorted(NOTHING_AGAINST))
def test_what_is_about_the_request_neither_counts_nor_breaks_the_row(kind: str) -> None:
    breakers = Breakers(ManualClock())
    for _ in range(3 * FAILURES):
        breakers.saw("cloud", kind)
    assert breakers.state("cloud") == "closed"

    for _ in range(FAILURES - 1):
        breakers.saw("cloud", "unavailable")
        breakers.saw("cloud", kind)
    assert breakers.state("cloud") == "closed"
    breakers.saw("cloud", "unavailable")
    assert breakers.state("cloud") == "open"


def test_open_ends_after_its_time_and_asking_uses_nothing_up() -> None:
    clock = ManualClock()
    breakers = opened(clock)
    clock.advance(FIRST_OPEN_S - 0.001)
    assert not breakers.lets("cloud")
    clock.advance(0.001)

    assert all(breakers.lets("cloud") for _ in range(50))
    assert breakers.state("cloud") == "half_open"


def test_a_success_at_half_open_closes_and_forgets() -> None:
    clock = ManualClock()
    breakers = opened(clock)
    clock.advance(FIRST_OPEN_S)
    breakers.saw("cloud", None)
    assert breakers.state("cloud") == "closed"

    for _ in range(FAILURES - 1):
        breakers.saw("cloud", "unavailable")
    assert breakers.state("cloud") == "closed"
    breakers.saw("cloud", "unavailable")
    clock.advance(FIRST_OPEN_S)
    assert breakers.state("cloud") == "half_open"


@pytest.mark.parametrize("kind", sorted(NOTHING_AGAINST))
def test_half_open_waits_for_a_result_that_says_something(kind: str) -> None:
    clock = ManualClock()
    breakers = opened(clock)
    clock.advance(FIRST_OPEN_S)
    breakers.saw("cloud", kind)

    assert breakers.state("cloud") == "half_open"


def test_each_failure_at_half_open_doubles_the_time_up_to_a_bound() -> None:
    clock = ManualClock()
    breakers = opened(clock)
    waits = [60, 120, 240, LONGEST_OPEN_S, LONGEST_OPEN_S]
    clock.advance(FIRST_OPEN_S)
    for wait in waits:
        assert breakers.state("cloud") == "half_open"
        breakers.saw("cloud", "timed_out")
        clock.advance(wait - 0.001)
        assert breakers.state("cloud") == "open"
        clock.advance(0.002)


def test_failures_of_calls_already_under_way_do_not_keep_it_open_longer() -> None:
    clock = ManualClock()
    breakers = opened(clock)
    clock.advance(FIRST_OPEN_S / 2)
    for _ in range(3 * FAILURES):
        breakers.saw("cloud", "timed_out")
    clock.advance(FIRST_OPEN_S / 2)

    assert breakers.state("cloud") == "half_open"


def test_a_success_of_a_call_already_under_way_closes_an_open_one() -> None:
    breakers = opened(ManualClock())
    breakers.saw("cloud", None)

    assert breakers.lets("cloud")


def test_a_key_that_is_turned_away_opens_at_once_and_for_longer() -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    breakers.saw("cloud", "auth_failed")
    clock.advance(AUTH_OPEN_S - 0.001)
    assert breakers.state("cloud") == "open"
    clock.advance(0.001)
    assert breakers.state("cloud") == "half_open"
    breakers.saw("cloud", "auth_failed")
    clock.advance(AUTH_OPEN_S - 0.001)
    assert breakers.state("cloud") == "open"


def test_what_is_gone_stays_open() -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    breakers.saw("cloud", "gone")
    clock.advance(10 * 365 * 24 * 3600)
    assert breakers.state("cloud") == "open"

    breakers.saw("cloud", "auth_failed")
    clock.advance(10 * AUTH_OPEN_S)
    assert not breakers.lets("cloud")


def test_a_target_that_its_own_host_left_alone_is_left_alone_at_once() -> None:
    clock = ManualClock()
    breakers = Breakers(clock)
    breakers.saw("device", "unavailable", "left_alone")
    assert breakers.state("device") == "open"

    clock.advance(LEFT_ALONE_OPEN_S)
    assert breakers.state("device") == "half_open"
