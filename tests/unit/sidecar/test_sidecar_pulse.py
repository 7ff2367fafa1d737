"""How long a worker's event loop has stood still, by its supervisor's own waking time."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sidecar.board import Board
from router.sidecar.pulse import Pulse


def test_a_loop_that_comes_round_stands_still_for_no_time() -> None:
    pulse = Pulse(2)
    for second in range(100):
        pulse.look([second, 7], float(second))

    assert pulse.still_s(0) == 0
    assert pulse.still_s(1) == 99

    pulse.look([99, 8], 101.0)
    assert (pulse.still_s(0), pulse.still_s(1)) == (2.0, 0.0)


def test_while_the_machine_sleeps_nobody_stands_still() -> None:
    pulse = Pulse(2)
    pulse.look([1, 1], 0.0)
    pulse.look([1, 1], 1.0)
    pulse.look([1, 1], 8 * 3600.0)

    assert pulse.still_s(0) == 3.0


def test_who_begins_or_was_held_up_has_all_its_time_again() -> None:
    pulse = Pulse(2)
    for second in range(11):
        pulse.look([0, 0], float(second))
    pulse.anew(0)
    pulse.look([0, 0], 11.0)

    assert [pulse.still_s(number) for number in range(2)] == [1.0, 11.0]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10_000)), max_size=50))
def test_nobody_stands_still_for_longer_than_since_it_last_came_round(
    looks: list[tuple[bool, float]],
) -> None:
    pulse, now, beats, last = Pulse(1), 0.0, 0, 0.0
    pulse.look([0], 0.0)
    for comes, passed_s in looks:
        now += passed_s
        if comes:
            beats, last = beats + 1, now
        pulse.look([beats], now)
        assert pulse.still_s(0) <= now - last + 1e-6


HOLDER = """
import sys
from router.sidecar.board import Board
with Board(int(sys.argv[1]), 2, 0).held():
    print("held", flush=True)
    sys.stdin.readline()
print("let go", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="who has the lock isn't told")
def test_it_is_known_which_process_holds_the_lock() -> None:
    board = Board.make(2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(board.fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        pass_fds=[board.fd],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert board.holder() == process.pid
        process.stdin.write("\n")
        assert process.stdout.readline() == "let go\n"
        assert board.holder() is None
        process.stdin.write("\n")
    board.close()


@pytest.mark.skipif(sys.platform == "win32", reason="one process answers there")
def test_beats_and_what_is_under_way_leave_each_other_alone() -> None:
    board = Board.make(2)
    worker = Board(board.fd, 2, 1)
    for turn in range(3):
        worker.tell(turn)
        worker.beat()
    assert [(row.active, row.beats) for row in board.rows()] == [(0, 0), (2, 3)]

    board.clear(1)
    assert [(row.active, row.beats) for row in board.rows()] == [(0, 0), (0, 0)]
    board.close()
