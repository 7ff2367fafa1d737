"""So many calls at once and no more: turns on the way to a target."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal

import pytest
from support.cloud import Cloud
from support.street import STALL, Ended, Play, Player, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.drive.way import Way
from router.errors import HopError, NotSent, Unavailable
from router.policy.rules import Policy, Race
from router.types import Ask, Chunk, Usage

POLICY = Policy(name="tested", revision="0" * 12, summary="", tiers=("device", "cloud"))


def test_so_many_calls_are_under_way_as_allowed_and_the_first_to_come_is_the_first_to_go() -> None:
    cloud = Cloud([2.0, *says("ok")], way=Way(max_in_flight=2))

    async def main() -> None:
        hops = []
        for _ in range(5):
            hops.append(asyncio.create_task(cloud.hop()))
            await asyncio.sleep(0.1)
        assert (cloud.way.in_flight, cloud.way.queued) == (2, 3)
        assert await asyncio.gather(*hops) == [None] * 5

    run_virtual(main())

    assert cloud.way.in_flight == cloud.way.queued == 0
    queued = [round(a.queue_s or 0, 3) for a in cloud.book.attempts]
    assert queued == [0, 0, 1.8, 1.8, 3.6]
    assert [a.total_s for a in cloud.book.attempts] == pytest.approx([2.0] * 5)


def test_who_leaves_the_queue_holds_nobody_up_and_is_booked_as_never_sent() -> None:
    cloud = Cloud([2.0, *says("ok")], way=Way(max_in_flight=1))

    async def main() -> None:
        hops = [asyncio.create_task(cloud.hop()) for _ in range(3)]
        await asyncio.sleep(1)
        hops[1].cancel()
        await asyncio.wait(hops)

    run_virtual(main())

    left, first, third = cloud.book.attempts
    assert (left.error_kind, left.reached, left.cost_usd) == ("cancelled", False, Decimal(0))
    assert left.queue_s == pytest.approx(1.0)
    assert left.estimate_usd is None
    assert [first.queue_s, third.queue_s] == pytest.approx([0.0, 2.0])
    assert cloud.player.count() == 2
    assert len(cloud.book.begun) == 3
    assert cloud.way.in_flight == cloud.way.queued == 0


def test_a_turn_that_comes_in_the_moment_of_leaving_goes_to_the_next() -> None:
    way = Way(max_in_flight=1)

    async def main() -> None:
        assert way.enter_now()
        second, third = (asyncio.create_task(way.enter()) for _ in range(2))
        await asyncio.sleep(0)
        way.leave()  # the turn is the second's now, who has not noticed
        second.cancel()
        await asyncio.wait([second, third])
        assert second.cancelled()
        assert third.done()
        assert not third.cancelled()

    asyncio.run(main())

    assert (way.in_flight, way.queued) == (1, 0)


def test_who_is_cancelled_in_the_moment_a_place_is_free_is_passed_over() -> None:
    way = Way(max_in_flight=1)

    async def main() -> None:
        assert way.enter_now()
        second = asyncio.create_task(way.enter())
        await asyncio.sleep(0)
        second.cancel()
        way.leave()
        await asyncio.wait([second])
        assert second.cancelled()

    asyncio.run(main())

    assert (way.in_flight, way.queued) == (0, 0)


def test_a_turn_that_does_not_come_before_the_deadline_is_not_sent() -> None:
    cloud = Cloud([STALL], way=Way(max_in_flight=1))

    async def main() -> HopError | None:
        holds = asyncio.create_task(cloud.hop())
        await asyncio.sleep(0)
        error = await cloud.hop(deadline_s=3)
        assert cloud.clock.now() == pytest.approx(3)
        assert cloud.last.out_of_time
        holds.cancel()
        await asyncio.wait([holds])
        return error

    error = run_virtual(main())

    assert isinstance(error, NotSent)
    assert (error.target, error.retryable) == ("cloud", False)
    assert "its turn did not come within 3.0 s: 1 calls are under way" in error.message
    first = cloud.book.attempts[0]
    assert (first.error_kind, first.queue_s, first.total_s) == ("not_sent", pytest.approx(3), 0)
    assert cloud.way.in_flight == 0


@pytest.mark.parametrize("play", [[Unavailable("no")], [ValueError("bug")], says("ok")])
def test_every_end_gives_the_turn_back(play: Play) -> None:
    cloud = Cloud(play, way=Way(max_in_flight=1), attempts=2)

    async def main() -> None:
        for _ in range(3):
            await cloud.hop(deadline_s=60)

    run_virtual(main())

    assert cloud.way.in_flight == 0


def test_the_turn_is_kept_until_the_work_has_stopped() -> None:
    seen: list[int] = []

    class Slow(Player):
        async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
            try:
                raise Unavailable("no")
                yield Chunk()
            finally:
                await self.clock.sleep(1)
                seen.append(cloud.way.in_flight)

    cloud = Cloud([], way=Way(max_in_flight=1))
    cloud.live = replace(cloud.live, provider=Slow([], cloud.clock))

    run_virtual(cloud.hop())

    assert seen == [1]


def test_usage_and_estimate_are_kept_apart() -> None:
    cut = Cloud([Chunk(text="a" * 40), Unavailable("broke")])

    run_virtual(cut.hop())

    (attempt,) = cut.book.attempts
    assert attempt.cost_usd is None
    assert attempt.estimate_usd == Decimal(10)
    assert attempt.usage == Usage()
    assert attempt.estimate == Usage(input_tokens=5, output_tokens=10)


def test_a_hop_that_is_overtaken_while_it_waits_for_its_turn_is_one_of_the_requests_hops() -> None:
    street = Street(clock=LoopClock())
    street.add("device", "device", says("never said"))
    street.add("cloud", "cloud", says("the cloud answers"))
    street.lives["device"] = replace(street.lives["device"], way=Way(max_in_flight=1))
    policy = replace(POLICY, race=Race(over_s=None, cost_usd=Decimal(1), after_s=1.0))
    assert street.lives["device"].way.enter_now()

    async def main() -> Ended:
        return await collected(street.stream(policy, ask()))

    ended = run_virtual(main())

    assert ended.text == "the cloud answers"
    first, second = ended.answer.hops
    assert (first.last.error_kind, first.last.reached, first.cost_usd) == ("cancelled", False, 0)
    assert first.last.queue_s == pytest.approx(1.0)
    assert ended.answer.answered_by == second.index == 1
    assert ended.answer.escalation_delay_s == pytest.approx(1.0)
    assert street.calls() == {"device": 0, "cloud": 1}
    assert street.lives["device"].way.queued == 0
    assert street.home.senses.speeds.first_token_p95_s("device") is None
