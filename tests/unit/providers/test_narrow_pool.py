"""Which connections are kept, for how long, and how new ones are made."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from support.narrow_server import OK, asked, call, pooled, serving, until, writes
from support.narrow_wire import Wire

from router.clock import ManualClock
from router.errors import BadWire, HopError, Unavailable
from router.providers.narrow_connection import Connection
from router.providers.narrow_pool import IDLE_S, Pool
from router.providers.narrow_request import origin_of


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


def test_a_connection_the_server_closed_meanwhile_is_not_used() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            server.writers[0].close()
            await until(lambda: pool.idle == 0)
            assert (await asked(pool, server.url))[0] == 200
            assert server.connections == 2

    asyncio.run(main())


def test_a_connection_that_has_heard_of_its_end_is_not_used() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            pool._idle[0].eof_received()  # asyncio says it a turn before the connection is lost
            assert (await asked(pool, server.url))[0] == 200
            assert server.connections == 2

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


def test_all_who_close_at_once_wait_until_it_is_done_though_one_of_them_leaves() -> None:
    async def main() -> None:
        async with serving(writes(OK)) as server, pooled(server.url) as pool:
            await asked(pool, server.url)
            closing = [asyncio.create_task(pool.aclose()) for _ in range(3)]
            await asyncio.sleep(0)
            closing[0].cancel()
            await asyncio.wait_for(asyncio.gather(*closing[1:]), 5.0)
            assert closing[0].cancelled()
            assert not pool._open
            await pool.aclose()

    asyncio.run(main())


async def used(url: str) -> Pool:
    """A pool with a connection, of the loop that this runs on."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = Pool(origin_of(url), tls, name="cloud", connect_timeout_s=5.0)
    await asked(pool, url)
    return pool


def test_closing_from_another_loop_is_done_by_the_one_the_connections_belong_to() -> None:
    own = asyncio.new_event_loop()

    async def main() -> None:
        async with serving(writes(OK)) as server:
            pool = await asyncio.to_thread(own.run_until_complete, used(server.url))
            await asyncio.wait_for(pool.aclose(), 5.0)
            await asyncio.to_thread(own.run_until_complete, asyncio.sleep(0.01))
            assert not pool._open
            own.close()
            await asyncio.wait_for(server.hung_up.wait(), 5.0)

    asyncio.run(main())


def test_closing_after_their_loop_was_closed_waits_for_nothing() -> None:
    own = asyncio.new_event_loop()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = Pool(origin_of("http://127.0.0.1:9"), tls, name="cloud", connect_timeout_s=5.0)
    connection = Connection(own, pool._gone)
    connection.connection_made(Wire())
    pool._loop = own
    pool._open.add(connection)
    own.close()

    asyncio.run(asyncio.wait_for(pool.aclose(), 5.0))

    assert not pool._open


def test_a_pool_that_was_never_used_closes_in_any_loop() -> None:
    async def main() -> None:
        async with pooled("http://127.0.0.1:9/v1"):
            pass

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
