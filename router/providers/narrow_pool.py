"""Connections to one origin, kept for the next call while they are young."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from aiohappyeyeballs import start_connection

from ..clock import Clock, SystemClock
from ..errors import Unavailable
from .narrow_connection import Connection
from .narrow_request import Origin
from .transport import connection_error, no_connection_in

IDLE_S = 15.0
"""Longest that a connection is kept without use."""

_NEXT_ADDRESS_S = 0.25  # RFC 8305, section 5
_MARGIN_S = 1.0  # a server that says 5 s may hang up as our next request is on its way
_TIMEOUT = re.compile(r"timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class Pool:
    """Idle connections, last used first, and the way to new ones. Belongs to one event loop."""

    def __init__(
        self,
        origin: Origin,
        tls: ssl.SSLContext,
        *,
        name: str,
        connect_timeout_s: float,
        idle_s: float = IDLE_S,
        clock: Clock | None = None,
    ) -> None:
        """Touches no network.

        Args:
            origin: Where to.
            tls: For an origin that is secure; is told to speak HTTP/1.1.
            name: Of the host, for errors.
            connect_timeout_s: Longest for name, connection and TLS together.
            idle_s: Longest that a connection is kept without use.
            clock: For the age of connections.
        """
        self._origin = origin
        self._tls = tls if origin.secure else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        self.name = name
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._clock = clock or SystemClock()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._none_left: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # from the first connection on

    @property
    def idle(self) -> int:
        """How many connections wait for a call."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """A connection that has served before and can again. None: there is none."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable and self._clock.now() < connection.idle_until:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection) -> None:
        """Take back one whose exchange is over; close it if it can't serve again."""
        keep_s = self._idle_s
        told = connection.headers.get("keep-alive")
        if told is not None and (found := _TIMEOUT.search(told)):
            keep_s = min(keep_s, int(found[1]) - _MARGIN_S)
        if self._closed or keep_s <= 0 or not connection.reusable:
            connection.abort()
            return
        connection.rest()
        connection.idle_until = self._clock.now() + keep_s
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle_s, self.sweep)

    def sweep(self) -> None:
        """Close what has been idle for too long. Runs by itself while anything is idle."""
        now = self._clock.now()
        old = [c for c in self._idle if not c.usable or now >= c.idle_until]
        self._idle = [c for c in self._idle if c not in old]
        for connection in old:
            connection.abort()
        self._timer = None
        if self._idle:
            soonest_s = min(c.idle_until for c in self._idle) - now
            self._timer = asyncio.get_running_loop().call_later(soonest_s, self.sweep)

    async def connect(self) -> tuple[Connection, float]:
        """A new connection, and how long it took. Raises: Unavailable, not reached."""
        if self._closed:
            raise _closed()
        self._loop = asyncio.get_running_loop()
        began = self._clock.now()
        limit = asyncio.timeout(self._connect_timeout_s)
        try:
            async with limit:
                connection = await self._dial()
        except (OSError, UnicodeError) as exc:  # a TimeoutError and an SSLError are OSErrors
            if limit.expired():
                raise no_connection_in(self._connect_timeout_s, self.name) from exc
            raise connection_error(exc, self.name, connected=False) from exc
        if connection.usable:
            self._open.add(connection)
        if self._closed:
            connection.abort()
            raise _closed()
        return connection, self._clock.now() - began

    async def aclose(self) -> None:
        """Close all connections, those in use too, and wait until they are closed.

        From another loop than theirs nothing is waited for: that loop may never run again.
        """
        self._closed = True
        if self._loop is not asyncio.get_running_loop():
            try:
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._abort_all)
            except RuntimeError:  # it is closed, and sockets are let go by the garbage collector
                self._idle.clear()
                self._open.clear()
            return
        self._abort_all()
        if self._open:
            if self._none_left is None or self._none_left.done():
                self._none_left = self._loop.create_future()
            await asyncio.shield(self._none_left)  # others may wait for it too

    def _abort_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._idle.clear()
        for connection in tuple(self._open):
            connection.abort()

    def _gone(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._open and self._none_left is not None and not self._none_left.done():
            self._none_left.set_result(None)

    async def _dial(self) -> Connection:
        """Whichever of the host's addresses answers first, by RFC 8305; then TLS."""
        loop = asyncio.get_running_loop()
        found = await start_connection(
            await self._addresses(loop), happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
        )
        _, connection = await loop.create_connection(
            lambda: Connection(loop, self._gone),
            sock=found,
            ssl=self._tls,
            server_hostname=self._origin.host.rstrip(".") if self._tls else None,
        )
        return connection

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> Sequence[Any]:
        host, port = self._origin.host, self._origin.port
        try:  # an address is no name, and asks nobody
            flags = socket.AI_NUMERICHOST
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        except socket.gaierror:
            return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _closed() -> Unavailable:
    return Unavailable("these connections have been closed", retryable=False, reached=False)
