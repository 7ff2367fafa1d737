"""The device worker: a process that loads one model, serves its clients, and leaves.

In goes one argument, `Orders` as JSON; it is written by `spawn.py`, not by people. Started as
``python -m firsthop.device.worker``, so that an app's own ``router.py`` does no harm.

It leaves when its last client has been gone for a while, however the client went: the kernel closes
a dead process's sockets. What it has to say about its own failures goes to the clients; only
what comes before that, and our place in the code at a crash, is left in its log.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..clock import SystemClock
from ..errors import HopError
from . import speed_file
from .engine import Engine, EngineOptions
from .identity import sign, still_there, unsign
from .learned import Learned
from .meeting import AlreadyServed, listen
from .place import Place
from .serving import Limits, Serving

_LOOK_S = 0.05


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is started with.

    Attributes:
        starter: Process id of who started it.
        speeds: File for what is learned of the model's speed.
    """

    options: EngineOptions
    place: Place
    limits: Limits
    starter: int
    speeds: str


def main(arguments: list[str]) -> None:
    """Serve until nobody is left."""
    clock = SystemClock()
    began = clock.now()
    orders = msgspec.json.decode(arguments[0], type=Orders)
    starter_lives = _watch(orders.starter)
    _be_modest(orders.options)
    engine = _engine(orders, starter_lives)
    if not starter_lives():
        return
    _keep_to_our_words()
    try:
        listener = listen(orders.place)
    except AlreadyServed:
        return
    file = Path(orders.speeds)
    sign(orders.place)
    serving = Serving(
        listener,
        engine,
        orders.limits,
        clock,
        starter_lives,
        at_once=orders.options.at_once,
        learned=Learned(speed_file.load(file), start_s=clock.now() - began),
        keep=lambda kept: speed_file.save(file, kept),
    )
    while serving.turn():
        pass
    unsign(orders.place)


def _engine(orders: Orders, starter_lives: Callable[[], bool]) -> Engine | HopError:
    """The engine, or why there is none: that is told to every client, better than by a log."""
    from .room import refusal, within

    def more_comes() -> bool:
        there = starter_lives() and still_there(orders.place)
        if there:
            time.sleep(_LOOK_S)
        return there

    options, limit = orders.options, orders.limits.memory_bytes
    try:
        refused = refusal(options, limit, more_comes=more_comes)
        if refused is not None:
            return refused
        from .open_engine import open_engine

        options = within(options, limit)
        for_rows = None if limit is None else limit - options.keep_bytes
        return open_engine(options, for_rows)
    except HopError as exc:
        return exc


def _watch(starter: int) -> Callable[[], bool]:
    """Tells whether the starter still lives, for the time before the first client has come.

    Where that can't be told it counts as living; `Limits.nobody_s` then bounds the wait.
    """
    if sys.platform == "win32":  # orphans keep their parent's number, which may be somebody else's
        return lambda: True
    if os.getppid() == starter:
        return lambda: os.getppid() == starter
    return lambda: _is_there(starter)


def _is_there(pid: int) -> bool:
    """Whether there is such a process of ours. It may have died before we looked at our parent,
    or something, such as a script in the interpreter's place, stands between it and us."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _be_modest(options: EngineOptions) -> None:
    # numpy's own threads would only compete with the runtime's.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Else one token written touches a huge page in each layer and head, and rows take their whole
    # length at once. Both are read as numpy is imported, which the engine does.
    os.environ["NUMPY_MADVISE_HUGEPAGE"] = "0"
    if sys.platform != "win32" and options.nice:
        os.nice(options.nice)


def _keep_to_our_words() -> None:
    """Keep what the runtime and its libraries print out of the log from now on: it may quote a
    prompt or an answer. Our own words go there still, and where we were when the runtime crashes.
    """
    log = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = log
    faulthandler.enable(log)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stderr.flush()
    # The runtime's own clean-up takes long with a large model, and there is nothing left to save.
    os._exit(0)
