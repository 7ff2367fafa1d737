"""Which process a worker is: so that one that hangs can be ended, and never another by mistake.

A worker leaves a paper at its place with its process id and the moment its process was started. A
number may pass to a stranger's process; number and start together don't.
"""

from __future__ import annotations

import contextlib
import os
import sys

import msgspec

from .place import Place

_SAME_S = 1.0
"""Two readings of one process's start differ by less, though the system's clock was set between."""


class Identity(msgspec.Struct, frozen=True):
    """Of a worker.

    Attributes:
        started: When its process was started, seconds since 1970.
    """

    pid: int
    started: float


def sign(place: Place) -> None:
    """Leave this process's paper at the place."""
    import psutil

    identity = Identity(os.getpid(), psutil.Process().create_time())
    draft = place.paper.with_name(f"{place.paper.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(identity))
    draft.replace(place.paper)


def unsign(place: Place) -> None:
    """Take the paper away, if it is still this process's."""
    found = _read(place)
    if found is not None and found.pid == os.getpid():
        with contextlib.suppress(OSError):
            place.paper.unlink()


def put_down(place: Place, pid: int | None = None) -> int | None:
    """End the worker of this place, and give its process id. None: there is none to be sure of.

    Only a process of this user, with the number and the start that the paper says, which was
    started as a worker, is ended.

    Args:
        pid: It has to be this one. None: whoever signed.
    """
    import psutil

    found = _read(place)
    if found is None or (pid is not None and found.pid != pid):
        return None
    try:
        process = psutil.Process(found.pid)
        ours = sys.platform == "win32" or process.uids().real == os.getuid()
        same = abs(process.create_time() - found.started) < _SAME_S
        if not (ours and same and "firsthop.device.worker" in process.cmdline()):
            return None
        process.kill()
    except psutil.Error:
        return None
    return found.pid


def _read(place: Place) -> Identity | None:
    try:
        return msgspec.json.decode(place.paper.read_bytes(), type=Identity)
    except (OSError, ValueError):
        return None
