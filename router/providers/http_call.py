"""A provider's calls over HTTP, each kept within its time.

What is sent and what an answer means is the provider's to say; here are the one connection pool,
the deadline at each step, how much of an error is read, and that no secret shows in one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from ..errors import BadWire, ConfigError, HopError, TimedOut, Unavailable
from ..limit import Limit
from ..redaction import clean, guard_logs, redact, remember, remember_proxy, tells
from ..types import Transit
from .base import Target
from .endpoint import Endpoint
from .rate_limit import rate_limit
from .transport import ERROR_BODY_BYTES, ERROR_BODY_S, Reply, causes


class Pool(Protocol):
    """Connections to one endpoint."""

    async def aclose(self) -> None:
        """Close them all."""
        ...


T = TypeVar("T")
P = TypeVar("P", bound=Pool)

_AFTER_END_S = 0.1
_PIECES_AFTER_END = 16


class Answer:
    """An answer whose head is here. Every read ends with the call's time.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        transit: How the call travelled.
    """

    def __init__(self, reply: Reply, timeout_s: float, limit: Limit | None) -> None:
        """`limit` ends with the call's time, `timeout_s` in all. None: somebody else keeps it."""
        self._limit = limit
        self._timeout_s = timeout_s
        self.take(reply)

    def take(self, reply: Reply) -> None:
        """Be this answer from now on, within the same time."""
        self._reply = reply
        self.status = reply.status
        self.headers = clean(reply.headers)
        self.transit = Transit(connect_s=reply.connect_s, limit=rate_limit(reply.headers))

    def waiting(self) -> bool:
        """Whether the next bytes are here already, as far as that is known."""
        return self._reply.waiting()

    def read(self) -> Awaitable[bytes]:
        """The next bytes; empty at the end. Raises: HopError."""
        if self._limit is None:
            return self._reply.read()
        return self._read_within(self._limit)

    async def _read_within(self, limit: Limit) -> bytes:
        try:
            return await limit.step(self._reply.read)
        except TimeoutError as exc:
            raise _too_late(self._timeout_s) from exc

    def shorten(self, seconds: float) -> None:
        """Wait no longer than `seconds` for all that is still to come."""
        if self._limit is None:
            self._limit = Limit(seconds)
        else:
            self._limit.shorten(seconds)

    def stop(self) -> None:
        """Let no time of its own end it any more."""
        if self._limit is not None:
            self._limit.stop()

    async def whole(self, most_bytes: int) -> bytes:
        """The body to its end. Raises: HopError, and BadWire for one of more than `most_bytes`."""
        body = bytearray()
        while piece := await self.read():
            body += piece
            if len(body) > most_bytes:
                raise BadWire(f"the answer is longer than {most_bytes} bytes")
        return bytes(body)

    async def start(self) -> bytes:
        """Enough of an error's body; what doesn't come soon or breaks off is left out."""
        body = bytearray()
        self.shorten(ERROR_BODY_S)
        with suppress(HopError):
            while len(body) < ERROR_BODY_BYTES and (piece := await self.read()):
                body += piece
        return bytes(body[:ERROR_BODY_BYTES])

    async def drain(self) -> None:
        """Read to the end, if it is near: only then can the connection serve again."""
        if self._reply.over():
            return
        if self._limit is None:
            self._limit = Limit(_AFTER_END_S)
        else:
            self._limit.restart(_AFTER_END_S)
        with suppress(HopError):
            for _ in range(_PIECES_AFTER_END):
                if not await self.read():
                    return


