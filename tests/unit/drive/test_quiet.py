"""A target that asked for quiet: waited for if that is short, else left alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.cloud import Cloud
from support.street import Street, ask, says
from support.virtual import run_virtual

from router.clock import ManualClock
from router.drive.way import LONGEST_WAIT_S, Way
from router.errors import HopError, NotSent, RateLimited, Unavailable
from router.policy.rules import Limits, Policy
from router.types import Chunk, RateLimit, Transit

POLICY = Policy(name="tested", revision="0" * 12, summary="", tiers=("device", "cloud"))


def told(limit: RateLimit) -> Chunk:
    return Chunk(transit=Transit(connect_s=0.125, limit=limit))


def test_a_target_that_asked_for_quiet_is_waited_for_if_that_is_short() -> None:
    empty = RateLimit(remaining_requests=0, reset_requests_s=0.012, remaining_tokens=500)
    cloud = Cloud([told(empty), *says("ok")], says("ok"))

    async def main() -> None:
        await cloud.hop()
        await cloud.hop()

    run_virtual(main())

    assert [a.queue_s for a in cloud.book.attempts] == pytest.approx([0.0, 0.012])
    assert [a.connect_s for a in cloud.book.attempts] == [0.125, None]


@pytest.mark.parametrize(("quiet_s", "deadline_s"), [(360.0, None), (5.0, 4.0)])
def test_a_target_that_asked_for_more_quiet_than_can_be_waited_is_not_called(
    quiet_s: float, deadline_s: float | None
) -> None:
    empty = RateLimit(remaining_tokens=0, reset_tokens_s=quiet_s)
    cloud = Cloud([told(empty), *says("ok")])

    async def main() -> None:
        assert await cloud.hop() is None
        error = await cloud.hop(deadline_s)
        assert isinstance(error, NotSent)
        assert f"it asked for {quiet_s:g} s" in error.message
        await asyncio.sleep(quiet_s)
        assert await cloud.hop(deadline_s) is None

    run_virtual(main())

    assert cloud.player.count() == 2


def test_what_is_learnt_while_a_call_stands_in_line_keeps_it_from_being_made() -> None:
    limited = RateLimited("slow down", status=429, retry_after_s=600)
    cloud = Cloud([2.0, limited], way=Way(max_in_flight=1))

    async def main() -> list[HopError | None]:
        return await asyncio.gather(*(cloud.hop() for _ in range(4)))

    errors = run_virtual(main())

    assert errors[0] is limited
    assert [type(error) for error in errors[1:]] == [NotSent] * 3
    assert cloud.player.count() == 1
    assert cloud.way.in_flight == cloud.way.queued == 0


def test_a_retry_that_may_not_be_made_leaves_the_first_error_standing() -> None:
    """While one waits to try again, another call of the same target is told to keep away."""
    cloud = Cloud([Unavailable("broke")], attempts=3)

    async def main() -> HopError | None:
        hop = asyncio.create_task(cloud.hop())
        await asyncio.sleep(0.25)
        cloud.way.ended(RateLimited("", retry_after_s=600), None, began=0.25, now=0.25)
        return await hop

    error = run_virtual(main())

    assert type(error) is Unavailable
    assert [a.error_kind for a in cloud.book.attempts] == ["unavailable"]


def test_the_newest_word_counts_and_an_older_call_does_not_unsay_it() -> None:
    way = Way()
    way.ended(RateLimited("", retry_after_s=30), None, began=5, now=6)

    way.ended(None, None, began=4, now=7)  # it had begun before
    assert way.quiet_s(8) == 28

    way.ended(RateLimited("", retry_after_s=10), None, began=6, now=7)
    assert way.quiet_s(8) == 28

    way.ended(None, None, began=8, now=9)
    assert way.quiet_s(9) == 0


def test_a_limit_in_the_middle_of_an_answer_is_heard_too() -> None:
    way = Way()
    way.ended(RateLimited("", retry_after_s=30), Transit(), began=0, now=1)

    assert way.quiet_s(1) == 30


def test_a_daily_limit_keeps_the_target_away_until_it_is_over() -> None:
    way = Way()
    way.ended(RateLimited("daily", retryable=False, retry_after_s=7200), None, began=0, now=0)

    assert way.barred(60, None) == "it asked for 7200 s, and 7140 s of them are left"
    assert way.barred(7200, None) == ""


def test_the_longest_wait_is_one_and_the_same_before_and_between_calls() -> None:
    way = Way()
    way.ended(RateLimited("", retry_after_s=LONGEST_WAIT_S), None, began=0, now=0)

    assert way.barred(0, None) == ""
    assert way.barred(0, LONGEST_WAIT_S) != ""


def test_a_skipped_target_is_in_the_trace_and_the_next_of_its_tier_answers() -> None:
    clock = ManualClock()
    street = Street(clock=clock)
    street.add("first", "cloud", says("from the first"))
    street.add("second", "cloud", says("from the second"))
    street.lives["first"].way.ended(
        RateLimited("", retry_after_s=100), None, began=clock.now(), now=clock.now()
    )

    ended = street.run(replace(POLICY, limits=Limits(deadline_s=20)), ask())

    assert ended.text == "from the second"
    assert len(ended.answer.hops) == 1
    lines = "\n".join(ended.answer.trace.lines(ended.answer.hops))
    assert "first skipped: it asked for 100 s, and 100 s of them are left" in lines
