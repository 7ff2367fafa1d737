"""Wires that break at every byte, never end, or swell: what both transports make of them."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from contract.calls import ASK, KEY, TRANSPORTS, Heard, listen, opened, target
from contract.replay import Replay

from router import providers
from router.providers.base import Transport
from router.types import Usage

EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)
TEXT = "Hé 🌍"
USAGE = Usage(input_tokens=3, output_tokens=2)
EVENTS = (
    b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"H\xc3\xa9"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":" \xf0\x9f\x8c\x8d"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Answer = Callable[[asyncio.StreamWriter, int], Any]
"""Writes the answer to the call of that number, counted from 0."""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server that reads a request and has `answer` answer it, a connection each; its URL."""
    calls = 0
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            number, calls = calls, calls + 1
            await answer(writer, number)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        if serving:
            await asyncio.wait(serving, timeout=5.0)


def heard(transport: Transport, answer: Answer, calls: int = 1, **more: Any) -> list[Heard]:
    """What came of so many calls, one after the other."""

    async def main() -> list[Heard]:
        async with serving(answer) as url:
            bound = target("openai_compatible", url, transport, **more)
            async with opened(providers.build(bound)) as provider:
                return [await listen(provider) for _ in range(calls)]

    return asyncio.run(main())


@EACH_WAY
@pytest.mark.parametrize("framed", [True, False], ids=["chunked", "until it closes"])
def test_a_cut_after_any_byte_is_an_error_or_a_whole_text(
    transport: Transport, framed: bool
) -> None:
    """Never an exception of another kind, never text that was not said, never made-up tokens."""
    if framed:
        whole = CHUNKED + b"".join(map(chunk, EVENTS)) + b"0\r\n\r\n"
    else:
        whole = HEAD + b"Connection: close\r\n\r\n" + b"".join(EVENTS)

    async def cut(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(whole[:number])
        await writer.drain()

    # Without framing an event counts as soon as its line is whole: some leave the blank one away.
    short = 0 if framed else len(b"\n\n")
    head, said, told = (whole.index(part) + len(part) for part in (b"\r\n\r\n", *EVENTS[2:4]))

    for length, one in enumerate(heard(transport, cut, len(whole) + 1)):
        assert TEXT.startswith(one.text), length
        kind = None if one.error is None else one.error.kind
        if length < said - short:
            assert kind == ("unavailable" if length < head else "bad_wire"), length
            assert one.error is not None
            assert (one.error.retryable, one.error.status) == (True, None), length
            assert one.only("usage") is None, length
        else:
            assert (kind, one.text, one.only("finish")) == (None, TEXT, "stop"), length
            assert one.only("usage") == (None if length < told - short else USAGE), length


@EACH_WAY
def test_bytes_that_trickle_in_end_with_the_calls_time(transport: Transport) -> None:
    left = asyncio.Event()

    async def trickle(writer: asyncio.StreamWriter, number: int) -> None:
        try:
            for byte in CHUNKED + chunk(EVENTS[0]) + chunk(b": and so on\n" * 1000):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.001)
        except ConnectionError:
            left.set()

    began = time.monotonic()
    (one,) = heard(transport, trickle, timeout_s=0.7)

    assert one.error is not None
    assert one.error.kind == "timed_out"
    assert one.text == "Hé"
    assert time.monotonic() - began < 3.0
    assert left.is_set()


@EACH_WAY
def test_a_small_body_that_swells_past_all_limits_is_cut_off(transport: Transport) -> None:
    """70 kB of gzip that would be 70 MB."""
    packer = zlib.compressobj(9, wbits=31)
    line = b": " + b"x" * 900_000 + b"\n"
    packed = b"".join(packer.compress(line) for _ in range(78)) + packer.flush()
    assert len(packed) < 100_000

    async def swell(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(packed), 4096):
            writer.write(chunk(packed[at : at + 4096]))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    (one,) = heard(transport, swell, timeout_s=30.0)

    assert one.error is not None
    assert one.error.kind == "bad_wire"
    assert "longer than 64000000 bytes" in one.error.message


@EACH_WAY
def test_a_head_that_does_not_end_is_no_answer(transport: Transport) -> None:
    async def endless(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(HEAD + b"X-Long: " + b"x" * 200_000)
        await writer.drain()

    (one,) = heard(transport, endless)

    assert one.error is not None
    assert one.error.kind == "bad_wire"


@EACH_WAY
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_kind_of_redirect_takes_the_key_to_another_host(
    transport: Transport, status: int
) -> None:
    async def main() -> tuple[Heard, Replay]:
        async with Replay([]) as other:

            async def moved(writer: asyncio.StreamWriter, number: int) -> None:
                to = other.url(host="localhost")
                head = f"HTTP/1.1 {status} Moved\r\nLocation: {to}/chat/completions\r\n"
                writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())

            async with serving(moved) as url:
                bound = target("openai_compatible", url, transport)
                async with opened(providers.build(bound)) as provider:
                    return await listen(provider, ASK), other

    one, other = asyncio.run(main())

    assert one.error is not None
    assert (one.error.kind, one.error.status, one.error.retryable) == ("refused", status, False)
    assert KEY not in str(one.error)
    assert other.connections == 0


@EACH_WAY
def test_a_stream_that_is_left_leaves_nothing_of_its_reader_to_the_collector(
    transport: Transport,
) -> None:
    left: list[str] = []

    async def stall(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(CHUNKED + chunk(EVENTS[0]))
        await writer.drain()
        await asyncio.sleep(0.3)

    async def main() -> None:
        hooks = sys.get_asyncgen_hooks()
        assert hooks.finalizer is not None
        finalize = hooks.finalizer

        def finalizer(generator: Any) -> None:
            left.append(generator.__qualname__)
            finalize(generator)

        sys.set_asyncgen_hooks(hooks.firstiter, finalizer)
        async with serving(stall) as url:
            bound = target("openai_compatible", url, transport)
            async with opened(providers.build(bound)) as provider:
                stream = provider.stream(ASK)
                await anext(stream)
                await stream.aclose()  # type: ignore[attr-defined]
                del stream
                gc.collect()

    asyncio.run(main())

    # What lies inside the HTTP library's own reader is the library's to close.
    assert [name for name in left if name.startswith(("Response.aiter_bytes", "OpenAIWire"))] == []
