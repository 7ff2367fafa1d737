"""Small, careful steps on files: checksums, room, moves that happen whole or not at all.

Everything here raises `OSError` as the system does; `trouble` turns one into a `ModelError`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from .progress import Meter

BLOCK = 1 << 20
# Left free beside what a pull needs, so that the machine isn't brought to its last byte.
MARGIN_BYTES = 64 << 20

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Checksums of one file, in lower-case hex.

    Attributes:
        sha256: Of its bytes.
        git_sha1: What git calls such a blob: SHA-1 over ``blob SIZE``, a zero byte, the bytes.
        bytes: Size.
    """

    sha256: str
    git_sha1: str
    bytes: int


def digest(file: Path, meter: Meter | None = None) -> Digest:
    """Read `file` once and give its checksums."""
    size = file.stat().st_size
    sha256 = hashlib.sha256()
    git_sha1 = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            sha256.update(block)
            git_sha1.update(block)
            if meter is not None:
                meter.advance(len(block))
    return Digest(sha256=sha256.hexdigest(), git_sha1=git_sha1.hexdigest(), bytes=size)


def flush(file: Path) -> None:
    """Have the system put `file` on the medium: a rename is no use if the bytes come after it."""
    with file.open("r+b") as stream:  # Windows flushes only what may be written to.
        os.fsync(stream.fileno())


def free_bytes(folder: Path) -> int:
    """Bytes an unprivileged user can still write where `folder` is."""
    return shutil.disk_usage(folder).free


def size_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`, as far as they stay while we look."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def move(source: Path, target: Path) -> None:
    """Rename, on one file system: whole or not at all. A folder's `target` must not exist.

    On Windows a virus scanner may hold fresh files for a moment; then it is tried again,
    for about three seconds.
    """
    if sys.platform == "win32":
        for _ in range(30):
            try:
                source.replace(target)
                return
            except PermissionError:
                time.sleep(0.1)
    source.replace(target)


def discard(folder: Path, trash: Path) -> None:
    """Take `folder` out of sight by one rename into `trash`, then delete it.

    What can't be deleted, because some process still reads it, stays in `trash`.

    Raises:
        OSError: It could not even be moved. Then it is untouched.
    """
    trash.mkdir(parents=True, exist_ok=True)
    gone = trash / f"trash-{secrets.token_hex(4)}"
    move(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def sweep(folder: Path, keep: str | None = None) -> None:
    """Delete what lies in `folder`, but for the entry named `keep`; leave what resists."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                entry.unlink()


def no_room(model: str, folder: Path, needed: int, free: int) -> ModelError:
    """The error for a disk that is too full for what is to come."""
    return ModelError(
        f"{model} needs {megabytes(needed)} of free disk at {folder}, and there are "
        f"{megabytes(free)}. Free some, or name another place with FIRSTHOP_MODELS",
        model=model,
    )


def trouble(exc: OSError, model: str | None, root: Path) -> ModelError:
    """What a failed step on the disk means for the person who asked.

    Args:
        model: The model asked for. None: the question was about all.
    """
    if exc.errno in _FULL:
        text = (
            f"the disk or a quota is full at {root} ({exc.strerror}). What was fetched is kept: "
            f"free some room and pull again, or drop it with: firsthop models rm {model or 'NAME'}"
        )
    elif exc.errno in _DENIED:
        text = (
            f"not allowed to use {exc.filename or root} ({exc.strerror}), or another program "
            "holds it. Name a folder of your own with FIRSTHOP_MODELS, or close that program"
        )
    else:
        text = f"the disk refused at {exc.filename or root}: {exc}"
    return ModelError(text, model=model)


def megabytes(count: int) -> str:
    """For people, in units of 1,000,000 bytes; never rounded down to nothing."""
    return f"{count / 1e6:,.1f} MB" if count < 10_000_000 else f"{count / 1e6:,.0f} MB"
