"""Notices a worker that hangs while a reply is due, and ends it.

In go a connection and its place; nothing comes out but a dead worker, whose requests then hear of
it as of any death. A worker that is busy hears its mail between two steps, so it answers a ping
within one; one that says nothing for `hang_s` is stopped, swapped out or stuck in the runtime. One
that computes meanwhile may be at a long step on a machine that is busy elsewhere: it gets longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from . import wire
from .connection import Connection
from .identity import processor_s, put_down
from .place import Place

log = logging.getLogger("firsthop")

_BUSY = 6
"""Times the patience for a worker that computes."""
_COMPUTES = 0.05
"""Of one processor: less is no computing. A step's share of a machine that is busy is more."""
_ROUNDS = 3
"""Turns of our own loop after the time is up: if it was the loop that stood still, what the worker
sent meanwhile is read in these."""
_TURN_S = 0.02


async def watch(
    connection: Connection, place: Place, hang_s: float, end: Callable[[int], bool]
) -> None:
    """Look after a connection until nothing is due from it or it is lost.

    Args:
        end: Ends the worker with this process id if it is a child of ours; whether it was.
    """
    while connection.busy and not connection.lost:
        silent_s = _silent_s(connection)
        if silent_s < hang_s / 2:
            await asyncio.sleep(hang_s / 2 - silent_s)
            continue
        pid = connection.ready.pid
        spent = processor_s(pid)
        if await _answers(connection, hang_s / 2):
            continue
        silent_s = _silent_s(connection)
        if silent_s < _BUSY * hang_s and _computed(spent, processor_s(pid), hang_s / 2):
            continue
        ended = end(pid) or await asyncio.to_thread(put_down, place, pid) is not None
        done = "it was ended" if ended else "it can't be ended from here"
        connection.fate = f"it hung: nothing came from it for {silent_s:.1f} s, and {done}"
        log.warning("the device worker, process %d, hung for %.1f s; %s", pid, silent_s, done)
        if not ended:
            connection.abandon_hung()
        return


async def _answers(connection: Connection, patience_s: float) -> bool:
    """Whether anything comes from the worker within so long; it is asked for a sign."""
    asked_at = connection.loop.time()
    ping = connection.call(wire.Health)
    try:
        await asyncio.sleep(patience_s)
        for _ in range(_ROUNDS):
            await asyncio.sleep(_TURN_S)
        return connection.lost or connection.heard_at >= asked_at
    finally:
        ping.close(cancel=False)


def _computed(before: float | None, after: float | None, seconds: float) -> bool:
    """Whether so much processor time in so many seconds is work. Not when it isn't known."""
    return before is not None and after is not None and after - before >= _COMPUTES * seconds


def _silent_s(connection: Connection) -> float:
    """Seconds for which something has been due and nothing came."""
    return connection.loop.time() - max(connection.heard_at, connection.due_at)
