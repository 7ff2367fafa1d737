"""One request and its response on a connection: what uvicorn's cycle does, in fewer steps.

A response's head goes out with the first of its body, in one `write`: that saves a system call. And
the app can be told at once that its client has left, instead of having to wait for it to be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class Cycle(RequestResponseCycle):
    """As uvicorn's, for an app that says of each response its length, or wants it in chunks."""

    _head = b""
    _left: Callable[[], object] | None = None

    def heed(self, left: Callable[[], object]) -> None:
        """Call `left` when the client leaves before it has the whole response."""
        if self.disconnected:
            left()
        else:
            self._left = left
            self.flow.resume_reading()  # nobody is seen to leave where nothing is read

    def gone(self) -> None:
        """The client has left, or is not to be heard any more."""
        self.disconnected = True
        self.message_event.set()
        left = None if self.response_complete else self._left
        self._end()
        if left is not None:
            left()

    def _end(self) -> None:
        """Let go of what would keep this cycle by itself until the collector comes."""
        self._left = None
        self.scope.pop("extensions", None)  # it has `heed`

    async def send(self, message: Any) -> None:
        """See ASGI. Raises: RuntimeError, when it is no part of a response, or not its turn."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message["body"], last=not message.get("more_body"))
        elif kind == "http.response.start" and not self.response_started:
            self._begin(message["status"], message["headers"])
        else:
            raise RuntimeError(f"{kind} is not what follows in a response")

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Hold the head until something follows it."""
        lines = [*map(b": ".join, headers)]
        if _UNFIT.search(b"".join(lines)):
            raise RuntimeError("a header has what no header may have")
        self.response_started = True
        self.waiting_for_100_continue = False
        names = dict(headers)
        if b"connection" in names:  # the app says it to close, and for nothing else
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        self.chunked_encoding = b"content-length" not in names
        if self.chunked_encoding and self.scope["method"] != "HEAD":
            lines.append(b"transfer-encoding: chunked")
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))

    def _send_body(self, data: bytes, *, last: bool) -> None:
        if self.scope["method"] == "HEAD":
            data = b""
        elif self.chunked_encoding:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if last:
                data += b"0\r\n\r\n"
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self.transport.write(data)
        if last:
            self.response_complete = True
            self.message_event.set()
            self._end()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


_UNFIT = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]")