class Caller(Generic[P]):
    """The way from one target to its endpoint.

    Made without touching the network; the pool appears with the first call and belongs to the event
    loop of that call. Safe for many calls at once on that loop.

    Attributes:
        timeout_s: Longest a call may take.
    """

    def __init__(
        self, target: Target, endpoint: Endpoint, make: Callable[[ssl.SSLContext], P]
    ) -> None:
        """`make` gives the pool; it runs in a thread, for it may import what a call needs."""
        self.timeout_s = target.timeout_s
        self._target = target
        self._endpoint = endpoint
        self._make = make
        remember(target.api_key)
        remember_proxy(endpoint.proxy)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: P | None = None
        self._closed = False

    def deadline(self) -> float:
        """When a call that begins now has to be over, by the running loop's time."""
        return _in(self.timeout_s)

    def call(
        self, begin: Callable[[P], AbstractAsyncContextManager[Reply]], deadline: float | None
    ) -> AbstractAsyncContextManager[Answer]:
        """One call, as `begin` makes it of the pool.

        Args:
            deadline: When it has to be over, as `deadline` says it. None: whoever waits for it
                keeps the time.

        Leaving the context before the body has ended cuts the connection. Raises `HopError` and
        nothing else.
        """
        return _Calling(self, begin, deadline)

    def seal(self, error: HopError) -> None:
        """Name the target and keep secrets out, which servers and libraries may have written in."""
        error.target = self._target.name
        error.message = redact(error.message)
        error.code = error.code and redact(error.code)
        error.args = (error.message,)
        if any(tells(cause) for cause in causes(error)):
            error.__cause__ = error.__context__ = None

    async def aclose(self) -> None:
        """Close the connections. Calls after this one fail."""
        self._closed = True
        if self._pool is not None:
            await self._pool.aclose()

    async def ready(self) -> P:
        """The pool of the running loop. Raises: HopError."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise Unavailable(
                "its connections belong to another event loop; build a router for each loop",
                retryable=False,
                reached=False,
            )
        if self._pool is None and not self._closed:
            made = await asyncio.to_thread(self._open)
            self._pool = self._pool or made
        if self._pool is None or self._closed:
            raise Unavailable("this provider has been closed", retryable=False, reached=False)
        return self._pool

    def _open(self) -> P:
        """Load what to trust and make the pool: a second at worst, so in a thread."""
        try:
            made = self._make(self._endpoint.tls())
            guard_logs()  # now that the libraries have made their loggers
            return made
        except ConfigError as exc:
            raise Unavailable(str(exc), retryable=False, reached=False) from exc


class _Calling(Generic[P]):
    """One call of a `Caller`, as a context."""

    __slots__ = ("_answer", "_begin", "_caller", "_deadline", "_sent")

    def __init__(
        self,
        caller: Caller[P],
        begin: Callable[[P], AbstractAsyncContextManager[Reply]],
        deadline: float | None,
    ) -> None:
        self._caller = caller
        self._begin = begin
        self._deadline = deadline

    async def __aenter__(self) -> Answer:
        pool, timeout_s = await self._caller.ready(), self._caller.timeout_s
        self._sent = self._begin(pool)
        if self._deadline is None:
            self._answer = Answer(await self._sent.__aenter__(), timeout_s, None)
            return self._answer
        limit = Limit(max(0.0, self._deadline - asyncio.get_running_loop().time()))
        try:
            reply = await limit.step(self._sent.__aenter__)
        except BaseException as exc:
            limit.stop()
            if isinstance(exc, TimeoutError):
                raise _too_late(timeout_s) from exc
            raise
        self._answer = Answer(reply, timeout_s, limit)
        return self._answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._answer.stop()
        if isinstance(error, HopError):
            error.transit = error.transit or self._answer.transit
        return await self._sent.__aexit__(kind, error, trace)


async def within(step: Awaitable[T], deadline: float, timeout_s: float) -> T:
    """Wait for one step, no longer than until `deadline` by the running loop's time.

    A timeout around each step, for one around them all would span the points where a generator is
    left, and there it could strike the caller's own code.

    Args:
        timeout_s: The whole call's time, to name it.

    Raises: TimedOut.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await step
    except TimeoutError as exc:
        raise _too_late(timeout_s) from exc


def _too_late(timeout_s: float) -> TimedOut:
    return TimedOut(f"no complete answer within {timeout_s:g} s")


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
