"""The share of first drafts that were not kept, by complexity."""

from __future__ import annotations

import pytest

from router.drive.chances import BANDS, LAST, LEAST, REVISIONS, Chances


def feed(chances: Chances, kept: int, not_kept: int, at: float = 0.5, revision: str = "r") -> None:
    for number in range(kept + not_kept):
        chances.saw(revision, at, kept=number < kept)


def test_nothing_is_said_until_twenty_were_seen() -> None:
    chances = Chances()
    feed(chances, kept=10, not_kept=LEAST - 11)

    assert chances.chance("r", 0.5) is None
    chances.saw("r", 0.5, kept=False)
    assert chances.chance("r", 0.5) == 0.5


def test_only_the_last_two_hundred_count() -> None:
    chances = Chances()
    feed(chances, kept=0, not_kept=LAST)
    feed(chances, kept=LAST // 4, not_kept=0)

    assert chances.chance("r", 0.5) == 0.75
    feed(chances, kept=LAST, not_kept=0)
    assert chances.chance("r", 0.5) == 0


@pytest.mark.parametrize(
    ("seen_at", "asked_at", "alike"),
    [(0.0, 0.19, True), (0.19, 0.2, False), (0.8, 1.0, True), (0.79, 0.8, False), (1.0, 0.9, True)],
)
def test_requests_are_alike_within_a_fifth(seen_at: float, asked_at: float, alike: bool) -> None:
    chances = Chances()
    feed(chances, kept=LEAST, not_kept=0, at=seen_at)

    assert (chances.chance("r", asked_at) == 0.0) is alike


def test_each_revision_of_a_policy_is_counted_by_itself() -> None:
    chances = Chances()
    feed(chances, kept=LEAST, not_kept=0, revision="old")
    feed(chances, kept=0, not_kept=LEAST, revision="new")

    assert (chances.chance("old", 0.5), chances.chance("new", 0.5)) == (0.0, 1.0)
    assert chances.chance("other", 0.5) is None


def test_the_revision_unheard_of_for_longest_is_dropped() -> None:
    chances = Chances()
    for number in range(REVISIONS):
        feed(chances, kept=LEAST, not_kept=0, revision=f"r{number}")
    feed(chances, kept=1, not_kept=0, revision="r0")
    feed(chances, kept=LEAST, not_kept=0, revision="another")

    assert chances.chance("r0", 0.5) == 0.0
    assert chances.chance("r1", 0.5) is None
    assert chances.chance("another", 0.5) == 0.0


def test_the_bands_cover_all_of_zero_to_one() -> None:
    chances = Chances()
    for step in range(101):
        for _ in range(LEAST):
            chances.saw("r", step / 100, kept=True)

    assert all(chances.chance("r", step / 100) == 0.0 for step in range(101))
    assert BANDS == 5
