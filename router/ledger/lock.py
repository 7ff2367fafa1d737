"""A lock on a file that says "its owner lives": the kernel lets go of it however the owner dies.

One system call of the standard library, on a descriptor that is ours alone. A lock made of a
file's existence would survive `kill -9`; a process id in a file may have been given to somebody
else. After a fork the child must be able to drop its copy *without* unlocking the parent's.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as exc:
            if exc.errno in {errno.EACCES, errno.EDEADLK}:
                return False
            raise
        return True

    def _is_at(_fd: int, _path: Path) -> bool:
        return True  # a file that is open can't be removed here

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK}:
                return False
            raise
        return True

    def _is_at(fd: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), path.stat())
        except FileNotFoundError:
            return False


class OwnerLock:
    """Held from `take` until `release`, or until the process is gone.

    Two of them on one path exclude each other within one process too.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path) -> OwnerLock | None:
        """Lock `path`, making the file if need be. None: somebody else holds it.

        Raises: OSError, when the file can't be made or the file system has no locks.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _try_lock(fd) and _is_at(fd, path):
                return cls(path, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def release(self, *, remove: bool) -> None:
        """Let go; with `remove` the file goes too. Safe to call twice."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if remove and sys.platform != "win32":
            # While it is still held: whoever waits for this file then sees it is no longer there.
            self.path.unlink(missing_ok=True)
        os.close(fd)
        if remove and sys.platform == "win32":
            try:
                self.path.unlink(missing_ok=True)
            except PermissionError:
                return  # somebody is just looking whether it is free, and will remove it

    def drop_in_child(self) -> None:
        """In a forked child: close this copy. The parent keeps the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
