"""Calls over a pool of connections, against a real server on loopback."""

from __future__ import annotations

import asyncio
import zlib

import pytest
from support.narrow_server import OK, Server, asked, call, pooled, serving, writes

from router.errors import BadWire, Unavailable
from router.providers.narrow_inflate import MOST_BYTES

HUNG_UP = "closed the connection without an answer"


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


def test_a_request_whose_answer_began_is_not_asked_again() -> None:
    async def play(server: Server, writer: asyncio.StreamWriter) -> bool:
        first = len(server.requests) == 1
        writer.write(OK if first else b"HTTP/1.1 2")
        return first

    async def main() -> None:
        async with serving(play) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            with pytest.raises(Unavailable, match=HUNG_UP):
                await asked(pool, server.url, "GET", None)
            assert len(server.requests) == 2

    asyncio.run(main())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_lost_on_a_new_connection_is_told(method: str) -> None:
    async def main() -> None:
        async with serving(writes(go_on=False)) as server, pooled(server.url) as pool:
            with pytest.raises(Unavailable, match=HUNG_UP):
                await asked(pool, server.url, method)
            assert len(server.requests) == 1

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
        async with (
            serving(play) as server,
            pooled(server.url) as pool,
            call(pool, server.url) as reply,
        ):
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
