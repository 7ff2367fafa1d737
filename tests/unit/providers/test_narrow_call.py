"""Calls over a pool of connections, against a real server on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from router.clock import ManualClock
from router.errors import BadWire, HopError, Unavailable
from router.providers.narrow_call import Call
from router.providers.narrow_inflate import MOST_BYTES
from router.providers.narrow_pool import IDLE_S, Pool
from router.providers.narrow_request import Heads, origin_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HUNG_UP = "closed the connection without an answer"
Play = Callable[["Server", asyncio.StreamWriter], Awaitable[bool]]


@dataclass
class Server:
    """Answers each request as `play` does, which says whether the connection goes on."""

    play: Play
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                self.requests.append(head + body)
                if not await self.play(self, writer):
                    break
        self.hung_up.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(play: Play) -> AsyncIterator[Server]:
    server = Server(play)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
        for writer in server.writers:
            writer.close()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def pooled(url: str, **more: object) -> AsyncIterator[Pool]:
    settings = {"connect_timeout_s": 5.0, **more}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = Pool(origin_of(url), tls, name="cloud", **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.aclose()


def call(pool: Pool, url: str, method: str = "POST", data: bytes | None = b"{}") -> Call:
    return Call(pool, Heads(origin_of(url)), method, url, {}, data)


async def asked(
    pool: Pool, url: str, method: str = "POST", data: bytes | None = b"{}"
) -> tuple[int, bytes, float | None]:
    """Status, body and connect time of one call."""
    body = b""
    async with call(pool, url, method, data) as reply:
        while piece := await reply.read():
            body += piece
    return reply.status, body, reply.connect_s


def writes(*pieces: bytes, go_on: bool = True) -> Play:
    async def play(_: Server, writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        return go_on

    return play


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not true():
            await asyncio.sleep(0.001)


def test_a_connection_serves_again_and_takes_no_time_then() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            first, second = [await asked(pool, server.url) for _ in range(2)]
            assert (first[:2], second[:2]) == ((200, b"ok"), (200, b"ok"))
            assert first[2] is not None
            assert first[2] > 0
            assert second[2] == 0
            assert (server.connections, pool.idle) == (1, 1)

    asyncio.run(main())


def test_calls_at_once_have_connections_of_their_own() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            await asyncio.gather(*(asked(pool, server.url) for _ in range(5)))
            assert (server.connections, pool.idle) == (5, 5)

    asyncio.run(main())


def test_small_writes_are_not_held_back() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            connection, _ = await pool.connect()
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    asyncio.run(main())


def test_leaving_in_the_middle_hangs_up_at_once_and_leaving_at_the_end_does_not() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"

    async def main() -> None:
        async with serving(writes(half)) as server, pooled(server.url) as pool:
            async with call(pool, server.url) as reply:
                assert await reply.read() == b"half"
            await asyncio.wait_for(server.hung_up.wait(), 5.0)
            assert pool.idle == 0
            with pytest.raises(BadWire, match="broke off"):
                await reply.read()

    asyncio.run(main())


def test_an_answer_nobody_read_is_done_with_when_it_is_here() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            async with call(pool, server.url) as reply:
                await asyncio.sleep(0.01)
            assert pool.idle == 1
            assert (await asked(pool, server.url))[1] == b"ok"
            assert server.connections == 1
            with pytest.raises(BadWire):
                await reply.read()

    asyncio.run(main())


def test_a_caller_who_gives_up_waiting_hangs_up() -> None:
    async def main() -> None:
        async with serving(writes()) as server, pooled(server.url) as pool:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), call(pool, server.url):
                    pass
            await asyncio.wait_for(server.hung_up.wait(), 5.0)
            assert pool.idle == 0

    asyncio.run(main())


def test_a_connection_the_server_closed_meanwhile_is_not_used() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            server.writers[0].close()
            await until(lambda: pool.idle == 0)
            assert (await asked(pool, server.url))[0] == 200
            assert server.connections == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "times"), [("GET", 2), ("POST", 1)], ids=["asked again", "never twice"]
)
def test_a_request_lost_on_a_used_connection(method: str, times: int) -> None:
    async def play(server: Server, writer: asyncio.StreamWriter) -> bool:
        if len(server.requests) == 2:
            return False
        writer.write(OK)
        return True

    async def main() -> None:
        async with serving(play) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            if times == 2:
                status, _, connect_s = await asked(pool, server.url, method, None)
                assert status == 200
                assert connect_s
            else:
                with pytest.raises(Unavailable, match=HUNG_UP) as caught:
                    await asked(pool, server.url, method)
                assert (caught.value.retryable, caught.value.unbilled) == (True, False)
            assert len(server.requests) == 1 + times

    asyncio.run(main())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_lost_on_a_new_connection_is_told(method: str) -> None:
    async def main() -> None:
        async with serving(writes(go_on=False)) as server, pooled(server.url) as pool:
            with pytest.raises(Unavailable, match=HUNG_UP):
                await asked(pool, server.url, method)
            assert len(server.requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nConnection: close",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1",
    ],
)
def test_a_connection_the_server_wants_closed_is_not_kept(head: str) -> None:
    answer = f"{head}\r\nContent-Length: 2\r\n\r\nok".encode()

    async def main() -> None:
        async with serving(writes(answer)) as server, pooled(server.url) as pool:
            assert (await asked(pool, server.url))[1] == b"ok"
            assert pool.idle == 0
            await asyncio.wait_for(server.hung_up.wait(), 5.0)

    asyncio.run(main())


@pytest.mark.parametrize(("told", "kept_s"), [("", IDLE_S), ("Keep-Alive: timeout=5\r\n", 4.0)])
def test_a_connection_is_used_while_it_is_young(told: str, kept_s: float) -> None:
    answer = OK.replace(b"\r\nC", b"\r\n" + told.encode() + b"C", 1)

    async def main() -> None:
        clock = ManualClock()
        async with serving(writes(answer)) as server, pooled(server.url, clock=clock) as pool:
            await asked(pool, server.url)
            clock.advance(kept_s - 0.1)
            await asked(pool, server.url)
            assert server.connections == 1
            clock.advance(kept_s + 0.1)
            await asked(pool, server.url)
            assert server.connections == 2
            clock.advance(kept_s + 0.1)
            pool.sweep()
            assert pool.idle == 0

    asyncio.run(main())


def test_idle_connections_are_closed_without_another_call() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url, idle_s=0.02) as pool:
            await asked(pool, server.url)
            await asyncio.wait_for(server.hung_up.wait(), 5.0)
            assert pool.idle == 0

    asyncio.run(main())


def test_a_body_without_length_ends_with_the_connection() -> None:
    async def main() -> None:
        play = writes(b"HTTP/1.1 200 OK\r\n\r\n", b"Hello, ", b"you.", go_on=False)
        async with serving(play) as server, pooled(server.url) as pool:
            assert (await asked(pool, server.url))[1] == b"Hello, you."
            assert pool.idle == 0

    asyncio.run(main())


def test_what_came_before_a_cut_is_given_out_and_then_the_cut_told() -> None:
    async def main() -> None:
        play = writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", go_on=False)
        async with serving(play) as server, pooled(server.url) as pool:
            async with call(pool, server.url) as reply:
                await asyncio.wait_for(server.hung_up.wait(), 5.0)
                await asyncio.sleep(0.01)
                assert await reply.read() == b"half"
                with pytest.raises(BadWire, match="broke off"):
                    await reply.read()

    asyncio.run(main())


def test_a_large_body_arrives_whole_and_a_flood_is_read_whole() -> None:
    sent = bytes(range(256)) * 20_000

    async def play(server: Server, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(sent))
        writer.write(server.requests[-1].partition(b"\r\n\r\n")[2])
        await writer.drain()
        return True

    async def main() -> None:
        async with serving(play) as server, pooled(server.url) as pool:
            for _ in range(2):
                body = bytearray()
                async with call(pool, server.url, data=sent) as reply:
                    while piece := await reply.read():
                        body += piece
                        await asyncio.sleep(0)
                assert body == sent
            assert server.connections == 1

    asyncio.run(main())


def test_a_small_body_that_swells_is_read_piece_by_piece_while_others_go_on() -> None:
    packer = zlib.compressobj(9, wbits=31)
    body = packer.compress(b"x" * 20_000_000) + packer.flush()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with serving(writes(head + body)) as server, pooled(server.url) as pool:
            async with call(pool, server.url) as reply:
                await reply.read()
                beside, total, reads = asyncio.create_task(other()), MOST_BYTES, 1
                while piece := await reply.read():
                    assert len(piece) <= MOST_BYTES
                    total, reads = total + len(piece), reads + 1
                beside.cancel()
            assert total == 20_000_000
            assert turns >= reads - 5
            assert pool.idle == 1

    asyncio.run(main())


def test_closing_ends_the_calls_under_way() -> None:
    until_close = b"HTTP/1.1 200 OK\r\n\r\nhalf"

    async def main() -> None:
        async with serving(writes(until_close)) as server, pooled(server.url) as pool:
            async with call(pool, server.url) as reply:
                assert await reply.read() == b"half"
                reading = asyncio.create_task(reply.read())  # type: ignore[arg-type]
                await asyncio.sleep(0.01)
                await pool.aclose()
                with pytest.raises(BadWire, match="ConnectionAbortedError"):
                    await reading
            with pytest.raises(Unavailable, match="closed") as caught:
                await asked(pool, server.url)
            assert caught.value.unbilled

    asyncio.run(main())


def test_a_name_is_tried_at_each_of_its_addresses() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            async with pooled(url) as pool:
                assert (await asked(pool, url))[0] == 200
            assert b"\r\nhost: localhost:" in server.requests[0]

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_where_nobody_listens_is_told_so(host: str) -> None:
    async def main() -> HopError:
        async with serving(writes()) as server:
            url = server.url.replace("127.0.0.1", host)
        async with pooled(url) as pool:
            with pytest.raises(Unavailable) as caught:
                await asked(pool, url)
        return caught.value

    error = asyncio.run(main())

    assert "refuses connections" in error.message
    assert (error.reached, error.no_way) == (False, False)


def test_a_connection_that_takes_too_long_is_given_up() -> None:
    async def main() -> HopError:
        with socket.socket() as silent:  # takes the connection and never speaks TLS
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
            async with pooled(url, connect_timeout_s=0.05) as pool:
                with pytest.raises(Unavailable, match=r"within 0\.05 s") as caught:
                    await asked(pool, url)
        return caught.value

    error = asyncio.run(main())

    assert (error.reached, error.no_way) == (False, True)
