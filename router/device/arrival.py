"""How a client gets to a worker: by meeting the one that is there, or by starting it.

In goes a place and what should be served there, out comes a connection. However many processes
arrive at once, one of them starts a worker, under a lock, and all meet it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import filelock

from ..clock import Clock, Deadline
from ..errors import Unavailable
from .connection import Connection, Silent, meet
from .engine import EngineOptions
from .identity import put_down
from .place import Place
from .serving import Limits
from .spawn import Child, spawn

log = logging.getLogger("firsthop")

_LOOK_S = 0.01


class Arrival:
    """One way to one place.

    Args:
        start_s: Most seconds a start may take, the load of the model included.
        on_lost: For the connection.
        hang_s: Seconds of silence after which a worker that is there counts as hung; it is ended,
            if it can be told for sure which process it is, and another is started.
    """

    def __init__(
        self,
        place: Place,
        options: EngineOptions,
        limits: Limits,
        clock: Clock,
        start_s: float,
        on_lost: Callable[[], None],
        hang_s: float,
    ) -> None:
        self._place = place
        self._options = options
        self._limits = limits
        self._clock = clock
        self._start_s = start_s
        self._on_lost = on_lost
        self._hang_s = hang_s

    async def connect(self) -> tuple[Connection, Child | None]:
        """A connection, and the worker's process if we are the one who started it.

        Raises:
            HopError: The worker can't be started, or can't serve.
        """
        deadline = Deadline.after(self._start_s, self._clock.now())
        while True:
            if connection := await self._meet():
                return connection, None
            with _lock(self._place) as held:
                if held:
                    if connection := await self._meet():
                        return connection, None
                    if started := await self._start(deadline):
                        return started
            await self._wait(deadline, None)

    async def _meet(self) -> Connection | None:
        """As `meet`; a worker that says nothing is put down."""
        try:
            return await meet(self._place, self._on_lost, self._hang_s)
        except Silent:
            pid = await asyncio.to_thread(put_down, self._place)
            if pid is None:
                raise
            log.warning(
                "the device worker, process %d, said nothing for %.0f s; it was ended",
                pid,
                self._hang_s,
            )
            return None

    async def _start(self, deadline: Deadline) -> tuple[Connection, Child] | None:
        """Start a worker and meet it. None: it found that another one serves already."""
        child = spawn(self._place, self._options, self._limits)
        try:
            while True:
                ended = child.ended  # before we look: it may have left the place to another
                if connection := await self._meet():
                    return connection, child
                if ended and child.content:
                    return None
                if ended:
                    raise Unavailable(
                        f"the device worker ended before it was ready: {child.last_words()}. "
                        f"Its log: {self._place.log}",
                        retryable=False,
                    )
                await self._wait(deadline, child)
        except BaseException:
            child.kill()
            raise

    async def _wait(self, deadline: Deadline, child: Child | None) -> None:
        if deadline.over(self._clock.now()):
            who = f"process {child.pid}" if child else "another process is starting it"
            raise Unavailable(
                f"the device worker wasn't ready after {self._start_s:.0f} s ({who}). "
                f"Its log: {self._place.log}"
            )
        await self._clock.sleep(_LOOK_S)


@contextmanager
def _lock(place: Place) -> Iterator[bool]:
    """Hold the place's lock if nobody else does; gives whether we do. The kernel frees it when
    its holder dies."""
    lock = filelock.FileLock(place.lock, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
