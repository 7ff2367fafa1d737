"""Turns on the way to a target, whatever callers do."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from router.drive.way import Way

ACTIONS = st.lists(
    st.sampled_from(["come", "come", "come", "end", "cancel", "rest"])
    | st.tuples(st.just("cancel at"), st.integers(0, 5)),
    max_size=40,
)


@given(most=st.integers(1, 3), actions=ACTIONS)
def test_turns_are_never_more_than_allowed_never_lost_and_go_to_who_came_first(
    most: int, actions: list[str | tuple[str, int]]
) -> None:
    way = Way(max_in_flight=most)
    came: list[asyncio.Task[None]] = []
    order: list[int] = []
    inside: list[int] = []

    async def turn(index: int) -> None:
        await way.enter()
        order.append(index)
        inside.append(index)

    async def rest() -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def main() -> None:
        for action in actions:
            if action == "come":
                came.append(asyncio.create_task(turn(len(came))))
            elif action == "end" and inside:
                inside.pop(0)
                way.leave()
            elif action == "rest":
                await rest()
            elif action == "cancel" and came:
                came[-1].cancel()
            elif isinstance(action, tuple) and len(came) > action[1]:
                came[action[1]].cancel()
            assert len(inside) <= way.in_flight <= most
        await rest()
        while inside:
            inside.pop(0)
            way.leave()
            await rest()
        assert all(task.done() for task in came)

    asyncio.run(main())

    assert (way.in_flight, way.queued) == (0, 0)
    assert order == sorted(order)
    left = {i for i, task in enumerate(came) if task.cancelled()}
    assert left | set(order) == set(range(len(came)))


@given(st.lists(st.tuples(st.floats(0, 30), st.none() | st.floats(0, 100)), max_size=20))
def test_nobody_is_kept_away_for_longer_than_somebody_asked(
    events: list[tuple[float, float | None]],
) -> None:
    from router.errors import RateLimited

    way, now, furthest = Way(), 0.0, 0.0
    for wait, asked in events:
        began, now = now, now + wait
        error = None if asked is None else RateLimited("", retry_after_s=asked)
        way.ended(error, None, began=began, now=now)
        furthest = max(furthest, now + (asked or 0))
        assert 0 <= way.quiet_s(now) <= furthest - now
        assert bool(way.barred(now, 0.0)) == bool(way.quiet_s(now))
        assert way.barred(furthest, None) == ""
