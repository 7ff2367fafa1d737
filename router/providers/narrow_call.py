"""One call over the pool's connections: an async context that gives a `Reply`.

What a failure means is said in `transport.py`, as it is for every way of sending. A request that is
lost on a connection that had served before is sent again if that can do no harm (GET, HEAD, and so
on). A POST never is: it may have been read, and then it costs something.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

from ..errors import HopError
from .narrow_connection import Connection
from .narrow_inflate import MOST_BYTES, Inflate, UnknownEncoding, inflate_for
from .narrow_pool import Pool
from .narrow_request import Heads
from .transport import Reply, connection_error, cut_error, not_http

_HARMLESS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class Call:
    """One request and its answer. Enter it once.

    Leaving gives the connection back to the pool when the answer is whole, and closes it at once
    when it is not.
    """

    __slots__ = ("_connection", "_data", "_headers", "_heads", "_inflate", "_method", "_pool",
                 "_url")  # fmt: skip

    def __init__(
        self,
        pool: Pool,
        heads: Heads,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | None,
    ) -> None:
        self._pool = pool
        self._heads = heads
        self._method = method
        self._url = url
        self._headers = headers
        self._data = data
        self._connection: Connection | None = None
        self._inflate: Inflate | None = None

    async def __aenter__(self) -> Reply:
        """Send it and wait for the answer's head. Raises `HopError` and nothing else."""
        head = self._heads.head(self._method, self._url, self._headers, self._data)
        connection, connect_s = self._pool.take(), 0.0
        again = connection is not None and self._method in _HARMLESS
        while True:
            if connection is None:
                connection, connect_s = await self._pool.connect()
            try:
                await connection.ask(head, self._data or b"", head_only=self._method == "HEAD")
                break
            except BaseException as exc:
                connection.abort()
                if exc is not connection.error:
                    raise  # the caller has gone
                lost = isinstance(exc, OSError | EOFError)
                if not (lost and again and not connection.received):
                    raise self._failed(exc, lost=lost) from exc
            connection, again = None, False
        self._connection = connection
        self._inflate = inflate_for(connection.headers.get("content-encoding"))
        return Reply(
            status=connection.status,
            headers=connection.headers,
            read=self.read,
            connect_s=connect_s,
            over=self.over,
            waiting=self.waiting,
        )

    async def __aexit__(self, *_: object) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection)  # which closes one that is not done

    async def read(self) -> bytes:
        """The next bytes of the body; see `Reply`."""
        connection = self._connection
        if connection is None:
            raise cut_error(ConnectionAbortedError("the call has been left"), self._pool.name)
        while self._inflate is None:
            if connection.pieces:
                return connection.take()
            if self._over(connection):
                return b""
            await connection.wait()
        return await self._unpacked(connection, self._inflate)

    def over(self) -> bool:
        """Whether all of the body has been read; see `Reply`."""
        connection = self._connection
        read = connection is not None and connection.ended and not connection.pieces
        return read and self._inflate is None

    def waiting(self) -> bool:
        """Whether the next `read` has bytes at once; see `Reply`."""
        connection = self._connection
        return connection is not None and bool(connection.pieces) and self._inflate is None

    async def _unpacked(self, connection: Connection, inflate: Inflate) -> bytes:
        try:
            while not (piece := inflate.take()):
                if connection.pieces:
                    inflate.feed(connection.take())
                elif self._over(connection):
                    return b""
                else:
                    await connection.wait()
        except (zlib.error, UnknownEncoding) as exc:
            raise cut_error(exc, self._pool.name) from exc
        if len(piece) == MOST_BYTES:
            await asyncio.sleep(0)  # there is more where it came from, and others want their turn
        return piece

    def _over(self, connection: Connection) -> bool:
        """Whether the body has ended. Raises: BadWire when it broke off."""
        if connection.error is not None:
            raise cut_error(connection.error, self._pool.name) from connection.error
        return connection.ended

    def _failed(self, error: BaseException, *, lost: bool) -> HopError:
        """What a failure between the request and the answer's head means."""
        if lost:
            return connection_error(error, self._pool.name, connected=True)
        return not_http(error, self._pool.name)
