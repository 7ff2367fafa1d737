"""Hears that a job is cancelled while its prompt is being read, and breaks the reading off.

A worker looks at its mail between two steps. On a large model a piece of a prompt takes a second,
and a request that nobody waits for any more would hold its place for so long. So while a piece is
read a second thread looks at what that client has sent, without taking it: what it says is heard in
its turn. Only a cancellation of that very job, or a client that went, interrupts.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable

from . import wire
from .mail import Client

SOON_S = 0.03
"""A step that is over sooner is not listened to: its end is near anyway."""
_LOOK_S = 0.02
_PEEK_BYTES = 1 << 16


class Ears:
    """One thread, started when it is first needed; it sleeps while nothing is listened for.

    Args:
        interrupt: Breaks off the run of the model that is under way. Called from the thread.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._changed = threading.Condition()
        self._for: tuple[Client, int] | None = None
        self._thread: threading.Thread | None = None

    def listen(self, client: Client, number: int) -> None:
        """A step of this job begins."""
        with self._changed:
            self._for = (client, number)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="firsthop-ears", daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """It has ended; from here on nothing of it is interrupted."""
        with self._changed:
            self._for = None

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._for is None:
                    self._changed.wait()
                heard = self._for
                self._changed.wait(SOON_S)
            while self._still(heard) and not self._look(heard):
                pass

    def _still(self, heard: tuple[Client, int]) -> bool:
        return self._for is heard

    def _look(self, heard: tuple[Client, int]) -> bool:
        """Whether there is nothing more to listen for."""
        client, number = heard
        try:
            came = _readable(client.sock, _LOOK_S)
        except (OSError, ValueError):
            return True  # closed just now, so the step has ended
        if not came:
            return False
        with self._changed:
            if self._for is not heard:
                return True
            if over(client, number):
                self._interrupt()
                self._for = None
                return True
            self._changed.wait(_LOOK_S)  # something else; it stays there to be heard
        return False


def over(client: Client, number: int) -> bool:
    """Whether what this client has sent ends its job: that is cancelled, or the client has gone.

    Nothing is taken from the socket, or from what was received of it before.
    """
    try:
        data = client.sock.recv(_PEEK_BYTES, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    if not data:
        return True
    try:
        messages = list(client.inbox.ahead(data))
    except wire.WireError:
        return True  # it will be dropped for that
    return any(isinstance(m, wire.Cancel) and m.id == number for m in messages)


def _readable(sock: socket.socket, timeout_s: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))
