"""What the workers of one server know together: a file without a name that each of them inherits.

Comes in: numbers and names. Goes out: the same, to every worker. The file lives in memory where
there is a call for that, has no path that could be left behind or opened by others, and is read and
written by position: nothing is mapped, so a full disk is an error and no signal. Whoever changes
more than his own row holds the one lock, which the kernel takes back however its holder dies. A
worker's own row (its process, what it has under way, its metrics) is written by it alone, and by
the supervisor once it is gone.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ConfigError

if sys.platform == "win32":  # where the supervisor refuses more than one worker

    def _lock(_fd: int, *, hold: bool) -> None:
        raise OSError(errno.ENOSYS, "no lock is here")

    def _read(_fd: int, _size: int, _at: int) -> bytes:
        raise OSError(errno.ENOSYS, "no read by position is here")

    def _write(_fd: int, _data: bytes, _at: int) -> None:
        raise OSError(errno.ENOSYS, "no write by position is here")

    def _holder(_fd: int) -> int | None:
        raise OSError(errno.ENOSYS, "no lock is here")
else:
    import fcntl

    # C's `struct flock`: type, whence, start, length, process; on a Mac in another order.
    _FLOCK = struct.Struct("qqihh" if sys.platform == "darwin" else "hhqqi")
    _KNOWN = sys.platform in ("linux", "darwin")

    def _lock(fd: int, *, hold: bool) -> None:
        fcntl.lockf(fd, fcntl.LOCK_EX if hold else fcntl.LOCK_UN, 1, 0)

    def _read(fd: int, size: int, at: int) -> bytes:
        return os.pread(fd, size, at)

    def _write(fd: int, data: bytes, at: int) -> None:
        while data:
            written = os.pwrite(fd, data, at)
            data, at = data[written:], at + written

    def _holder(fd: int) -> int | None:
        if not _KNOWN:
            return None
        if sys.platform == "darwin":
            asked = _FLOCK.pack(0, 1, 0, fcntl.F_WRLCK, os.SEEK_SET)
            _, _, process, kind, _ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        else:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
            kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else int(process)


log = logging.getLogger("firsthop.sidecar")

MOST_WORKERS = 64
KEYS = 4096
"""Keys of callers that can have a rate, and that can have a budget."""
LOOPS = 16_384
TARGETS = 1024
"""Targets whose calls under way are bounded."""
MOST_TEXT_BYTES = 8 * 1024 * 1024

_HEAD = struct.Struct("16sqq")
_TOLD = struct.Struct("qq")
_BEATS = struct.Struct("q")
_ROW = struct.Struct("qqq")
_SIZE = struct.Struct("q")
_NAME_BYTES = 16
RATE_BYTES = _NAME_BYTES + 16
LOOP_BYTES = 32
AMOUNT_BYTES = 16
SEAT_BYTES = 24


class Row(NamedTuple):
    """One worker, as all see it.

    Attributes:
        pid: 0: it is not up.
        active: Requests that it is answering.
        beats: How often its event loop has come round; see `Together.beating`.
    """

    pid: int
    active: int
    beats: int = 0


class Ends(NamedTuple):
    """Workers that have ended though nobody had told the server to."""

    died: int
    hung: int


class _Held:
    """The one lock: among this process's threads, then among processes."""

    __slots__ = ("_fd", "_threads")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._threads = threading.Lock()

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            _lock(self._fd, hold=True)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *raised: object) -> None:
        try:
            _lock(self._fd, hold=False)
        finally:
            self._threads.release()


