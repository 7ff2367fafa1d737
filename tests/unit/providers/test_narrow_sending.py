"""How a request goes out: in one write, or as the other side takes it."""

from __future__ import annotations

import asyncio

import pytest
from support.narrow_wire import MEASURED, Wire, connected

from router.providers.narrow_connection import SLICE_BYTES


def test_a_small_request_is_one_write() -> None:
    async def main() -> Wire:
        connection, wire = connected()
        asking = asyncio.create_task(connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"x" * 2500))
        await asyncio.sleep(0)
        connection.data_received(MEASURED)
        await asking
        return wire

    assert asyncio.run(main()).writes == 1


def test_a_large_body_goes_out_to_its_end_beside_an_answer_that_has_begun() -> None:
    body = b"x" * (SLICE_BYTES * 2 + 7)

    async def main() -> None:
        connection, wire = connected(full=True)
        asking = asyncio.create_task(connection.ask(b"h", body))
        await asyncio.sleep(0)
        connection.data_received(MEASURED[:-11])
        await asking
        assert len(wire.sent) == 1 + SLICE_BYTES
        connection.data_received(MEASURED[-11:])
        assert connection.ended
        assert not connection.reusable
        connection.resume_writing()
        connection.resume_writing()
        assert bytes(wire.sent) == b"h" + body
        assert connection.reusable

    asyncio.run(main())


def test_a_large_body_is_not_sent_after_the_connection_is_lost() -> None:
    async def main() -> None:
        connection, wire = connected(full=True)
        asking = asyncio.create_task(connection.ask(b"h", b"x" * (SLICE_BYTES * 3)))
        await asyncio.sleep(0)
        connection.eof_received()
        with pytest.raises(EOFError):
            await asking
        connection.resume_writing()
        assert len(wire.sent) == 1 + SLICE_BYTES

    asyncio.run(main())


@pytest.mark.parametrize("status", ["413 Too Large", "307 Temporary Redirect"])
def test_a_large_body_goes_out_as_it_is_taken_and_not_after_a_refusal(status: str) -> None:
    body = b"x" * (SLICE_BYTES * 5)

    async def main() -> None:
        connection, wire = connected(full=True)
        asking = asyncio.create_task(connection.ask(b"h", body))
        await asyncio.sleep(0)
        assert len(wire.sent) == 1 + SLICE_BYTES
        connection.resume_writing()
        await asyncio.sleep(0)
        assert len(wire.sent) == 1 + 2 * SLICE_BYTES
        connection.data_received(MEASURED.replace(b"200 OK", status.encode()))
        await asking
        connection.resume_writing()
        assert len(wire.sent) == 1 + 2 * SLICE_BYTES
        assert (connection.status, connection.ended) == (int(status[:3]), True)
        assert not connection.reusable

    asyncio.run(main())
