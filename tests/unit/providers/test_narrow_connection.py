"""A connection by itself: bytes are put in as a socket would, in any pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.narrow_wire import MEASURED, Wire, connected

from router.providers.narrow_connection import (
    MOST_HEAD_BYTES,
    MOST_UNREAD_BYTES,
    Connection,
    HeadTooLong,
)

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Two: a\r\nX-Two: b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
    b"5\r\nHello\r\n3;some=thing\r\n, y\r\n3\r\nou.\r\n0\r\nX-Trailer: t\r\n\r\n"
)
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nHello, you."


async def answered(
    pieces: Iterable[bytes], *, eof: bool = False, head_only: bool = False
) -> Connection:
    """A connection that was asked and got these pieces for an answer."""
    connection, _ = connected()
    asking = asyncio.create_task(
        connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=head_only)
    )
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    if eof:
        connection.eof_received()
    await asking
    return connection


@given(
    st.sampled_from([(CHUNKED, False), (MEASURED, False), (ENDLESS, True)]),
    st.lists(st.integers(0, len(CHUNKED)), max_size=12),
)
def test_an_answer_is_the_same_however_it_is_split(
    recorded: tuple[bytes, bool], cuts: list[int]
) -> None:
    whole, eof = recorded
    ends = [*sorted(cuts), len(whole)]
    pieces = [whole[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]

    connection = asyncio.run(answered(pieces, eof=eof))

    assert (connection.status, connection.ended, connection.error) == (200, True, None)
    assert connection.take() == b"Hello, you."
    assert connection.reusable is not eof
    assert "x-trailer" not in connection.headers
    assert connection.headers.get("x-two") == ("b" if whole is CHUNKED else None)
    assert "link" not in connection.headers


@given(st.sampled_from([CHUNKED, MEASURED]), st.data())
def test_an_answer_that_was_cut_is_never_whole(whole: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(whole) - 1))

    async def main() -> Connection | None:
        try:
            return await answered([whole[:length]] if length else [], eof=True)
        except EOFError:
            return None

    connection = asyncio.run(main())

    head_came = whole.find(b"\r\n\r\n", whole.index(b"200 OK")) + 4 <= length
    assert (connection is not None) == head_came
    if connection is not None:
        assert isinstance(connection.error, EOFError)
        assert not connection.ended
        assert b"Hello, you.".startswith(connection.take())
        assert not connection.reusable


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_ends_with_its_head(status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode()

    connection = asyncio.run(answered([head]))

    assert connection.ended
    assert connection.reusable


def test_what_answers_a_head_request_has_no_body() -> None:
    connection = asyncio.run(answered([MEASURED[:-11]], head_only=True))

    assert connection.ended
    assert connection.headers["content-length"] == "11"


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\n", b"x", b"\x00\x01", MEASURED], ids=repr)
def test_bytes_behind_the_end_cost_the_connection_and_not_the_answer(extra: bytes) -> None:
    connection = asyncio.run(answered([MEASURED + extra]))

    assert (connection.ended, connection.error) == (True, None)
    assert connection.take() == b"Hello, you."
    assert not connection.reusable


def test_bytes_that_nobody_asked_for_close_it() -> None:
    async def main() -> Wire:
        connection, wire = connected()
        connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert not connection.usable
        return wire

    assert asyncio.run(main()).aborted


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 " + b"x" * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"X: xxxxxxxxxx\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\nX: xxxxxx\r\n\r\n" * 20_000,
    ],
    ids=["status line", "one header", "many headers", "many heads"],
)
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_a_head_without_end_is_given_up(head: bytes, size: int) -> None:
    pieces = [head[at : at + size] for at in range(0, len(head), size)]

    with pytest.raises(HeadTooLong):
        asyncio.run(answered(pieces))


def test_trailers_without_end_are_given_up() -> None:
    whole = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: xxxxxxxx\r\n" * 10_000
    )

    connection = asyncio.run(answered([whole]))

    assert not connection.ended
    assert isinstance(connection.error, HeadTooLong)


@pytest.mark.parametrize(
    "behind",
    [b"0\r\nX: " + b"x" * 10 * MOST_HEAD_BYTES, b"5;" + b"x" * 10 * MOST_HEAD_BYTES],
    ids=["one trailer", "a chunk's extension"],
)
def test_what_never_becomes_a_body_is_given_up_and_the_socket_with_it(behind: bytes) -> None:
    async def main() -> Wire:
        connection, wire = connected()
        asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b""))
        await asyncio.sleep(0)
        connection.data_received(CHUNKED.partition(b"0\r\n")[0])
        await asking
        came = 0
        while not wire.aborted and came < len(behind):
            connection.data_received(behind[came : came + 1000])
            came += 1000
        assert came <= MOST_HEAD_BYTES + 2000
        assert isinstance(connection.error, HeadTooLong)
        assert connection.take() == b"Hello, you."
        return wire

    assert asyncio.run(main()).aborted


def test_a_long_body_in_many_small_chunks_is_no_head_without_end() -> None:
    chunks = b"1;some=thing\r\nx\r\n" * (2 * MOST_HEAD_BYTES // 10)
    whole = CHUNKED.partition(b"5\r\n")[0] + chunks + b"0\r\n\r\n"

    connection = asyncio.run(answered([whole[at : at + 7] for at in range(0, len(whole), 7)]))

    assert (connection.ended, connection.error) == (True, None)


@pytest.mark.parametrize("name", [b"Content-Length ", b"Content-Length  "])
def test_a_length_with_a_space_before_its_colon_counts(name: bytes) -> None:
    cut = MEASURED.replace(b"Content-Length", name)[:-3]

    connection = asyncio.run(answered([cut], eof=True))

    assert connection.headers == {"content-length": "11"}
    assert not connection.ended
    assert isinstance(connection.error, EOFError)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
    ids=repr,
)
def test_what_is_no_answer_is_told_from_a_lost_connection(said: bytes) -> None:
    with pytest.raises((httptools.HttpParserError, httptools.HttpParserUpgrade)):
        asyncio.run(answered([said]))


def test_a_reader_who_does_not_come_stops_the_socket_until_he_does() -> None:
    async def main() -> None:
        connection, wire = connected()
        asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b""))
        await asyncio.sleep(0)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n")
        await asking
        came = 0
        while wire.reading:
            connection.data_received(b"x" * 10_000)
            came += 10_000
        assert MOST_UNREAD_BYTES < came <= MOST_UNREAD_BYTES + 10_000
        assert len(connection.take()) == came
        assert wire.reading
        assert connection.take() == b""

    asyncio.run(main())


def test_a_connection_serves_one_exchange_after_another() -> None:
    async def main() -> None:
        connection, _ = connected()
        kept = []
        for _ in range(3):
            asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b""))
            await asyncio.sleep(0)
            connection.data_received(CHUNKED)
            await asking
            assert connection.take() == b"Hello, you."
            assert connection.reusable
            kept.append(connection.headers)
            connection.rest()
        assert kept[0] is not kept[1]
        connection.eof_received()
        assert not connection.usable

    asyncio.run(main())


def test_a_connection_at_rest_holds_nothing_and_takes_nothing() -> None:
    async def main() -> None:
        connection, wire = connected()
        asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b""))
        await asyncio.sleep(0)
        length = 2 * MOST_UNREAD_BYTES
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        connection.data_received(b"x" * length)
        await asking
        assert (connection.reusable, wire.reading) == (True, False)
        connection.rest()
        assert wire.reading
        assert connection.take() == b""
        connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert wire.aborted

    asyncio.run(main())
