"""HTTP's framing under the app: uvicorn's protocol on httptools, with a bound on a request's head.

uvicorn takes heads of any size, and waits for them as long as it takes. Here a head that is too
large is a 431, one that does not come in time a 408, and both end the connection. Trailers, which
uvicorn adds to the head's headers when those were looked at already, are passed over; what comes
beside a body's own bytes is bounded as a head is. And a response's head goes out with the first of
its body in one `write`, which saves a system call.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .wire.failure import Failure


class Joined:
    """A transport whose `write` holds a response's head until something follows it."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send `data`, or hold it if it is the head of a final response."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._held = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self.write(b"")

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """As the transport says."""
        return self._transport.is_closing()


class _Trailers(list[Any]):
    """Takes the headers that follow a body, and keeps none."""

    def append(self, found: Any) -> None:
        """Nothing."""


class Bounded(HttpToolsProtocol):
    """One connection. Subclasses set the bounds; see `bounded`."""

    max_head_bytes = 32 * 1024
    head_s = 10.0

    _head_bytes = 0
    _idle_bytes = 0
    _moved = False
    _in_head = True
    _refused = False
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = Joined(transport)  # type: ignore[assignment]
        self._clock = self.loop.call_later(self.head_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._moved = False
        super().data_received(data)
        if self._refused:
            return
        if not self._in_head:
            self._hold_idle(len(data))
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.max_head_bytes:
            self._refuse(_TOO_LARGE)
        elif self._clock is None:
            self._clock = self.loop.call_later(self.head_s, self._late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._moved = True

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_clock()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_head_bytes:
            self._refuse(_TOO_LARGE)
            raise ValueError("the head is too large")  # ends the parser's work on this data
        super().on_headers_complete()
        self.headers = _TRAILERS

    def on_response_complete(self) -> None:
        if isinstance(self.transport, Joined):  # the response to a HEAD has no body to go with
            self.transport.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            self._refuse(_MALFORMED)

    def _hold_idle(self, size: int) -> None:
        """Bound what brings no byte of a body: trailers, and a chunk's extensions."""
        self._idle_bytes = 0 if self._moved else self._idle_bytes + size
        if self._idle_bytes > self.max_head_bytes:
            self._refuse(_TOO_LARGE)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self._in_head and self.transport is not None and not self.transport.is_closing():
            self._refuse(_LATE)

    def _refuse(self, failure: Failure) -> None:
        """Answer without the app, and close. Not in the middle of another answer."""
        self._refused = True
        self._stop_clock()
        if self.cycle is None or self.cycle.response_complete:
            body = failure.body()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                % (failure.status, _REASONS[failure.status], len(body), body)
            )
        self.transport.close()


def bounded(max_head_bytes: int, head_s: float) -> type[Bounded]:
    """A protocol with these bounds, as uvicorn takes one: by its class."""
    return type("Bounded", (Bounded,), {"max_head_bytes": max_head_bytes, "head_s": head_s})


_TRAILERS = _Trailers()
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
_TOO_LARGE = Failure(status=431, message="the request's head is too large", code="head_too_large")
_MALFORMED = Failure(status=400, message="this is no HTTP request", code="malformed_request")
_LATE = Failure(
    status=408, message="the request's head did not come in time", code="request_timeout"
)
