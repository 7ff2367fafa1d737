"""Time as a value: two clocks and a deadline."""

from __future__ import annotations

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from router.clock import Deadline, ManualClock, SystemClock


def test_the_manual_clock_stands_still_until_it_is_turned() -> None:
    clock = ManualClock(now=5, wall=1000)

    assert (clock.now(), clock.wall()) == (5, 1000)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (7.5, 1002.5)


def test_sleeping_turns_the_manual_clock_and_lets_others_run() -> None:
    clock, seen = ManualClock(), []

    async def other() -> None:
        seen.append(clock.now())

    async def main() -> None:
        task = asyncio.create_task(other())
        await clock.sleep(60)
        await task

    asyncio.run(main())

    assert (seen, clock.now()) == ([60], 60)


def test_the_system_clock_tells_the_time_and_waits() -> None:
    clock = SystemClock()
    started = clock.now()

    asyncio.run(clock.sleep(0.02))

    assert clock.now() - started >= 0.015
    assert abs(clock.wall() - time.time()) < 5


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_deadline_counts_down_to_nothing_and_stays_there(seconds: float, gone: float) -> None:
    deadline = Deadline.after(seconds, now=100)
    left = deadline.left_s(100 + gone)

    assert left is not None
    assert left >= 0
    assert deadline.over(100 + gone) == (left == 0)


def test_without_seconds_a_deadline_never_comes() -> None:
    never = Deadline.after(None, now=0)

    assert never.left_s(1e12) is None
    assert not never.over(1e12)
