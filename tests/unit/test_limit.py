"""One timer for all steps of a call: it strikes inside them only, and owns only its own stroke."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from support.virtual import run_virtual

from router.limit import Limit


def test_steps_within_the_time_pass() -> None:
    async def main() -> list[int]:
        limit = Limit(3.0)
        found = []
        for number in range(3):
            found.append(await limit.step(partial(asyncio.sleep, 0.9, number)))
        limit.stop()
        await asyncio.sleep(10)
        return found

    assert run_virtual(main()) == [0, 1, 2]


def test_a_step_over_the_time_ends_there_and_the_task_goes_on() -> None:
    async def main() -> float:
        limit = Limit(3.0)
        with pytest.raises(TimeoutError):
            await limit.step(lambda: asyncio.sleep(60))
        assert limit.over
        ended = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return ended

    assert run_virtual(main()) == 3.0


def test_between_two_steps_it_does_not_strike_and_the_next_step_is_over_at_once() -> None:
    async def main() -> float:
        limit = Limit(1.0)
        await asyncio.sleep(5)
        with pytest.raises(TimeoutError):
            await limit.step(lambda: asyncio.sleep(60))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5.0


def test_a_step_after_the_time_is_not_begun_and_leaves_the_caller_alone() -> None:
    begun = 0

    async def at_once() -> int:
        nonlocal begun
        begun += 1
        return begun

    async def main() -> int:
        limit = Limit(1.0)
        assert await limit.step(at_once) == 1
        await asyncio.sleep(5)
        with pytest.raises(TimeoutError):
            await limit.step(at_once)
        await asyncio.sleep(0)  # a cancellation that is still owed would come here
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run_virtual(main()) == 0
    assert begun == 1


def test_a_cancellation_from_outside_stays_one_even_at_the_same_moment() -> None:
    async def main() -> None:
        async def step() -> None:
            await Limit(1.0).step(lambda: asyncio.sleep(60))

        task = asyncio.create_task(step())
        asyncio.get_running_loop().call_later(1.0, task.cancel)
        await asyncio.wait({task})
        assert task.cancelled()

    run_virtual(main())


def test_a_step_that_swallows_the_stroke_leaves_the_task_uncancelled() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "went on"
        return "never"

    async def main() -> tuple[str, int]:
        said = await Limit(1.0).step(stubborn)
        task = asyncio.current_task()
        assert task is not None
        return said, task.cancelling()

    assert run_virtual(main()) == ("went on", 0)
