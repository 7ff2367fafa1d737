"""A connection by itself: what it writes, when it hangs up, and whom it tells of a client's end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from support.loops import in_loop
from uvicorn.server import ServerState

from router.sidecar.cycle import Cycle
from router.sidecar.exchange import LEFT
from router.sidecar.http import Bounded, bounded

GET = b"GET /v1/models?limit=1 HTTP/1.1\r\nhost: localhost\r\n\r\n"
IDLE_S = 75.0
App = Callable[[Any, Any, Any], Awaitable[None]]


class Loop:
    """The loop that runs, with a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self.create_task = asyncio.get_running_loop().create_task
        self.create_future = asyncio.get_running_loop().create_future

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        timer = Timer(self.now + delay_s, call)
        self.timers.append(timer)
        return timer

    def turn(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.due <= self.now]
        self.timers = [timer for timer in self.timers if timer.due > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.call()


class Timer:
    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Wire(asyncio.Transport):
    """A transport that keeps each `write`."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.reads = True

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def connected(app: App) -> tuple[Bounded, Wire, Loop]:
    config = uvicorn.Config(app, ws="none", log_config=None, timeout_keep_alive=int(IDLE_S))
    loop, wire = Loop(), Wire()
    protocol = bounded(1024, 10.0, 60.0)(config, ServerState(), {}, loop)  # type: ignore[arg-type]
    protocol.connection_made(wire)
    return protocol, wire, loop


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def saying(*pieces: bytes, headers: list[tuple[bytes, bytes]]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def waiting(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


@in_loop
async def test_a_head_goes_out_with_the_first_of_its_body() -> None:
    protocol, wire, _ = connected(saying(b"one", b"more", headers=[(b"x-a", b"b")]))
    protocol.data_received(GET)
    await turns()
    head = b"HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n"
    assert wire.writes == [head + b"3\r\none\r\n", b"4\r\nmore\r\n", b"0\r\n\r\n"]


@in_loop
async def test_an_answer_to_head_has_no_body() -> None:
    protocol, wire, _ = connected(saying(b"one", headers=[(b"content-length", b"3")]))
    protocol.data_received(GET.replace(b"GET", b"HEAD"))
    await turns()
    assert b"".join(wire.writes) == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"


@in_loop
@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nb", b"a\0b"])
async def test_no_header_can_smuggle_another_in(value: bytes) -> None:
    protocol, wire, _ = connected(saying(b"one", headers=[(b"x-a", value)]))
    protocol.data_received(GET)
    await turns()
    assert b"".join(wire.writes).startswith(b"HTTP/1.1 500 ")
    assert b"evil" not in b"".join(wire.writes)


@in_loop
async def test_a_connection_is_hung_up_on_only_when_nothing_was_asked_for_long() -> None:
    protocol, wire, loop = connected(saying(headers=[(b"content-length", b"0")]))
    for _ in range(3):
        protocol.data_received(GET)
        await turns()
        loop.turn(IDLE_S - 1)
        assert not wire.closed
    loop.turn(1.0)
    assert wire.closed
    assert len(wire.writes) == 3


@in_loop
async def test_nor_while_it_is_answered() -> None:
    end = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await end.wait()
        await saying(headers=[(b"content-length", b"0")])(scope, receive, send)

    protocol, wire, loop = connected(app)
    for _ in range(2):
        end.clear()
        protocol.data_received(GET)
        for _ in range(3):
            loop.turn(IDLE_S)
        assert not wire.closed
        end.set()
        await turns()
        loop.turn(IDLE_S - 1)
        assert not wire.closed
    loop.turn(1.0)
    assert wire.closed


@in_loop
async def test_who_leaves_is_told_of_at_once_and_whoever_has_its_answer_not_at_all() -> None:
    left: list[str] = []
    end = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][LEFT](lambda: left.append(scope["path"]))
        if scope["path"] == "/waits":
            await end.wait()
        await saying(headers=[(b"content-length", b"0")])(scope, receive, send)

    for path in (b"/quick", b"/waits"):
        protocol, wire, _ = connected(app)
        protocol.data_received(GET.replace(b"/v1/models", path))
        await turns()
        protocol.connection_lost(None)
    assert left == ["/waits"]
    end.set()
    await turns()
    assert wire.writes == []


@in_loop
async def test_who_leaves_with_more_asked_behind_is_told_of_too() -> None:
    left: list[str] = []
    begun: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.append(scope["path"])
        scope["extensions"][LEFT](lambda: left.append(scope["path"]))
        await asyncio.Event().wait()

    protocol, wire, _ = connected(app)
    for path in (b"/first", b"/second", b"/third"):
        protocol.data_received(GET.replace(b"/v1/models", path))
    await turns()
    assert wire.reads  # else nobody would be seen to leave
    protocol.connection_lost(None)
    await turns()
    assert (begun, left) == (["/first"], ["/first"])


@in_loop
async def test_who_asks_for_more_and_more_before_an_answer_is_read_no_further() -> None:
    protocol, wire, _ = connected(waiting)
    for _ in range(18):
        protocol.data_received(GET)
    assert not wire.reads


@in_loop
@pytest.mark.parametrize("sent", [b"\r\n", b"x"])
async def test_a_byte_that_asks_for_nothing_keeps_no_connection(sent: bytes) -> None:
    protocol, wire, loop = connected(saying(headers=[(b"content-length", b"0")]))
    post = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 9\r\n\r\n")
    protocol.data_received(GET if sent == b"\r\n" else post)
    await turns()
    protocol.data_received(sent)
    loop.turn(IDLE_S)
    assert wire.closed


@in_loop
async def test_an_old_client_is_told_nothing_that_it_does_not_know() -> None:
    protocol, wire, _ = connected(saying(b"one", headers=[]))
    old = GET.replace(b"HTTP/1.1", b"HTTP/1.0")
    protocol.data_received(old.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
    await turns()
    assert b"".join(wire.writes) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none"
    assert wire.closed


@in_loop
async def test_a_body_that_breaks_after_its_answer_gets_no_second_one() -> None:
    protocol, wire, _ = connected(saying(headers=[(b"content-length", b"0")]))
    chunked = b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
    protocol.data_received(GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", chunked))
    await turns()
    protocol.data_received(b"no chunk\r\n")
    assert b"".join(wire.writes).count(b"HTTP/1.1") == 1
    assert wire.closed


@in_loop
async def test_at_the_end_half_a_head_on_a_kept_connection_has_its_half_second() -> None:
    protocol, wire, loop = connected(saying(headers=[(b"content-length", b"0")]))
    protocol.data_received(GET)
    await turns()
    protocol.data_received(GET[:20])
    protocol.shutdown()
    assert not wire.closed
    protocol.data_received(GET[20:])
    await turns()
    assert b"".join(wire.writes).count(b"HTTP/1.1 200") == 2
    loop.turn(1.0)
    assert wire.closed


@in_loop
async def test_nothing_of_a_request_stays_when_it_is_over() -> None:
    protocol, _, _ = connected(saying(headers=[(b"content-length", b"0")]))
    gc.disable()
    try:
        protocol.data_received(GET)
        assert isinstance(protocol.cycle, Cycle)
        first = weakref.ref(protocol.cycle)
        await turns()
        protocol.data_received(GET)
        await turns()
        assert first() is None  # without the collector
    finally:
        gc.enable()


@in_loop
@pytest.mark.parametrize("started", [False, True])
async def test_a_fault_of_the_app_ends_the_connection_and_is_told_where_it_can_be(
    started: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise ValueError("a fault")

    protocol, wire, _ = connected(app)
    protocol.data_received(GET)
    await turns()
    assert wire.closed
    assert not protocol.tasks
    said = b"".join(wire.writes)
    if started:
        assert said.endswith(b"\r\n\r\n3\r\none\r\n")
    else:
        assert said.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert said.endswith(b"connection: close\r\n\r\nInternal Server Error")
    assert "Exception in ASGI application" in caplog.text


@in_loop
async def test_an_app_that_says_too_little_or_is_stopped_leaves_nobody_waiting() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None: ...

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    for app in (silent, endless):
        protocol, wire, _ = connected(app)
        protocol.data_received(GET)
        await asyncio.sleep(0)
        for task in protocol.tasks:
            task.cancel()
        await turns()
        assert b"".join(wire.writes).startswith(b"HTTP/1.1 500 ")
        assert wire.closed


@in_loop
async def test_a_body_comes_as_it_is_sent_and_then_only_the_end() -> None:
    heard: list[tuple[bytes, bool]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            heard.append((message["body"], message["more_body"]))
        await saying(headers=[(b"content-length", b"0")])(scope, receive, send)
        heard.append(((await receive())["type"].encode(), False))

    protocol, wire, _ = connected(app)
    protocol.data_received(
        b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    )
    await turns()
    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    for piece in (b"one", b"two", b"six"):
        protocol.data_received(piece)
        await turns()
    assert b"".join(piece for piece, _ in heard[:-1]) == b"onetwosix"
    assert heard[-1] == (b"http.disconnect", False)
    assert len(wire.writes) == 2


@in_loop
async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    ends = {"/a": asyncio.Event(), "/b": asyncio.Event()}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await ends[scope["path"]].wait()
        body = scope["path"].encode()
        await saying(body, headers=[(b"content-length", b"2")])(scope, receive, send)

    protocol, wire, _ = connected(app)
    protocol.data_received(b"".join(GET.replace(b"/v1/models?limit=1", p) for p in (b"/a", b"/b")))
    ends["/b"].set()
    await turns()
    assert wire.writes == []
    ends["/a"].set()
    await turns()
    assert [said[-2:] for said in wire.writes] == [b"/a", b"/b"]
