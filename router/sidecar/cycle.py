"""One request and its response on a connection: what ASGI says of both, in few steps.

It stands where uvicorn has its `RequestResponseCycle`. A response's head goes out with the first of
its body, in one `write`: that saves a system call. And the app can be told at once that its client
has left, instead of having to wait for it to be said.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from .http import Bounded

log = logging.getLogger("uvicorn.error")


class Cycle:
    """For an app that says of each response its length, or wants it in chunks.

    Attributes:
        disconnected: Whether the client has left, or is not to be heard any more.
        keep_alive: Whether the connection outlives the response.
        more_body: Whether more of the request's body comes.
        response_started, response_complete: How far the response is.
    """

    __slots__ = (
        *(
            "_chunked",
            "_connection",
            "_expects",
            "_head",
            "_left",
            "_method",
            "_news",
            "_old",
            "_parts",
        ),
        *("_size", "_waiter", "disconnected", "keep_alive", "more_body", "response_complete"),
        *("response_started", "__weakref__"),
    )

    def __init__(
        self,
        connection: Bounded,
        method: str,
        *,
        keep_alive: bool,
        expects: bool,
        old: bool = False,
    ) -> None:
        """`expects`: whether the client waits to be told to go on with the body."""
        self.disconnected = False
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False
        self.response_started = False
        self._chunked = False
        self._connection = connection
        self._expects = expects
        self._head = b""
        self._left: Callable[[], object] | None = None
        self._method = method
        self._old = old
        self._news = False  # whether `receive` has something to say
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None

    def heed(self, left: Callable[[], object]) -> None:
        """Call `left` when the client leaves before it has the whole response."""
        if self.disconnected:
            left()
        else:
            self._left = left
            flow = self._connection.flow
            if flow.read_paused:  # nobody is seen to leave where nothing is read
                flow.resume_reading()

    def came(self, body: bytes) -> int:
        """Some of the body has come. Returns: how many bytes of it nobody has asked for."""
        self._parts.append(body)
        self._size += len(body)
        self._news = True
        if self._waiter is not None:
            self._wake()
        return self._size

    def came_whole(self) -> None:
        """All of the body has come."""
        self.more_body = False
        self._news = True
        if self._waiter is not None:
            self._wake()

    def gone(self) -> None:
        """The client has left, or is not to be heard any more."""
        self.disconnected = True
        if self._waiter is not None:
            self._wake()
        left, self._left = self._left, None
        if left is not None and not self.response_complete:
            left()

    def over(self, task: asyncio.Task[None]) -> None:
        """The app is done with the request."""
        self._connection.tasks.discard(task)
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if fault is not None:
            log.error("Exception in ASGI application\n", exc_info=fault)
        elif self.response_complete or self.disconnected:
            return
        else:
            log.error("ASGI callable returned without completing response.")
        if self.response_started:
            self._connection.transport.close()
        elif not self.disconnected:
            self._begin(500, _FAULT)
            self._send_body(_SORRY, last=True)

    async def receive(self) -> dict[str, Any]:
        """See ASGI."""
        connection = self._connection
        if self._expects and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects = False
        if not self._news and not self.disconnected and not self.response_complete:
            connection.flow.resume_reading()
            self._waiter = connection.loop.create_future()
            await self._waiter
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        self._news = False
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._size = [], 0
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """See ASGI. Raises: RuntimeError, when it is no part of a response, or not its turn."""
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message["body"], last=not message.get("more_body"))
        elif kind == "http.response.start" and not self.response_started:
            self._begin(message["status"], message["headers"])
        else:
            raise RuntimeError(f"{kind} is not what follows in a response")

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Hold the head until something follows it."""
        lines = [*map(b": ".join, headers)]
        if _UNFIT.search(b"".join(lines)):
            raise RuntimeError("a header has what no header may have")
        self.response_started = True
        self._expects = False
        names = dict(headers)
        if b"connection" in names:  # the app says it to close, and for nothing else
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        self._chunked = b"content-length" not in names and not self._old
        if self._chunked and self._method != "HEAD":
            lines.append(b"transfer-encoding: chunked")
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))

    def _send_body(self, data: bytes, *, last: bool) -> None:
        connection = self._connection
        if self._method == "HEAD":
            data = b""
        elif self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if last:
                data += b"0\r\n\r\n"
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            connection.transport.write(data)
        if last:
            self.response_complete = True
            self._left = None
            if self._waiter is not None:
                self._wake()
            if not self.keep_alive:
                connection.transport.close()
            connection.on_response_complete()


_UNFIT = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]")
_SORRY = b"Internal Server Error"
_FAULT = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(_SORRY)),
    (b"connection", b"close"),
]
