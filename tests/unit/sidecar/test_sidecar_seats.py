"""`max_in_flight` of a target holds for all workers together, and who came first goes first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual import run_virtual

from router.drive.way import Way
from router.errors import ConfigError
from router.sidecar import seats as rooms
from router.sidecar.board import Board
from router.sidecar.seats import SharedSeats, vacate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one process answers there")

WORKERS = 3
SECOND = 10**9


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.make(WORKERS)
    yield made
    made.close()


class Now:
    """Nanoseconds that go on by themselves, a little."""

    def __init__(self) -> None:
        self.ns = 1

    def __call__(self) -> int:
        self.ns += 1
        return self.ns


def seats(board: Board, most: int, now: Now, target: str = "cloud") -> list[SharedSeats]:
    each = (Board(board.fd, board.workers, number) for number in range(WORKERS))
    return [SharedSeats(one, target, most, now) for one in each]


ACTIONS = st.lists(
    st.tuples(st.just("come"), st.integers(0, WORKERS - 1))
    | st.tuples(st.sampled_from(["end", "rest"]), st.just(0))
    | st.tuples(st.just("cancel"), st.integers(0, 12)),
    max_size=40,
)


@given(most=st.integers(1, 3), actions=ACTIONS)
@settings(max_examples=60, deadline=None)
def test_calls_of_all_workers_are_never_more_than_allowed_and_go_in_the_order_they_came(
    most: int, actions: list[tuple[str, int]]
) -> None:
    board, now = Board.make(WORKERS), Now()
    ways = [Way(max_in_flight=most) for _ in range(WORKERS)]
    for way, shared in zip(ways, seats(board, most, now), strict=True):
        way.seats = shared
    came: list[asyncio.Task[None]] = []
    inside: list[Way] = []
    order: list[int] = []

    async def turn(index: int, way: Way) -> None:
        await way.enter()
        order.append(index)
        inside.append(way)

    async def rest() -> None:
        await asyncio.sleep(0.02)  # of the loop's own time; some looks of those that wait

    async def main() -> None:
        for action, value in actions:
            if action == "come":
                came.append(asyncio.create_task(turn(len(came), ways[value])))
            elif action == "end" and inside:
                inside.pop(0).leave()
            elif action == "rest":
                await rest()
            elif action == "cancel" and value < len(came):
                came[value].cancel()
            await asyncio.sleep(0)
            assert len(inside) <= sum(way.in_flight for way in ways) == ways[0].taken <= most
        await rest()
        while inside:
            inside.pop(0).leave()
            await rest()
        assert all(task.done() for task in came)

    run_virtual(main())
    board.close()

    assert [(way.in_flight, way.queued) for way in ways] == [(0, 0)] * WORKERS
    assert order == sorted(order)
    left = {index for index, task in enumerate(came) if task.cancelled()}
    assert left | set(order) == set(range(len(came)))


def test_who_comes_later_takes_no_seat_before_who_waits_elsewhere(board: Board) -> None:
    first, second, _ = seats(board, 1, Now())
    assert second.take(10)
    assert not first.take(20)
    first.wait(20)
    second.give()

    assert not second.take(30)
    assert first.take(20)
    first.wait(None)
    first.give()
    assert second.take(30)


def test_a_worker_that_no_longer_says_that_it_waits_holds_nobody_up(board: Board) -> None:
    now = Now()
    first, second, _ = seats(board, 1, now)
    first.wait(5)
    assert not second.take(10)
    now.ns += 2 * SECOND

    assert second.take(10)


def test_the_calls_of_a_worker_that_is_gone_are_over_and_no_others(board: Board) -> None:
    first, second, _ = seats(board, 2, Now())
    other = seats(board, 1, Now(), "other")[0]
    assert [first.take(1), second.take(2), second.take(3), other.take(4)] == [True] * 2 + [
        False,
        True,
    ]
    second.wait(3)
    vacate(board, 0)

    assert (second.taken, other.taken) == (1, 0)
    assert second.take(3)
    assert not second.take(5)


def test_a_worker_in_the_place_of_another_begins_with_none(board: Board) -> None:
    first, second, _ = seats(board, 1, Now())
    first.take(1)
    seats(board, 1, Now())

    assert second.take(2)


def test_targets_are_bounded_apart(board: Board) -> None:
    assert seats(board, 1, Now())[0].take(1)
    assert seats(board, 1, Now(), "other")[1].take(2)


def test_more_targets_than_there_is_room_for_are_refused(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "TARGETS", 2)
    for number in range(2):
        seats(board, 1, Now(), str(number))

    with pytest.raises(ConfigError, match="more than 2 targets with `max_in_flight`"):
        seats(board, 1, Now(), "one more")


def test_the_next_of_the_same_worker_goes_at_once(board: Board) -> None:
    way = Way(max_in_flight=1)
    way.seats = seats(board, 1, Now())[0]

    async def main() -> None:
        await way.enter()
        waits = asyncio.create_task(way.enter())
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        way.leave()
        await waits
        assert asyncio.get_running_loop().time() == began

    run_virtual(main())


HAMMER = """
import os, sys
from router.sidecar.board import Board
from router.sidecar.seats import SharedSeats
fd, number, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seats = SharedSeats(Board(fd, 3, number), "cloud", 1)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(1000):
    while not seats.take(seats.number()):
        pass
    os.close(os.open(path, os.O_CREAT | os.O_EXCL))  # fails where somebody else is
    os.unlink(path)
    seats.give()
print("done", flush=True)
"""


def test_processes_that_race_for_the_last_seat_never_have_it_both(
    board: Board, tmp_path: Path
) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(board.fd), str(number), str(tmp_path / "one")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[board.fd],
        )
        for number in range(WORKERS)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()

        said = [racer.communicate(timeout=30)[0] for racer in racers]
        assert said == ["done\n"] * WORKERS
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
