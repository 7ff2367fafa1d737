"""One HTTP request and its response, over ASGI: its body within bounds, and what goes back."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from .receiving import Receiving, Task
from .settings import Settings
from .wire.dialects import dialect_of
from .wire.failure import Failure, refuse

if TYPE_CHECKING:
    from .callers import Caller

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Heed = Callable[[Callable[[], object]], None]

LEFT = "firsthop.left"
"""The extension of ASGI that is `Exchange.heed`."""
_KIND = b"application/json"
_JSON = (b"content-type", _KIND)
_LINGER_S = 2.0
_LINGER_BYTES = 64 * 1024 * 1024
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ClientLeft(Exception):
    """The client closed its connection before its request was whole."""


class Exchange:
    """A request, and the way back.

    Attributes:
        headers: By name in lower case; of one that was sent twice the last.
        query: What follows the path, as it was written.
        dialect: Whose words are spoken.
        started: Whether the response's head has been sent.
        caller: Whose key it brought. None: none that holds, or nobody asks for keys.
        heed: Lets the server call something when the client leaves. None: the server can't, and
            whoever waits for the answer cancels the task.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send, settings: Settings) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.lines: Headers = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(self.lines)
        self.query: bytes = scope.get("query_string", b"")
        self.dialect = dialect_of(self.path, self.headers)
        self._id = ""
        self.settings = settings
        self.receive = receive
        self.heed: Heed | None = scope["extensions"].get(LEFT) if "extensions" in scope else None
        self.started = False
        self.caller: Caller | None = None
        self._send = send
        self._read = self.method in ("GET", "HEAD")

    async def body(self, receiving: Receiving) -> bytes:
        """The whole body.

        Raises:
            Refusal: it is too large, too slow, compressed, or said to be no JSON.
            ClientLeft: there will be none.
        """
        self._look_at_head()
        task = receiving.begin()
        try:
            message = await self.receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                found: bytes = message["body"]
                self._read = True
                self._hold(len(found))
                return found
            return await self._rest(message, receiving, task)
        except asyncio.CancelledError as exc:
            given_up = receiving.cancelled(task)
            if given_up is None:
                raise
            raise given_up from exc
        finally:
            receiving.end(task)

    def _look_at_head(self) -> None:
        kind = self.headers.get(b"content-type", _KIND)
        if kind != _KIND and kind.partition(b";")[0].strip().lower() != _KIND:
            raise refuse(
                415, "the body has to be application/json", "unsupported_media_type", close=True
            )
        if self.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise refuse(
                415, "send the body as it is, not compressed", "unsupported_encoding", close=True
            )
        length = self.headers.get(b"content-length")
        if length is not None:
            self._hold(int(length))

    async def _rest(self, message: Message, receiving: Receiving, task: Task) -> bytes:
        found = bytearray()
        while True:
            if message["type"] != "http.request":
                raise ClientLeft
            found += message["body"]
            self._hold(len(found))
            if not message.get("more_body"):
                self._read = True
                return bytes(found)
            receiving.add(task, len(message["body"]))
            message = await self.receive()

    def _hold(self, size: int) -> None:
        most = self.settings.max_body_bytes
        if size > most:
            raise refuse(413, f"the body is larger than {most} bytes", "body_too_large", close=True)

    def name(self, decision_id: str) -> None:
        """Let the request be known by its decision from now on."""
        self._id = f"req_{decision_id}"

    @property
    def request_id(self) -> str:
        """What the response calls the request, in a dialect that does."""
        if not self._id:
            self._id = f"req_{uuid.uuid4().hex}"
        return self._id

    def _named(self) -> Headers:
        return [(b"request-id", self.request_id.encode())] if self.dialect.named else []

    async def whole(
        self,
        status: int,
        body: bytes,
        headers: Headers | None = None,
        kind: tuple[bytes, bytes] = _JSON,
    ) -> None:
        """Send a response that is whole: JSON, or what `kind` says it is."""
        self.started = True
        head = [kind, (b"content-length", b"%d" % len(body)), *self._named(), *(headers or ())]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    async def fail(
        self, failure: Failure, router: dict[str, Any] | None = None, headers: Headers | None = None
    ) -> None:
        """Send an error response."""
        status = self.dialect.statuses.get(failure.status, failure.status)
        body = self.dialect.error(failure, router, self.request_id)
        more: Headers = [*failure.headers, *(headers or ())]
        if failure.close and not self._read and b"expect" not in self.headers:
            await self._linger(status, body, [*self._named(), *more])
        else:
            await self.whole(status, body, more)

    async def _linger(self, status: int, body: bytes, headers: Headers) -> None:
        """Answer at once, but close only when the client has sent what it was sending.

        Else the system tells it of a broken connection before it has read why.
        """
        self.started = True
        head = [_JSON, (b"content-length", str(len(body)).encode()), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self.piece(body)
        left = _LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                message: Message = {"more_body": True}
                while message.get("more_body") and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))
        await self.piece(b"", last=True)

    def piece(self, data: bytes, *, last: bool = False) -> Awaitable[None]:
        """Send a piece of a response that `begin` began."""
        return self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def begin(self, headers: Headers) -> Awaitable[None]:
        """Send the head of an event stream."""
        self.started = True
        head = [*_EVENTS, *self._named(), *headers]
        return self._send({"type": "http.response.start", "status": 200, "headers": head})


class Heart:
    """Beats for a stream that waits: a sign after each silence, so that no proxy gives up.

    The first beat sends the response's head; from then on an error is an event of the stream.
    """

    def __init__(self, exchange: Exchange, headers: Headers) -> None:
        self._exchange = exchange
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._spoke = self._loop.time()
        self._beating: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(exchange.settings.beat_s, self._look)

    def send(self, data: bytes, *, last: bool = False) -> Awaitable[None]:
        """Send a piece, after the head, and after a beat that is just being sent."""
        if self._beating is not None or not self._exchange.started:
            return self._send_after(data, last=last)
        self._spoke = self._loop.time()
        return self._exchange.piece(data, last=last)

    async def _send_after(self, data: bytes, *, last: bool) -> None:
        if self._beating is not None:
            await self._beating
        self._spoke = self._loop.time()
        if not self._exchange.started:
            await self._exchange.begin(self._headers)
        await self._exchange.piece(data, last=last)

    def stop(self) -> None:
        """No more beats."""
        self._timer.cancel()

    async def stopped(self) -> None:
        """No more beats, and none is just being sent."""
        self.stop()
        if self._beating is not None:
            await self._beating

    def _look(self) -> None:
        every = self._exchange.settings.beat_s
        left = self._spoke + every - self._loop.time()
        if left > 0.001:
            self._timer = self._loop.call_later(left, self._look)
            return
        self._spoke = self._loop.time()
        self._timer = self._loop.call_later(every, self._look)
        if self._beating is None:
            self._beating = self._loop.create_task(self._beat())

    async def _beat(self) -> None:
        try:
            if not self._exchange.started:
                await self._exchange.begin(self._headers)
            await self._exchange.piece(self._exchange.dialect.beat)
        finally:
            self._beating = None


class Watch:
    """Cancels the task that works for a client once the client has gone.

    Attributes:
        gone: Whether that has happened.
    """

    def __init__(self, exchange: Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.gone = False
        self._worker: Task | None = task
        if exchange.heed is not None:
            exchange.heed(self._left)

    def _left(self) -> None:
        if self._worker is not None:
            self.gone = True
            self._worker.cancel()

    def stop(self) -> None:
        """Look no more."""
        self._worker = None
