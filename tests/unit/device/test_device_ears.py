"""A cancellation is heard while a piece of a prompt is read, and nothing else is."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from router.device import wire
from router.device.ears import SOON_S, Ears, over
from router.device.engine import EngineOptions, Job
from router.device.mail import Client
from router.device.rows_engine import RowsEngine
from router.types import Message

LONG_S = 10.0


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    near.setblocking(False)
    yield Client(sock=near), far
    near.close()
    far.close()


@pytest.fixture
def heard():
    return threading.Event()


@pytest.fixture
def ears(heard):
    return Ears(heard.set)


def test_a_cancellation_of_that_job_interrupts(ends, ears, heard):
    client, far = ends
    ears.listen(client, 7)
    far.sendall(wire.pack(wire.Cancel(7)))
    assert heard.wait(LONG_S)


def test_it_is_still_there_to_be_heard_in_its_turn(ends, ears, heard):
    client, far = ends
    ears.listen(client, 7)
    far.sendall(wire.pack(wire.Cancel(7)))
    assert heard.wait(LONG_S)
    assert list(client.inbox.requests(client.sock.recv(1000))) == [wire.Cancel(7)]


def test_a_client_that_went_interrupts(ends, ears, heard):
    client, far = ends
    ears.listen(client, 7)
    far.close()
    assert heard.wait(LONG_S)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        wire.pack(wire.Cancel(8)),
        wire.pack(wire.Health(1)),
        wire.pack(wire.Cancel(7))[:-1],
    ],
    ids=["nothing", "another job", "something else", "not whole yet"],
)
def test_nothing_else_does(ends, said):
    client, far = ends
    far.sendall(said)
    assert not over(client, 7)


def test_a_frame_of_which_a_part_was_received_before_counts(ends):
    client, far = ends
    whole = wire.pack(wire.Cancel(7))
    assert list(client.inbox.requests(whole[:3])) == []
    far.sendall(whole[3:])
    assert over(client, 7)
    assert list(client.inbox.requests(whole[3:])) == [wire.Cancel(7)]


def test_what_comes_after_the_step_interrupts_nothing(ends, ears, heard):
    client, far = ends
    for _ in range(20):
        ears.listen(client, 7)
        ears.rest()
        far.sendall(wire.pack(wire.Cancel(7)))
        assert over(client, 7)
        assert not heard.wait(2 * SOON_S)
        client.sock.recv(1000)


def test_one_that_says_something_else_first_is_heard_too(ends, ears, heard):
    client, far = ends
    ears.listen(client, 7)
    far.sendall(wire.pack(wire.Health(1)))
    time.sleep(0.1)
    assert not heard.is_set()
    far.sendall(wire.pack(wire.Cancel(7)))
    assert heard.wait(LONG_S)


def test_an_answer_is_the_same_however_often_its_reading_is_broken_off(tiny):
    engine = RowsEngine(EngineOptions(folder=str(tiny), threads=1, keep_bytes=0), 1 << 28)
    asked = Job(
        messages=(Message(role="user", content="The small model answers first. " * 150),),
        max_output_tokens=12,
    )

    def told():
        steps = list(engine.run(asked))
        return len(steps), [(s.text, s.token.logprob) for s in steps if s.token]

    def pester(wait_s):
        for _ in range(20):
            engine.interrupt()
            time.sleep(wait_s)

    plain = told()
    broken = 0
    for wait_s in (0.0002, 0.0005, 0.001, 0.002, 0.004):
        thread = threading.Thread(target=pester, args=(wait_s,))
        thread.start()
        found = told()
        thread.join()
        broken += found[0] > plain[0]
        assert [text for text, _ in found[1]] == [text for text, _ in plain[1]]
    assert broken