class Board:
    """The file, and what lies where in it.

    Attributes:
        fd: The file; inherited by workers.
        workers: How many there are to be.
        number: Which of them this process is. None: it is their supervisor.
        secret: Known to these processes alone; see `device.connection.speak_for`.
    """

    def __init__(self, fd: int, workers: int, number: int | None) -> None:
        """Look at one that was made."""
        self.fd = fd
        self.workers = workers
        self.number = number
        self._beats = 0
        self._held = _Held(fd)
        self.rates_at = _HEAD.size + workers * _ROW.size
        self.purses_at = self.rates_at + KEYS * RATE_BYTES
        self.loops_at = self.purses_at + KEYS * self.purse_bytes
        self.seats_at = self.loops_at + LOOPS * LOOP_BYTES
        self._texts_at = self.seats_at + TARGETS * self.seats_bytes
        self.secret = _HEAD.unpack(_read(fd, _HEAD.size, 0))[0].hex()

    @classmethod
    def make(cls, workers: int) -> Board:
        """A new one. Raises: OSError, when there is no room for it."""
        fd = _nameless()
        try:
            _write(fd, _HEAD.pack(os.urandom(16), 0, 0), 0)
            board = cls(fd, workers, None)
            # With real zeros, so that no later write finds the disk full.
            _write(fd, bytes(board._texts_at - _HEAD.size), _HEAD.size)
        except BaseException:
            os.close(fd)
            raise
        return board

    @property
    def purse_bytes(self) -> int:
        """A name, two days and their amounts, a day without a price, and what is open: the sum, and
        each worker's."""
        return _NAME_BYTES + 3 * (8 + AMOUNT_BYTES) + self.workers * AMOUNT_BYTES

    @property
    def seats_bytes(self) -> int:
        """A name, and what each worker says of its calls to that target."""
        return _NAME_BYTES + self.workers * SEAT_BYTES

    def held(self) -> _Held:
        """For a `with`: nobody else changes what is shared meanwhile. Not twice by one thread."""
        return self._held

    def holder(self) -> int | None:
        """The process that holds what `held` gives, if it is another one. None: nobody; or this
        system's way of telling is not known here."""
        return _holder(self.fd)

    def read(self, size: int, at: int) -> bytes:
        """Bytes of a table."""
        return _read(self.fd, size, at)

    def write(self, data: bytes, at: int) -> None:
        """Bytes of a table."""
        _write(self.fd, data, at)

    def record(
        self, name: bytes, table_at: int, size: int, what: str, most: int | None = None
    ) -> int:
        """Where the record of that name is; a new one is zeros.

        Args:
            name: 16 bytes, not all of them zero.
            size: Of a record, its name included.
            what: What a record is of, for people.
            most: Records that the table has room for; else `KEYS`.

        Raises: ConfigError, when the table is full.
        """
        first, room = int.from_bytes(name[:8], "little"), KEYS if most is None else most
        with self.held():
            for step in range(room):
                at = table_at + (first + step) % room * size
                found = _read(self.fd, _NAME_BYTES, at)
                if found == name:
                    return at
                if not any(found):
                    _write(self.fd, name, at)
                    return at
        raise ConfigError(f"more than {room} {what} are more than workers can share")

    # Rows.

    def up(self) -> None:
        """This worker answers from now on."""
        self.tell(0)

    def tell(self, active: int) -> None:
        """Say how many requests this worker is answering."""
        assert self.number is not None
        row = _TOLD.pack(os.getpid(), active)
        _write(self.fd, row, _HEAD.size + self.number * _ROW.size)

    def beat(self) -> None:
        """Say that this worker's event loop has come round once more."""
        assert self.number is not None
        self._beats += 1
        at = _HEAD.size + self.number * _ROW.size + _TOLD.size
        _write(self.fd, _BEATS.pack(self._beats), at)

    def rows(self) -> list[Row]:
        """All workers, by number."""
        found = _read(self.fd, self.workers * _ROW.size, _HEAD.size)
        return [Row(*values) for values in _ROW.iter_unpack(found)]

    def missing(self) -> list[int]:
        """Workers that are not up."""
        return [number for number, row in enumerate(self.rows()) if not row.pid]

    def clear(self, number: int) -> None:
        """For the supervisor: that worker is gone."""
        _write(self.fd, _ROW.pack(0, 0, 0), _HEAD.size + number * _ROW.size)

    @property
    def ends(self) -> Ends:
        """How many have ended so far."""
        return Ends(*_HEAD.unpack(_read(self.fd, _HEAD.size, 0))[1:])

    # Texts: each worker's metrics, and those of the dead.

    def publish(self, text: str) -> None:
        """Lay out this worker's metrics."""
        assert self.number is not None
        with self.held():
            self._put(self.number, text)

    def texts(self) -> list[str]:
        """Everybody's, by number; last those of the dead. Empty: there is none."""
        with self.held():
            return [self._text(number) for number in range(self.workers + 1)]

    def leave(self, number: int, left_by: Callable[[str, str], str], *, hung: bool) -> None:
        """For the supervisor: a worker has ended though nobody had told the server to.

        Args:
            left_by: Of the texts of the dead and of that worker: those of the dead from now on.
            hung: It was ended, as it hung.
        """
        with self.held():
            self._put(self.workers, left_by(self._text(self.workers), self._text(number)))
            self._put(number, "")
            secret, died, ended = _HEAD.unpack(_read(self.fd, _HEAD.size, 0))
            _write(self.fd, _HEAD.pack(secret, died + (not hung), ended + hung), 0)

    def _put(self, number: int, text: str) -> None:
        """One that is too large, or for which there is no room, leaves nothing."""
        raw, at = text.encode(), self._text_at(number)
        _write(self.fd, _SIZE.pack(0), at)
        if len(raw) > MOST_TEXT_BYTES - _SIZE.size:
            log.error("metrics of %d bytes are too many to be shared", len(raw))
            return
        try:
            _write(self.fd, raw, at + _SIZE.size)
        except OSError as exc:
            log.error("metrics can't be shared: %s", exc)
        else:
            _write(self.fd, _SIZE.pack(len(raw)), at)

    def _text(self, number: int) -> str:
        at = self._text_at(number)
        size = _SIZE.unpack(_read(self.fd, _SIZE.size, at).ljust(_SIZE.size, b"\0"))[0]
        return _read(self.fd, size, at + _SIZE.size).decode()

    def _text_at(self, number: int) -> int:
        return self._texts_at + number * MOST_TEXT_BYTES

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


def _nameless() -> int:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes have no such call
            return os.memfd_create("firsthop", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
