"""When a thing ends by its sources: what is said when, and that no source is lost."""

from __future__ import annotations

from datetime import date

import pytest

from router.catalogue.life import End, Life, State

EARLY = End(on=date(2026, 10, 1), source="the vendor's page")
LATE = End(on=date(2027, 4, 14), source="a table")
BOTH = Life(what="model m", ends=(EARLY, LATE), successors="n")
ONE = Life(what="model m", ends=(EARLY,), successors="n")


@pytest.mark.parametrize(
    ("life", "on", "state"),
    [
        (Life(what="model m"), date(2099, 1, 1), "alive"),
        (ONE, date(2026, 8, 1), "alive"),
        (ONE, date(2026, 8, 2), "ending"),
        (ONE, date(2026, 9, 30), "ending"),
        (ONE, date(2026, 10, 1), "ended"),
        (BOTH, date(2026, 9, 30), "ending"),
        (BOTH, date(2026, 10, 1), "disputed"),
        (BOTH, date(2027, 4, 13), "disputed"),
        (BOTH, date(2027, 4, 14), "ended"),
    ],
)
def test_a_warning_comes_sixty_days_before_the_earliest_day_and_the_end_with_the_last(
    life: Life, on: date, state: State
) -> None:
    assert life.state(on) == state


def test_it_says_when_by_whose_word_and_what_to_use_instead() -> None:
    assert ONE.says(date(2026, 9, 30)) == (
        "model m retires on 2026-10-01 (the vendor's page), in 1 day; use n"
    )
    assert ONE.says(date(2026, 9, 29)).endswith("in 2 days; use n")
    assert ONE.says(date(2026, 10, 1)) == (
        "model m was retired on 2026-10-01 (the vendor's page); use n"
    )
    assert Life(what="model m").says(date(2026, 10, 1)) == ""


@pytest.mark.parametrize("on", [date(2026, 9, 30), date(2026, 11, 22), date(2028, 1, 1)])
def test_sources_that_disagree_are_both_shown(on: date) -> None:
    assert BOTH.conflict
    assert "2026-10-01 (the vendor's page)" in BOTH.says(on)
    assert "2027-04-14 (a table)" in BOTH.says(on)


def test_sources_that_agree_are_no_conflict() -> None:
    again = End(on=EARLY.on, source="another")
    assert not Life(what="model m", ends=(EARLY, again)).conflict
