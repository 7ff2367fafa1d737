"""One connection, driven as an event loop would drive it."""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.loops import in_loop

from router.device import wire
from router.device.connection import Connection
from router.device.engine import EngineInfo, Job
from router.errors import HopError, RateLimited, Refused
from router.types import Message

READY = wire.Ready(
    EngineInfo(
        model="m",
        engine="e",
        device="cpu",
        fallback=None,
        context_limit=10,
        load_s=0.0,
        memory_bytes=None,
    ),
    42,
)
DONE = wire.Done(1, "stop", 3, 1, 0.0, 0.0, 0.0)


class Transport:
    """Of no class of asyncio's, as the transports of other event loops are."""

    def __init__(self):
        self.sent = b""
        self.aborted = False

    def write(self, data):
        self.sent += data

    def abort(self):
        self.aborted = True

    def messages(self):
        return list(wire.Inbox().requests(self.sent))


class Line:
    """A connection that is up, and what the link was told."""

    def __init__(self, greeting=READY):
        self.lost = 0
        self.transport = Transport()
        self.ours, self.theirs = socket.socketpair()
        self.connection = Connection(self.ours, self._on_lost)
        self.connection.connection_made(self.transport)
        self.hear(greeting)

    def hear(self, *messages):
        self.connection.data_received(b"".join(map(wire.pack, messages)))

    def _on_lost(self):
        self.lost += 1

    def close(self):
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def lines():
    made = []

    def make(*args):
        made.append(Line(*args))
        return made[-1]

    yield make
    for line in made:
        line.close()


def run(number):
    job = Job(messages=(Message(role="user", content="x"),), max_output_tokens=5)
    return wire.Run(number, job)


@in_loop
async def test_replies_find_the_call_they_belong_to(lines):
    line = lines()
    first, second = line.connection.call(run), line.connection.call(run)
    token = wire.Token(2, "b", -1.0, None, None)
    line.hear(token, DONE)

    assert await second.reply() == token
    assert await first.reply() == DONE
    assert [m.id for m in line.transport.messages()] == [1, 2]


@in_loop
async def test_a_call_that_is_left_early_is_cancelled_and_its_late_replies_are_nobody_s(lines):
    line = lines()
    line.connection.call(run).close(cancel=True)
    line.hear(DONE)

    assert line.transport.messages()[1:] == [wire.Cancel(1)]


@in_loop
async def test_a_call_that_ended_is_not_cancelled(lines):
    line = lines()
    call = line.connection.call(run)
    line.hear(DONE)
    await call.reply()
    call.close(cancel=False)

    assert len(line.transport.messages()) == 1


@in_loop
async def test_the_worker_s_errors_become_ours(lines):
    line = lines()
    call = line.connection.call(run)
    line.hear(wire.Failed(1, "rate_limited", "slow down", True, "c"))

    with pytest.raises(RateLimited, match="slow down") as caught:
        await call.reply()
    assert (caught.value.retryable, caught.value.code) == (True, "c")


@in_loop
async def test_a_kind_of_error_nobody_knows_is_still_one_of_ours(lines):
    line = lines()
    call = line.connection.call(run)
    line.hear(wire.Failed(1, "unheard_of", "what", False))

    with pytest.raises(HopError, match="what"):
        await call.reply()


@in_loop
async def test_when_the_worker_goes_every_call_and_the_link_are_told(lines):
    line = lines()
    calls = [line.connection.call(run) for _ in range(3)]
    line.connection.connection_lost(ConnectionResetError())

    assert [await call.reply() for call in calls] == [None] * 3
    assert line.lost == 1
    assert not line.connection.usable_here()
    assert await line.connection.call(run).reply() is None


@in_loop
async def test_when_we_go_the_link_is_not_told_of_a_loss(lines):
    line = lines()
    call = line.connection.call(run)
    line.connection.close()
    line.connection.connection_lost(None)

    assert await call.reply() is None
    assert line.transport.aborted
    assert line.lost == 0


@in_loop
async def test_a_worker_that_can_not_serve_is_no_loss(lines):
    line = lines(wire.Failed(0, "unavailable", "no model", False))
    line.connection.connection_lost(None)

    assert line.connection.greeting.result().message == "no model"
    assert line.lost == 0


@in_loop
async def test_words_that_are_not_the_protocol_end_the_connection(lines):
    line = lines()
    line.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")

    assert line.transport.aborted


@in_loop
async def test_what_the_worker_could_not_read_is_not_sent(lines):
    line = lines()
    with pytest.raises(Refused):
        line.connection.call(lambda number: wire.Cancel("seven"))

    assert line.transport.sent == b""


def test_a_connection_is_of_use_in_its_own_loop_only(lines):
    async def make():
        return lines().connection

    async def usable(connection):
        return connection.usable_here()

    connection = asyncio.run(make())
    assert not asyncio.run(usable(connection))
