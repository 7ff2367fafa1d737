"""A connection whose socket is only told of: what it sends is kept, what it gets is put in."""

from __future__ import annotations

import asyncio
from typing import Any

from router.providers.narrow_connection import SLICE_BYTES, Connection

MEASURED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello, you."


class Wire(asyncio.Transport):
    """A transport that keeps what it is told; `full` as when the other side takes nothing."""

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.sent = bytearray()
        self.writes = 0
        self.reading = True
        self.aborted = False
        self.full = full
        self.protocol: Connection

    def write(self, data: Any) -> None:
        self.sent += data
        self.writes += 1
        if self.full and len(self.sent) > SLICE_BYTES:
            self.protocol.pause_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


def connected(*, full: bool = False) -> tuple[Connection, Wire]:
    wire = Wire(full=full)
    wire.protocol = Connection(asyncio.get_running_loop(), lambda _: None)
    wire.protocol.connection_made(wire)
    return wire.protocol, wire
