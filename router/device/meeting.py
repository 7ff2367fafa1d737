"""Both ends of a meeting place: the worker's listener, and a client's way to it.

A Unix socket is guarded by its folder and by the peer's user id. TCP on loopback can be reached by
any user, so there the place holds a card that only its owner can read: the port, a key the client
must show, and a proof the worker must show, should the port have passed to a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .place import Place

_BACKLOG = 128
_CONNECT_S = 1.0
_LOOK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a worker on TCP leaves for clients of its user."""

    port: int
    key: str
    proof: str


class AlreadyServed(Exception):
    """Another worker listens at the place. Stays inside the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The worker's end.

    Attributes:
        card: None: a Unix socket, which needs none.
    """

    place: Place
    sock: socket.socket
    card: Card | None

    def admits(self, peer: socket.socket) -> bool:
        """Whether the one who connected may be our user. None but root can be another."""
        return self.card is not None or _is_our_user(peer)

    def knows(self, key: str | None) -> bool:
        """Whether a client that shows `key` may be served."""
        if self.card is None:
            return True
        return hmac.compare_digest((key or "").encode(), self.card.key.encode())

    def retire(self) -> bool:
        """Stop listening and take the place's files away, unless somebody is just looking for
        a worker here; then change nothing and return False."""
        import filelock

        try:
            with filelock.FileLock(self.place.lock, blocking=False):
                self._close()
        except filelock.Timeout:
            return False
        except OSError:  # the folder is gone, and with it every way to find us
            self._close()
        return True

    def _close(self) -> None:
        self.sock.close()
        with contextlib.suppress(OSError):
            if self.card is None:
                self.place.socket.unlink()
            elif read_card(self.place) == self.card:
                self.place.card.unlink()
        with contextlib.suppress(OSError):  # where a file in use can't be removed, it stays
            if self.place.log.stat().st_size == 0:
                self.place.log.unlink()


def listen(place: Place) -> Listener:
    """Open a place.

    Raises:
        AlreadyServed: Somebody else has.
        OSError: It can't be opened.
    """
    if place.transport == "tcp":
        return _listen_tcp(place)
    if sys.platform == "win32":
        raise OSError("no Unix sockets here")
    if _somebody_listens(place):
        raise AlreadyServed
    place.socket.unlink(missing_ok=True)  # a dead worker's
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place.socket))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return Listener(place=place, sock=listener, card=None)


def _somebody_listens(place: Place) -> bool:
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(place.socket))
        except BlockingIOError:  # so many are waiting that we can't even wait
            return True
        except OSError:
            return False
        return True


def _listen_tcp(place: Place) -> Listener:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    port = listener.getsockname()[1]
    card = Card(port=port, key=secrets.token_hex(16), proof=secrets.token_hex(16))
    draft = Path(f"{place.card}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(card))
    draft.replace(place.card)
    return Listener(place=place, sock=listener, card=card)


def read_card(place: Place) -> Card | None:
    """The place's card. None: there is none, or none that can be read."""
    try:
        return msgspec.json.decode(place.card.read_bytes(), type=Card)
    except (OSError, msgspec.DecodeError):
        return None


async def connect(place: Place) -> tuple[socket.socket, Card | None] | None:
    """Reach the worker at a place. None: nobody listens there now."""
    if place.transport == "tcp":
        return await _connect_tcp(place)
    if sys.platform == "win32":
        return None
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.setblocking(False)
    try:
        await _connect_unix(peer, str(place.socket))
    except (OSError, TimeoutError):
        peer.close()
        return None
    except BaseException:
        peer.close()
        raise
    if not _is_our_user(peer):
        peer.close()
        return None
    return peer, None


async def _connect_unix(peer: socket.socket, path: str) -> None:
    """Such a connection is made at once or not at all, but for a listener whose line is full."""
    async with asyncio.timeout(_CONNECT_S):
        while True:
            try:
                peer.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_LOOK_S)
            else:
                return


async def _connect_tcp(place: Place) -> tuple[socket.socket, Card | None] | None:
    card = read_card(place)
    if card is None:
        return None
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    peer.setblocking(False)
    try:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            await loop.sock_connect(peer, ("127.0.0.1", card.port))
    except (OSError, TimeoutError):
        peer.close()
        return None
    except BaseException:
        peer.close()
        raise
    return peer, card


def _is_our_user(peer: socket.socket) -> bool:
    """Whether the other end runs as our user; True where the kernel can't say and the folder's
    mode has to do."""
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack(
            "3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        return bool(uid == os.getuid())
    return True
