"""Which process a worker is, and whether it works: so that one that hangs can be ended, and never
another by mistake.

A worker leaves a paper at its place with its process id and the moment its process was started. A
number may pass to a stranger's process; number and start together don't.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from .place import Place

if TYPE_CHECKING:
    import psutil

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

    process = _signer(place)
    if process is None or (pid is not None and process.pid != pid):
        return None
    try:
        process.kill()
    except psutil.Error:
        return None
    return process.pid


def still_there(place: Place) -> bool:
    """Whether a worker that signed here, and isn't this process, lives still."""
    process = _signer(place)
    return process is not None and process.pid != os.getpid()


def processor_s(pid: int) -> float | None:
    """Processor time that a process has had, in seconds. None: it isn't there, or isn't ours."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _signer(place: Place) -> psutil.Process | None:
    """The worker that signed, if it is that one for sure, and lives."""
    import psutil

    found = _read(place)
    if found is None:
        return None
    try:
        process = psutil.Process(found.pid)
        ours = sys.platform == "win32" or process.uids().real == os.getuid()
        same = abs(process.create_time() - found.started) < _SAME_S
        worker = ours and same and "firsthop.device.worker" in process.cmdline()
        return process if worker and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _read(place: Place) -> Identity | None:
    try:
        return msgspec.json.decode(place.paper.read_bytes(), type=Identity)
    except (OSError, ValueError):
        return None
