"""One live connection to a device worker, shared by many requests of one event loop.

In go messages for the worker; each request gets its own replies back, in order. Starting a worker
and mending a lost connection are other rooms' business (`arrival.py`, `link.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable
from typing import ClassVar, cast

from ..errors import HopError, NotSent, Refused, Unavailable
from . import wire
from .meeting import Card, connect
from .place import Place
from .predict import Outlook

GREETING_S = 10.0
"""A worker listens only when it is loaded; but it may be in the middle of a chunk."""

Reply = wire.Token | wire.Done | wire.Failed | wire.Counted | wire.Healthy

_KINDS = {kind.kind: kind for kind in HopError.__subclasses__()}


class Silent(Unavailable):
    """A worker has taken a connection and says nothing. Outside the room it is an `Unavailable`."""


class Call:
    """One request's end of the connection. Read by one task."""

    def __init__(self, number: int, connection: Connection) -> None:
        self.number = number
        self._connection = connection
        # Less to walk through at every token than an `asyncio.Queue`.
        self._replies: deque[Reply | None] = deque()
        self._reader: asyncio.Future[None] | None = None

    async def reply(self) -> Reply | None:
        """The next reply. None: the connection is lost.

        Raises:
            HopError: The worker's own, if it sent one.
        """
        while not self._replies:
            self._reader = self._connection.loop.create_future()
            await self._reader
        reply = self._replies.popleft()
        if isinstance(reply, wire.Failed):
            raise error_of(reply)
        return reply

    def put(self, reply: Reply | None) -> None:
        """For the connection: a reply has come."""
        self._replies.append(reply)
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def close(self, *, cancel: bool) -> None:
        """No more replies are wanted. `cancel`: the worker should stop working on it."""
        self._connection.forget(self.number, cancel=cancel)


