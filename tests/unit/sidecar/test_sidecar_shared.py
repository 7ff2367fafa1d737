"""What workers share is as if one process had it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.clock import ManualClock, SystemClock
from router.drive.purse import Purse, Reservation
from router.drive.toolloops import ToolLoops
from router.errors import ConfigError
from router.sidecar import board as boards
from router.sidecar.board import Board, Row
from router.sidecar.rate import Bucket, Rate
from router.sidecar.shared import Shared, SharedBucket, SharedLoops, SharedPurse, bury
from router.sidecar.together import Together
from router.types import Message, ToolCall

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one process answers there")

NOON = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))
CENT = Decimal("0.01")
WORKERS = 3


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.make(WORKERS)
    yield made
    made.close()


def seen_by(board: Board, number: int) -> Board:
    return Board(board.fd, board.workers, number)


def purses(board: Board, clock: ManualClock, name: str = "web") -> list[SharedPurse]:
    return [SharedPurse(clock, seen_by(board, number), name) for number in range(WORKERS)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 2), st.integers(0, 10**6)),
        st.tuples(st.just("aside"), st.integers(0, 2), st.integers(0, 10**6)),
        st.tuples(st.just("settle"), st.integers(0, 2), st.integers(0, 10**6)),
        st.tuples(st.just("nobody knows"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 100_000)),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_a_purse_of_three_workers_is_as_one_purse(steps: list[tuple[str, int, int]]) -> None:
    board = Board.make(WORKERS)
    clock = ManualClock(wall=NOON)
    one, shared = Purse(clock), purses(board, clock)
    opened: list[tuple[int, Reservation, Reservation]] = []
    for what, number, value in steps:
        usd = Decimal(value).scaleb(-12)
        if what == "reserve":
            opened.append((number, one.reserve(usd), shared[number].reserve(usd)))
        elif what == "aside":
            alone, left = one.set_aside(usd, CENT)
            together, left_of_all = shared[number].set_aside(usd, CENT)
            assert (together.usd, left_of_all) == (alone.usd, left)
            opened.append((number, alone, together))
        elif what == "wait":
            clock.advance(value)
        elif opened:
            whose, alone, together = opened.pop()
            one.settle(alone, None if what == "nobody knows" else usd)
            shared[whose].settle(together, None if what == "nobody knows" else usd)
        for purse in shared:
            assert (purse.spent_usd(), purse.complete) == (one.spent_usd(), one.complete)
    board.close()


def test_settling_twice_or_what_is_no_amount_changes_nothing(board: Board) -> None:
    purse, other, _ = purses(board, ManualClock(wall=NOON))
    reservation = purse.reserve(5 * CENT)
    with pytest.raises(ValueError, match="not an amount"):
        purse.settle(reservation, Decimal(-1))
    with pytest.raises(ValueError, match="not an amount"):
        purse.reserve(Decimal("NaN"))
    purse.settle(reservation, 2 * CENT)
    purse.settle(reservation, 9 * CENT)

    assert other.spent_usd() == 2 * CENT


def test_amounts_are_exact_and_the_largest_leave_the_record_whole(board: Board) -> None:
    purse, other, _ = purses(board, ManualClock(wall=NOON))
    price = Decimal("0.000000123456789012")
    for _ in range(1000):
        purse.settle(purse.reserve(price), price)
    assert other.spent_usd() == 1000 * price

    purse.settle(purse.reserve(Decimal("1e400")), Decimal(0))
    assert other.spent_usd() == 1000 * price


def test_two_names_are_two_purses(board: Board) -> None:
    clock = ManualClock(wall=NOON)
    web, batch = purses(board, clock)[0], purses(board, clock, "batch")[1]
    web.reserve(CENT)

    assert batch.spent_usd() == 0


def test_what_a_dead_worker_had_set_aside_is_spent(board: Board) -> None:
    clock = ManualClock(wall=time.time())
    dead, alive, _ = purses(board, clock)
    dead.reserve(3 * CENT)
    lives_on = alive.reserve(CENT)
    bury(board, 0)
    assert alive.spent_usd() == 4 * CENT

    alive.settle(lives_on, Decimal(0))
    assert alive.spent_usd() == 3 * CENT
    if date.fromtimestamp(clock.wall()) == date.today():
        clock.advance(48 * 3600)
        assert alive.spent_usd() == 0


class Mortal(Board):
    """Of a worker that is killed before its n-th write."""

    left = 10**6

    def write(self, data: bytes, at: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise SystemExit
        super().write(data, at)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_worker_that_dies_between_two_writes_leaves_no_budget_behind(
    board: Board, writes: int
) -> None:
    clock = ManualClock(wall=time.time())
    mine = Mortal(board.fd, board.workers, 0)
    dead, alive = SharedPurse(clock, mine, "web"), purses(board, clock)[1]
    mine.left = writes
    try:
        dead.reserve(CENT)
    except SystemExit:
        assert writes < 2
    bury(board, 0)
    spent_usd = alive.spent_usd()
    clock.advance(48 * 3600)

    assert spent_usd in (0, CENT)
    assert alive.spent_usd() == 0
    assert alive.set_aside(CENT, CENT)[1] == CENT


def test_a_key_that_came_back_while_it_was_asked_leaves_nothing_open(board: Board) -> None:
    clock = ManualClock(wall=time.time())
    before, alive = purses(board, clock)[0], purses(board, clock)[1]
    first = before.reserve(5 * CENT)
    after = SharedPurse(clock, seen_by(board, 0), "web")
    second = after.reserve(3 * CENT)
    before.settle(first, CENT)
    after.settle(second, CENT)
    bury(board, 0)
    assert alive.spent_usd() == 2 * CENT

    clock.advance(48 * 3600)
    assert alive.spent_usd() == 0


def test_a_rate_is_one_rate_whoever_is_asked(board: Board) -> None:
    clock = ManualClock(now=1000.0)
    rate = Rate(5, 60.0)
    one = Bucket(rate, clock)
    shared = [SharedBucket(rate, clock, seen_by(board, number), "web") for number in range(3)]
    for turn in range(40):
        assert shared[turn % 3].take() == pytest.approx(one.take())
        clock.advance(3.0 if turn % 4 else 11.0)


def test_another_rate_or_another_key_begins_full(board: Board) -> None:
    shared = Shared(ManualClock(now=5.0), seen_by(board, 0))
    assert shared.bucket("web", Rate(1, 60.0)).take() is None
    assert shared.bucket("web", Rate(1, 60.0)).take() is not None
    assert shared.bucket("web", Rate(1, 30.0)).take() is None
    assert shared.bucket("batch", Rate(1, 60.0)).take() is None


HAMMER = """
import json, sys, time
from decimal import Decimal
from router.clock import SystemClock
from router.sidecar.board import Board
from router.sidecar.rate import Rate
from router.sidecar.shared import SharedBucket, SharedPurse
fd, number = int(sys.argv[1]), int(sys.argv[2])
board = Board(fd, 3, number)
purse = SharedPurse(SystemClock(), board, "web")
bucket = SharedBucket(Rate(400, 86400.0), SystemClock(), board, "web")
print("ready", flush=True)
sys.stdin.readline()
spent, taken = Decimal(0), 0
for turn in range(300):
    reservation, left = purse.set_aside(Decimal("0.01"), Decimal("5"))
    purse.settle(reservation, reservation.usd)
    spent += reservation.usd
    taken += bucket.take() is None
