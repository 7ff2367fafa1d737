"""The journal: an append-only file of this process's own, a line of it no more than one `write`.

Comes in: lines of `lines.py`. Goes out: bytes at the end of `journal/<run>-<number>.jsonl`, where
`intake.py` reads them. A line that another follows at once may wait for it, to go out in the same
`write`. A *run* is one process's use of the ledger; it holds the lock `journal/<run>.lock` for as
long as it lives, so anybody can tell a file that will still grow from one that a crash left behind.

What one `write` has taken survives the death of the process, whatever kills it. It survives a
power cut only once the system has written it out, within seconds, or at once with ``sync="full"``.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .lines import Line
from .lock import OwnerLock

Sync = Literal["normal", "full"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


MOST_FRESH = 4096
"""Lines that are remembered; more are read back from the file."""


def run_of(path: Path) -> str:
    """The run a journal file belongs to: its name without the number."""
    return path.stem.rpartition("-")[0]


def lock_path(folder: Path, run: str) -> Path:
    """Where the lock of a run lies."""
    return folder / f"{run}.lock"


def files_of(folder: Path, run: str) -> list[Path]:
    """A run's journal files, oldest first."""
    return sorted(p for p in folder.glob(f"{run}-*.jsonl") if run_of(p) == run)


def runs(folder: Path) -> list[str]:
    """Every run that has left anything here, be it only its lock."""
    found = {run_of(path) for path in folder.glob("*.jsonl")}
    return sorted(found | {path.stem for path in folder.glob("*.lock")})


@dataclass(slots=True)
class Fresh:
    """What was written to a file lately, as it was before it became bytes.

    Attributes:
        start: Where in the file it begins.
        end: Where it ends.
        whole: `lines` are all that is between the two.
    """

    path: Path
    start: int = 0
    end: int = 0
    lines: list[Line] = field(default_factory=list)
    whole: bool = True

    def add(self, line: Line | None) -> None:
        """The next that was written. None: nobody says what it is."""
        if line is None or len(self.lines) == MOST_FRESH:
            self.forget()
        elif self.whole:
            self.lines.append(line)

    def forget(self) -> None:
        """Something is there that has to be read back."""
        self.lines.clear()
        self.whole = False


class Journal:
    """The file this process appends to. Every method may be called from any thread.

    Attributes:
        run: Names this process's use of the ledger.
        size: Bytes in the current file.
        failures: How often a line could not be written.
    """

    def __init__(self, folder: Path, lock: OwnerLock, run: str, *, sync: Sync) -> None:
        self.folder = folder
        self.run = run
        self.size = 0
        self.failures = 0
        self._owner = lock
        self._sync = sync == "full"
        self._number = 0
        self._fd = -1
        self._torn = False
        self._kept: deque[tuple[bytes, Line | None]] = deque()
        self._fresh: Fresh
        self._lock = threading.Lock()
        self._open_next()

    @classmethod
    def create(cls, folder: Path, *, sync: Sync = "normal") -> Journal:
        """Start a run: its lock first, then its first file.

        Raises: OSError, when either can't be made.
        """
        while True:
            run = f"{os.getpid()}-{os.urandom(4).hex()}"
            lock = OwnerLock.take(lock_path(folder, run))
            if lock is None:
                continue  # a name that was just taken; the next is another
            try:
                return cls(folder, lock, run, sync=sync)
            except BaseException:
                lock.release(remove=True)
                raise

    def _open_next(self) -> None:
        path = self.folder / f"{self.run}-{self._number + 1:06d}.jsonl"
        self._fd = os.open(path, _FLAGS, 0o600)
        if self._sync and sys.platform != "win32":
            folder = os.open(self.folder, os.O_RDONLY)  # the file's name has to last too
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._number += 1
        self.size = 0
        self._torn = False
        self._fresh = Fresh(path)

    @property
    def kept(self) -> int:
        """Result lines that wait in memory: for the next line, or for the disk to take them."""
        return len(self._kept)

    def append(self, data: bytes, line: Line | None = None) -> None:
        """Write a line, after those that wait.

        Args:
            line: What `data` says, to be remembered for `take_fresh`.

        Raises: OSError; the line is then not in the journal and not kept.
        """
        with self._lock:
            self._write(data, line)

    def append_or_keep(
        self, data: bytes, line: Line | None = None, *, more_follows: bool = False
    ) -> OSError | None:
        """Write a line; when that fails keep it in memory, to be written before the next one.

        Args:
            line: As of `append`.
            more_follows: Keep it at once: the next line takes it along, or `write_kept` does.

        Returns: What went wrong. None: it is written, or kept as was asked.
        """
        with self._lock:
            if more_follows and self._fd >= 0:
                self._kept.append((data, line))
                return None
            try:
                self._write(data, line)
            except OSError as exc:
                self._kept.append((data, line))
                return exc
        return None

    def take_fresh(self) -> Fresh:
        """What was written since this was last asked, or since the file was begun."""
        with self._lock:
            fresh, self._fresh = self._fresh, Fresh(self._fresh.path, self.size)
            fresh.end = self.size
            return fresh

    def write_kept(self) -> bool:
        """Write what waits. Returns: whether it could be written."""
        with self._lock:
            if not self._kept:
                return True
            last = self._kept.pop()
            try:
                self._write(*last)
            except OSError:
                self._kept.append(last)
                return False
        return True

    def _write(self, data: bytes, line: Line | None) -> None:
        """What waits and the line, in one `write`; another only when the system took not all."""
        if self._fd < 0:
            raise OSError(errno.EBADF, "the journal is closed")
        fresh = self._fresh
        kept = self._kept
        if kept:
            data = b"".join([waiting for waiting, _ in kept] + [data])
        mend = 1 if self._torn else 0
        if mend:
            data = b"\n" + data
        done = 0
        try:
            while True:
                done += os.write(self._fd, data[done:] if done else data)
                if done == len(data):
                    break
            if self._sync:
                os.fsync(self._fd)
        except OSError:
            self.failures += 1
            fresh.forget()
            # The next line starts on a line of its own, so a half one spoils nothing but itself.
            if done == len(data):  # all there, though perhaps not on the disk: goes out once more
                self._torn = False
            elif done > 0:
                self._torn = self._forget(done - mend) > 0
            raise
        finally:
            self.size += done
        if kept:
            for _, waiting in kept:
                fresh.add(waiting)
            kept.clear()
        fresh.add(line)
        if mend:
            fresh.forget()
        self._torn = False

    def _forget(self, done: int) -> int:
        """Drop the waiting lines that `done` bytes hold. Returns: how many bytes are over."""
        while self._kept and done >= len(self._kept[0][0]):
            done -= len(self._kept.popleft()[0])
        return done

    def rotate(self) -> None:
        """Go on in a new file. The old one gets no more lines.

        Raises: OSError, when it can't be made; the old file then stays in use.
        """
        with self._lock:
            if self._fd < 0:
                return
            old = self._fd
            self._open_next()
        os.close(old)

    def seal(self) -> None:
        """Take no more lines. The lock stays, so nobody takes this run for dead. Idempotent."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    def leave(self, *, remove: bool) -> None:
        """Let go of the run; with `remove` its lock file goes too. Idempotent."""
        self.seal()
        self._owner.release(remove=remove)

    def drop_in_child(self) -> None:
        """In a forked child: let go of the parent's file and lock, leaving both to the parent.

        Takes no lock of its own: the thread that held it was not forked along.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        self._owner.drop_in_child()