class Connection(asyncio.Protocol):
    """Made by `meet`.

    Args:
        on_lost: Called when the worker's end closes; not when ours does, nor after a goodbye.

    Attributes:
        leaving: Why the worker takes no new jobs. None: it takes them.
        fate: What was done to a worker that hung. None: nothing.
        heard_at: When anything came from the worker, on the loop's clock.
        due_at: Since when something has been due from it, on the same.
        outlook: What is ahead, as it said last; `outlook_at` on the same clock. None: it never did.
        seen: Over when the first outlook has come. None: nobody asked.
        app: What it tells the worker of this process; see `wire.Hello`.
    """

    spoken_for: ClassVar[str] = ""

    def __init__(self, peer: socket.socket, on_lost: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.greeting: asyncio.Future[wire.Ready | wire.Failed | None] = self.loop.create_future()
        self.lost = False
        self.closed = False
        self.leaving: str | None = None
        self.fate: str | None = None
        self.heard_at = self.due_at = self.loop.time()
        self.outlook: Outlook | None = None
        self.outlook_at = 0.0
        self.seen: asyncio.Future[None] | None = None
        self._process = os.getpid()
        self.app = self.spoken_for or _app(self._process)
        self._peer = peer
        self._on_lost = on_lost
        self._inbox = wire.Inbox()
        self._calls: dict[int, Call] = {}
        self._last_number = 0
        self._transport: asyncio.Transport | None = None

    @property
    def ready(self) -> wire.Ready:
        """What the worker said of itself."""
        ready = self.greeting.result()
        assert isinstance(ready, wire.Ready)
        return ready

    def usable_here(self) -> bool:
        """Whether it is open, and belongs to this process and to the loop that runs now."""
        return (
            not self.lost
            and self._process == os.getpid()
            and self.loop is asyncio.get_running_loop()
        )

    @property
    def busy(self) -> bool:
        """Whether a reply is due."""
        return bool(self._calls)

    def watch(self) -> asyncio.Future[None]:
        """Ask to be told what is ahead from now on; over when that was told once."""
        if self.seen is None:
            self.seen = self.loop.create_future()
            self.send(wire.pack(wire.Watch()))
        return self.seen

    def call(self, make: Callable[[int], wire.ToWorker]) -> Call:
        """Send a request; `make` is given its number.

        Raises:
            Refused: It can't be put on the wire.
        """
        self._last_number += 1
        call = Call(self._last_number, self)
        frame = _frame(make(call.number))
        if self.lost:
            call.put(None)
        else:
            if not self._calls:
                self.due_at = self.loop.time()
            self._calls[call.number] = call
            self.send(frame)
        return call

    def forget(self, number: int, *, cancel: bool) -> None:
        """For a `Call`: it is over."""
        if self._calls.pop(number, None) and cancel and not self.lost:
            self.send(wire.pack(wire.Cancel(number)))

    def send(self, frame: bytes) -> None:
        """Put a frame on its way; the transport keeps what the socket doesn't take yet."""
        if self._transport is not None:
            self._transport.write(frame)

    def close(self) -> None:
        """Close our end. Calls that still wait are told."""
        self.closed = True
        if self._transport is not None and self.loop is asyncio.get_running_loop():
            self._transport.abort()
        self._end()

    def abandon_hung(self) -> None:
        """Let go of a worker that hangs and can't be ended; calls that wait are told."""
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Let go of it from outside its loop or process: the worker sees us leave."""
        self.closed = self.lost = True
        with contextlib.suppress(OSError):
            self._peer.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For the loop."""
        # Not checked: another loop's transports, such as uvloop's, are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """For the loop."""
        self.heard_at = self.loop.time()
        try:
            for message in self._inbox.replies(data):
                self._take(message)
        except wire.WireError:
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """For the loop."""
        self._end()
        greeted = isinstance(self.greeting.result(), wire.Ready)
        if greeted and not self.closed and self.leaving is None:
            self._on_lost()

    def _take(self, message: wire.ToClient) -> None:
        if isinstance(message, wire.Ahead):
            self.outlook, self.outlook_at = message.outlook, self.loop.time()
            if self.seen is not None and not self.seen.done():
                self.seen.set_result(None)
        elif isinstance(message, wire.Goodbye):
            self.leaving = message.why
        elif isinstance(message, wire.Ready) or message.id == 0:
            if not self.greeting.done() and isinstance(message, wire.Ready | wire.Failed):
                self.greeting.set_result(message)
        elif call := self._calls.get(message.id):
            call.put(message)

    def _end(self) -> None:
        self.lost = True
        if not self.greeting.done():
            self.greeting.set_result(None)
        if self.seen is not None and not self.seen.done():
            self.seen.set_result(None)
        for call in self._calls.values():
            call.put(None)
        self._calls.clear()


async def meet(
    place: Place, on_lost: Callable[[], None], patience_s: float = GREETING_S
) -> Connection | None:
    """Connect to the worker at a place and greet it. None: nobody serves there now.

    Args:
        patience_s: Most seconds until it greets back.

    Raises:
        HopError: Somebody is there, but can't serve, and says why.
        Silent: Somebody is there and says nothing.
    """
    met = await connect(place)
    if met is None:
        return None
    peer, card = met
    connection = Connection(peer, on_lost)
    try:
        await _open(connection, peer)
        key = card.key if card else None
        connection.send(wire.pack(wire.Hello(wire.VERSION, key, connection.app)))
        async with asyncio.timeout(patience_s):
            greeting = await asyncio.shield(connection.greeting)
    except TimeoutError as exc:
        connection.close()
        _distrust(place, card)
        raise Silent(
            f"a device worker listens at {place.folder} but hasn't answered for {patience_s:.0f} s"
        ) from exc
    except BaseException:
        connection.close()
        raise
    if isinstance(greeting, wire.Ready) and _is_proven(card, greeting):
        return connection
    connection.close()
    if isinstance(greeting, wire.Failed):
        raise error_of(greeting)
    if greeting is not None:
        _distrust(place, card)
    return None


def speak_for(app: str) -> None:
    """Let this process be one part of an app whose other parts say the same.

    What the device keeps of a tenant's prompts is then found by all of them.

    Args:
        app: What only they know. For connections from now on.
    """
    Connection.spoken_for = app


@functools.cache
def _app(process: int) -> str:
    """What only this process knows; a forked child, which has another number, gets its own."""
    return secrets.token_hex(16)


def error_of(failed: wire.Failed) -> HopError:
    """The worker's words as our error."""
    kind = _KINDS.get(failed.kind, Unavailable)
    return kind(
        failed.message,
        retryable=failed.retryable,
        code=failed.code,
        reached=failed.kind != NotSent.kind,
    )


def _frame(message: wire.ToWorker) -> bytes:
    """The message as the worker will take it: one it can't read would cost us the connection, and
    with it every other request."""
    try:
        frame = wire.pack(message)
        wire.check(frame)
    except UnicodeEncodeError as exc:
        raise Refused("the text holds half of a surrogate pair, which isn't text") from exc
    except (wire.WireError, OverflowError, TypeError) as exc:
        raise Refused(f"the device can't take this request: {exc}") from exc
    return frame


async def _open(connection: Connection, peer: socket.socket) -> None:
    try:
        if peer.family == socket.AF_INET:
            await connection.loop.create_connection(lambda: connection, sock=peer)
        else:
            await connection.loop.create_unix_connection(lambda: connection, sock=peer)
    except BaseException:
        peer.close()
        raise


def _is_proven(card: Card | None, ready: wire.Ready) -> bool:
    return card is None or hmac.compare_digest((ready.proof or "").encode(), card.proof.encode())


def _distrust(place: Place, card: Card | None) -> None:
    """Whoever has the port is not known to be a worker: the next one to come starts one."""
    if card is not None:
        with contextlib.suppress(OSError):
            place.card.unlink()