print(json.dumps([str(spent), taken]), flush=True)
"""


def test_processes_that_race_spend_no_dollar_and_no_turn_twice(board: Board) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(board.fd), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[board.fd],
        )
        for number in range(WORKERS)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    found = [json.loads(racer.communicate("go\n", timeout=60)[0]) for racer in racers]

    spent = [Decimal(said) for said, _ in found]
    taken = [count for _, count in found]
    assert sum(spent) == 5
    # Of 400 a day one more comes back every 216 seconds.
    assert sum(taken) in range(400, 403)
    assert purses(board, ManualClock(wall=SystemClock().wall()))[0].spent_usd() == 5


def test_a_tool_loop_is_known_to_all_and_the_eight_last_of_a_shelf_are_kept(board: Board) -> None:
    ticks = iter(range(1, 1000))
    stores = [
        SharedLoops(seen_by(board, number), ("cloud", "device"), lambda: next(ticks))
        for number in range(2)
    ]
    call = ToolCall(id="1", name="weather", arguments="{}")
    first, second = (ToolLoops(kept=store) for store in stores)
    first.remember((call,), "acme", "cloud")
    asked = Message(role="assistant", content="", tool_calls=(call,))
    told = (asked, Message(role="tool", content="rain", tool_call_id="1"))
    assert second.target_of(told, "acme") == "cloud"
    assert second.target_of(told, "other") is None

    alike = [bytes([number]) * 24 + bytes(8) for number in range(1, 10)]  # of one shelf
    for digest in alike[:8]:
        stores[0].put(digest, "device")
    assert stores[1].get(alike[0]) == "device"  # used, so the second is the oldest now
    stores[1].put(alike[8], "cloud")
    assert [stores[0].get(digest) is not None for digest in alike] == [True, False] + [True] * 7


def test_a_target_that_is_no_more_is_not_found(board: Board) -> None:
    SharedLoops(seen_by(board, 0), ("old",)).put(b"d" * 32, "old")

    assert SharedLoops(seen_by(board, 1), ("new",)).get(b"d" * 32) is None


def test_more_keys_than_there_is_room_for_are_refused(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Shared(ManualClock(), seen_by(board, 0))
    monkeypatch.setattr(boards, "KEYS", 4)
    for number in range(4):
        shared.bucket(str(number), Rate(1, 1.0))

    with pytest.raises(ConfigError, match="more than 4 keys with a rate"):
        shared.bucket("one more", Rate(1, 1.0))
    assert shared.bucket("3", Rate(1, 1.0)).take() is None


def test_rows_say_who_is_up_and_what_is_under_way(board: Board) -> None:
    first, second = seen_by(board, 0), seen_by(board, 1)
    assert board.missing() == [0, 1, 2]
    first.up()
    second.up()
    first.tell(3)
    second.tell(2)
    assert [row.active for row in board.rows()] == [3, 2, 0]
    assert (board.missing(), board.rows()[2]) == ([2], Row(0, 0))

    board.clear(0)
    assert (board.missing(), board.rows()[0]) == ([0, 2], Row(0, 0))


def test_what_a_worker_tells_is_of_all_and_who_is_up_beside_it(board: Board) -> None:
    first, second = Together(seen_by(board, 0)), Together(seen_by(board, 1))
    seen_by(board, 0).up()
    seen_by(board, 1).up()
    head = "# HELP x_total X.\n# TYPE x_total counter\n"
    assert first.whole(f"{head}x_total 2\n").startswith(f"{head}x_total 2\n")
    said = second.whole(f"{head}x_total 3\n")

    assert f"{head}x_total 5\n" in said
    assert re.findall("^firsthop_.*", said, re.MULTILINE) == [
        "firsthop_workers 2",
        'firsthop_worker_ends_total{reason="died"} 0',
        'firsthop_worker_ends_total{reason="hung"} 0',
    ]
    assert second.missing() == ["worker 2: it is not up"]


def test_no_more_requests_are_let_in_than_all_workers_may_have(board: Board) -> None:
    first, second = Together(seen_by(board, 0)), Together(seen_by(board, 1))
    assert [one.enter(2) for one in (first, second, first, second)] == [True, True, False, False]
    second.leave()
    assert [one.enter(2) for one in (first, second)] == [True, False]
    assert (first.active, second.active, second.busy()) == (2, 0, 2)
    assert not second.enter(4, 3)
    assert second.enter(5, 3)
    assert first.busy() == 5


def test_a_text_that_is_too_large_leaves_nothing(board: Board) -> None:
    first = seen_by(board, 0)
    first.publish("é" * 10)
    assert board.texts() == ["é" * 10, "", "", ""]
    first.publish("x" * boards.MOST_TEXT_BYTES)
    assert board.texts() == ["", "", "", ""]
