"""HTTP's framing under the app: uvicorn's protocol on httptools, held to bounds and to the letter.

uvicorn takes heads of any size, and waits for them as long as it takes. Here a head that is too
large is a 431, one that does not come in time a 408, and both end the connection. What would be
read in two ways (a coding beside `chunked`, an address that is not the Host's, a broken chunk) is a
400. What follows a chunked body is dropped: it came after the door had looked at the headers. An
`Upgrade` is passed over, as HTTP allows, with the body that httptools would leave unread. Who reads
nothing of a long answer is hung up on. And what every request costs is kept small: the app is told
no more of one than it reads, and no timer is set and taken back for it.
"""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .cycle import Cycle
from .exchange import LEFT
from .wire.failure import Failure


class Bounded(HttpToolsProtocol):
    """One connection. Subclasses set the bounds; see `bounded`."""

    cycle: Cycle | None  # type: ignore[assignment] # as `_ask` makes it

    max_head_bytes = 32 * 1024
    head_s = 10.0
    unread_s = 60.0

    _head_bytes = 0
    _in_head = True
    _in_body = False
    _refused = False
    _upgrades = False
    _clock: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    # Since when nothing is asked, and what looks whether that has been so for too long.
    _idle_since: float | None = None
    _idle: asyncio.TimerHandle | None = None
    # Of a body that comes in pieces: bytes received, and those of them that are the body's own.
    _wire_bytes = 0
    _body_bytes = 0
    # What is being read, and what is to be read after it.
    _data = _again = b""
    # What the app was last asked; `cycle` is what came last.
    _running: Cycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._clock = self.loop.call_later(self.head_s, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        if self._idle is not None:
            self._idle.cancel()
        self.resume_writing()
        self.connections.discard(self)
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment] # it holds this connection
        for cycle in {self._running, self.cycle}:  # what came between them never began
            if cycle is not None:
                cycle.gone()
        self.cycle = self._running = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_body:
            self._wire_bytes += len(data)
        self._data = data
        self._feed(data)
        while self._again:
            self._data, self._again = self._again, b""
            self._feed(self._data)
        self._data = b""
        if self._refused:
            return
        if self._in_body:
            # A chunk of one byte has five of framing.
            if self._wire_bytes > self.max_head_bytes + 8 * self._body_bytes:
                self._refuse(_MALFORMED)
        elif self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._refuse(_TOO_LARGE)
            elif self._clock is None:
                self._clock = self.loop.call_later(self.head_s, self._late)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if not self._refused:
                self.logger.warning("Invalid HTTP request received.")
                self._refuse(_MALFORMED)
        except httptools.HttpParserUpgrade:
            self._without_upgrade()

    def on_message_begin(self) -> None:
        self._idle_since = None
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is one that follows a chunked body
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_clock()
        size, coding, host = len(self.url), None, b""
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"transfer-encoding":
                coding = value
            elif name == b"host":
                host = value
        if size > self.max_head_bytes:
            self._refuse(_TOO_LARGE)
            raise ValueError("the head is too large")
        version = self.parser.get_http_version()
        if not self._plain(version, coding, host):
            self._refuse(_UNCLEAR)
        if self._refused:
            raise ValueError("the head is refused")  # ends the parser's work on this data
        self._upgrades = self.parser.should_upgrade()
        if not self._upgrades:
            self._in_body, self._wire_bytes, self._body_bytes = True, 0, 0
            self._ask(
                keep_alive=version != "1.0" and self.parser.should_keep_alive(),
                old=version == "1.0",
            )

    def _plain(self, version: str, coding: bytes | None, host: bytes) -> bool:
        """Whether a head can be understood in one way only."""
        if version not in ("1.1", "1.0") or self.parser.get_method() == b"CONNECT":
            return False
        if coding is not None and (coding.strip().lower() != b"chunked" or version == "1.0"):
            return False
        if self.url.startswith(b"/") or self.url == b"*":
            return True
        named = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
        return named.lower() == host.lower()

    def _ask(self, *, keep_alive: bool, old: bool) -> None:
        """Let the app answer the request, or let it wait until those before it are answered."""
        path, query = _place(self.url)
        method = self.parser.get_method().decode("ascii")
        before = self.cycle
        cycle = Cycle(
            self,
            method,
            keep_alive=keep_alive,
            expects=self.expect_100_continue and not old,
            old=old,
        )
        self.cycle = cycle
        scope = {  # what our app reads of it
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": self.headers,
            "extensions": {LEFT: cycle.heed},
        }
        if before is None or before.response_complete:
            self._start(cycle, scope)
        else:
            if len(self.pipeline) >= _MOST_WAITING:  # nobody is seen to leave where nothing is read
                self.flow.pause_reading()
            self.pipeline.appendleft((cycle, scope))  # type: ignore[arg-type]

    def _start(self, cycle: Cycle, scope: dict[str, Any]) -> None:
        self._running, self._idle_since = cycle, None
        task = self.loop.create_task(self.app(scope, cycle.receive, cycle.send))
        self.tasks.add(task)
        task.add_done_callback(cycle.over)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        if cycle.came(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._in_body = False
        if not self._upgrades and self.cycle is not None:
            self.cycle.came_whole()

    def _without_upgrade(self) -> None:
        """Go on without the upgrade that was offered.

        httptools stops after such a head. So it is read again, by a new parser, as if there had
        been no offer; Java's client makes one with the first request of each connection.
        """
        stopped = sys.exception()
        if self.pipeline or stopped is None:
            self._refuse(_UNCLEAR)
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                signs = map(bytes.strip, value.lower().split(b","))
                lines += [b"connection: " + sign for sign in signs if sign in _KEPT]
            elif name != b"upgrade":
                lines.append(b"%s: %s" % (name, value))
        self.parser = type(self.parser)(self)
        self._again = b"\r\n".join(lines) + b"\r\n\r\n" + self._data[stopped.args[0] :]

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start(*self.pipeline.pop())  # type: ignore[arg-type]
            return
        self._idle_since = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """Hang up if nothing was asked for long. One timer a connection, not one a request."""
        self._idle = None
        if self._idle_since is None:
            return  # the end of what is asked sets it anew
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle = self.loop.call_later(left_s, self._look)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def shutdown(self) -> None:
        """Close when what runs is done. Who has just come may have asked already: wait for that."""
        cycle = self.cycle
        waits = cycle is None or (cycle.response_complete and self._in_head)
        if waits and not self._refused:
            self.loop.call_later(_JUST_COME_S, super().shutdown)
        else:
            super().shutdown()

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
        cycle = self.cycle
        # The app may be waiting for the very body that is broken.
        waits = self._in_body and not self.pipeline
        if cycle is None:
            tells = True
        elif cycle.response_complete:
            tells = not self._in_body  # else what is broken has had its answer
        else:
            tells = waits and not cycle.response_started
        if tells:
            body = failure.body()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                % (failure.status, _REASONS[failure.status], len(body), body)
            )
            if cycle is not None:
                cycle.gone()
        self.transport.close()


def bounded(max_head_bytes: int, head_s: float, unread_s: float) -> type[Bounded]:
    """A protocol with these bounds, as uvicorn takes one: by its class."""
    bounds = {"max_head_bytes": max_head_bytes, "head_s": head_s, "unread_s": unread_s}
    return type("Bounded", (Bounded,), bounds)


@lru_cache(maxsize=64)
def _place(url: bytes) -> tuple[str, bytes]:
    """Path and query of an address. Apps ask at the same few again and again."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.query or b""


_JUST_COME_S = 0.5
_MOST_WAITING = 16
_KEPT = (b"close", b"keep-alive")
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
_TOO_LARGE = Failure(status=431, message="the request's head is too large", code="head_too_large")
_MALFORMED = Failure(status=400, message="this is no HTTP request", code="malformed_request")
_UNCLEAR = Failure(
    status=400,
    message="this request could be read in more than one way: its version, coding or address",
    code="malformed_request",
)
_LATE = Failure(
    status=408, message="the request's head did not come in time", code="request_timeout"
)
