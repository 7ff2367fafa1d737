"""The worker's sockets: who is connected, what they say, and what still has to reach them.

In go a listener and messages to post, out come messages that were received. Nothing here waits
for a client to read: what a socket doesn't take is kept, within a bound, and sent when it does.
"""

from __future__ import annotations

import math
import selectors
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from secrets import token_hex

from . import wire
from .meeting import Listener

_RECEIVE_BYTES = 1 << 16


@dataclass(eq=False, slots=True)
class Client:
    """One connection.

    Attributes:
        greeted: Whether it has said who it is, and may ask for things.
        gone: The connection is closed; whoever still holds this should let go of it.
        number: Its own, of all that ever came.
        app: Which process it belongs to, as it said; until then one of its own.
        watches: Whether it wants to hear what is ahead.
        behind: Whether what it heard last of that is no longer so.
        told_at: When tokens that had waited were last sent to it, on the worker's clock.
    """

    sock: socket.socket
    number: int = 0
    app: str = field(default_factory=token_hex)
    watches: bool = False
    behind: bool = False
    greeted: bool = False
    gone: bool = False
    told_at: float = -math.inf
    inbox: wire.Inbox = field(default_factory=wire.Inbox)
    outbox: bytearray = field(default_factory=bytearray)
    parting: bool = False


class Mail:
    """The listener and its clients.

    Args:
        unread_bytes: Most that may wait for one client to read it. A client that lets more
            pile up is dropped; the others don't notice.
        on_gone: Told of every client that has gone or was dropped.
    """

    def __init__(
        self,
        listener: Listener,
        unread_bytes: int,
        on_gone: Callable[[Client], None] = lambda client: None,
    ) -> None:
        self._listener = listener
        self._on_gone = on_gone
        self._unread_bytes = unread_bytes
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener.sock, selectors.EVENT_READ)
        self.clients: set[Client] = set()
        self._came = 0

    def hear(self, timeout_s: float | None) -> Iterator[tuple[Client, wire.ToWorker]]:
        """What came within `timeout_s`. 0: look and go on. None: wait until something comes."""
        for key, events in self._selector.select(timeout_s):
            if key.data is None:
                self._accept()
                continue
            client: Client = key.data
            if events & selectors.EVENT_WRITE:
                self._flush(client)
            if events & selectors.EVENT_READ and not client.gone:
                yield from self._receive(client)

    def post(self, client: Client, *messages: wire.ToClient) -> None:
        """Send, as far as the socket takes it now; the rest goes out as the client reads."""
        if client.gone:
            return
        for message in messages:
            client.outbox += wire.pack(message)
        self._flush(client)

    def retire(self) -> bool:
        """Let nobody new in, unless somebody is just looking for us; then return False."""
        self._selector.unregister(self._listener.sock)
        if self._listener.retire():
            return True
        self._selector.register(self._listener.sock, selectors.EVENT_READ)
        return False

    def part(self, client: Client) -> None:
        """Close the connection as soon as all that was posted is out."""
        client.parting = True
        self._flush(client)

    def drop(self, client: Client) -> None:
        """Close the connection now."""
        if client.gone:
            return
        client.gone = True
        self.clients.discard(client)
        self._selector.unregister(client.sock)
        client.sock.close()
        self._on_gone(client)

    def close(self) -> None:
        """Let go of everybody. The listener is its owner's to close."""
        for client in tuple(self.clients):
            self.drop(client)
        self._selector.close()

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.sock.accept()
        except OSError:  # it went away again before it was its turn
            return
        if not self._listener.admits(peer):
            peer.close()
            return
        peer.setblocking(False)
        if peer.family == socket.AF_INET:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came += 1
        client = Client(sock=peer, number=self._came)
        self.clients.add(client)
        self._selector.register(peer, selectors.EVENT_READ, client)

    def _receive(self, client: Client) -> Iterator[tuple[Client, wire.ToWorker]]:
        try:
            data = client.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(client)
            return
        try:
            for message in client.inbox.requests(data):
                yield client, message
                if client.gone or client.parting:
                    return
        except wire.WireError:
            self.drop(client)

    def _flush(self, client: Client) -> None:
        if client.gone:
            return
        try:
            while client.outbox:
                del client.outbox[: client.sock.send(client.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.drop(client)
            return
        if len(client.outbox) > self._unread_bytes or (client.parting and not client.outbox):
            self.drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.outbox else 0)
        if self._selector.get_key(client.sock).events != wanted:
            self._selector.modify(client.sock, wanted, client)
