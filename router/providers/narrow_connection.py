"""One HTTP/1.1 connection as a client has it: a request's bytes go out, an answer's come in.

Framing is read by httptools, which is llhttp in C. One exchange at a time; whose turn it is, is the
pool's to know. A head is bounded, what is unread of a body is bounded by ceasing to read from the
socket, and an answer counts as whole only when its framing says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

MOST_HEAD_BYTES = 65_536
"""Of an answer's head, and of what is between two pieces of its body or behind the last."""
MOST_UNREAD_BYTES = 131_072
"""Of a body. With more, the socket is left alone until the reader has come."""
SLICE_BYTES = 262_144
"""A request's body goes out in slices, for a large one would hold up the event loop under TLS."""


class HeadTooLong(Exception):
    """An answer's head, or its trailers, has no end in sight."""


class NotAsked(Exception):
    """Bytes came that no request has asked for."""


class Connection(asyncio.Protocol):
    """The protocol, and what is known of the answer to the request it was last given.

    Attributes:
        status: HTTP status, once `head` is true.
        headers: Names in lower case; of a repeated header the last. A new mapping each exchange.
        head: Whether the answer's head is here.
        pieces: Bytes of the body that nobody has taken yet, as they were framed.
        ended: Whether all of the body is here.
        error: Why no more will come, though the answer is not whole.
        idle_until: For the pool, which closes it then.
    """

    __slots__ = (
        "_asked", "_closed", "_gone", "_head_left", "_head_only", "_keep", "_loop",
        "_parser", "_paused", "_to_send", "_transport", "_unread", "_until_close", "_waiter",
        "_write_paused",
        "ended", "error", "head", "headers", "idle_until", "pieces", "received", "status",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[Connection], None]) -> None:
        """`gone` is called once, when the connection is no more."""
        self._loop = loop
        self._gone = gone
        self._parser = httptools.HttpResponseParser(self)
        # What servers on the road need, and no more; a body's length is never guessed.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._paused = self._write_paused = self._closed = self._asked = False
        self._keep = True
        self.idle_until = 0.0
        self._reset(head_only=False)

    def _reset(self, *, head_only: bool) -> None:
        self._head_only = head_only
        self._head_left = MOST_HEAD_BYTES
        self._unread = 0
        self._until_close = False
        self._to_send: memoryview | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.head = self.ended = self.received = False
        self.error: BaseException | None = None

    @property
    def usable(self) -> bool:
        """Whether it can take a request: it is open, and the last exchange left nothing behind."""
        return self._keep and not self._closed

    @property
    def reusable(self) -> bool:
        """Whether this exchange is over and the next may begin."""
        return self.ended and self._keep and self._to_send is None and not self._closed

    async def ask(self, head: bytes, body: bytes, *, head_only: bool = False) -> None:
        """Send a request and wait for the head of its answer.

        A large body is sent as the other side takes it, beside an answer that has begun: some
        servers say 200 first. What is refused, or moved elsewhere, is not sent to its end.

        Args:
            head: Request line and headers with the blank line.
            body: May be empty.
            head_only: The answer has no body, whatever its head says: to HEAD.

        Raises: what `error` then is.
        """
        self._reset(head_only=head_only)
        self._asked = True
        if len(body) <= SLICE_BYTES:
            self._transport.write(head + body if body else head)
        else:
            self._to_send = memoryview(body)
            self._transport.write(head)
            self._send()
        while not self.head:
            if self.error is not None:
                raise self.error
            await self.wait()

    def take(self) -> bytes:
        """All of the body that is here and untaken; empty when nothing is."""
        pieces = self.pieces
        if len(pieces) == 1:
            data = pieces.pop()
        else:
            data = b"".join(pieces)
            pieces.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def wait(self) -> asyncio.Future[None]:
        """Until something has changed; perhaps not what is waited for. One waiter at a time."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def rest(self) -> None:
        """Be idle: whatever comes now was not asked for."""
        self._asked = False
        if self.pieces or self._paused:
            self.take()

    def abort(self) -> None:
        """Close at once; who still reads is told that it was closed on this side."""
        self._keep = False
        self._over(ConnectionAbortedError("closed on this side"))
        self._transport.abort()

    def _send(self) -> None:
        """As much of the body as is taken now."""
        while (body := self._to_send) is not None and not self._write_paused:
            self._to_send = body[SLICE_BYTES:] or None
            self._transport.write(body[:SLICE_BYTES])

    def _stop_sending(self) -> None:
        """The rest of the body is wanted by nobody, and so nothing else can follow it."""
        if self._to_send is not None:
            self._to_send = None
            self._keep = False

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _over(self, error: BaseException | None) -> None:
        """No more will come; without an error the other side has closed in order."""
        self._stop_sending()
        self._keep = False
        if not self.ended and self.error is None:
            if error is None and self.head and self._until_close:
                self.ended = True
            else:
                self.error = error or EOFError("the connection was closed")
        self._wake()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class

    def data_received(self, data: bytes) -> None:
        if not self._asked or self.error is not None:
            self.abort()
            return
        self.received = True
        unread = self._unread
        try:
            self._parser.feed_data(data)
            if not self.head or (self._unread == unread and not self.ended):
                self._spend(len(data))  # of a head or trailers; the parser tells them at their end
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, HeadTooLong) as exc:
            # What comes after the end costs the connection, not the answer.
            self._over(exc.__context__ or exc)
            return
        if self._unread > MOST_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._over(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._parser = None  # type: ignore[assignment] # it holds this connection
        self._over(exc)
        self._gone(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._send()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self.ended:
            raise NotAsked

    def on_header(self, name: bytes, value: bytes) -> None:
        self._spend(len(name) + len(value))
        if not self.head:  # else it is a trailer
            # Some write a space before the colon, and the parser leaves it there.
            self.headers[name.decode("latin-1").rstrip().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # the answer is still to come
            self.headers = {}
            return
        self.status = status
        coding = self.headers.get("transfer-encoding")
        if coding is not None:
            self._until_close = not coding.lower().rstrip().endswith("chunked")
        else:
            self._until_close = "content-length" not in self.headers
        self._keep = self._parser.should_keep_alive() and not self._head_only
        if status >= 300:
            self._stop_sending()
        self.head = True
        self.ended = self._head_only

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)
        self._unread += len(data)
        self._head_left = MOST_HEAD_BYTES

    def on_message_complete(self) -> None:
        self.ended = self.head  # a head below 200 has no body, and is no answer

    def _spend(self, count: int) -> None:
        self._head_left -= count
        if self._head_left < 0:
            raise HeadTooLong
