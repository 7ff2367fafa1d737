"""Our end of the device: requests go to a worker process, tokens come back.

In goes what to run and how, out comes a `DeviceLink`. It starts the worker with the first request,
shares it with every process of this user that asks for the same, starts a new one after a crash,
and gives up for a while when starting doesn't help.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from ..clock import Clock, SystemClock
from ..errors import HopError, Unavailable
from ..types import Message
from . import wire
from .arrival import Arrival
from .connection import Connection, Reply, meet
from .engine import EngineInfo, EngineOptions, Job
from .expected import Expected
from .folder import read_folder
from .foresight import Foresight
from .place import Place, Transport, place_for
from .predict import Forecast
from .serving import REPLACED, Limits
from .spawn import Child
from .watchman import watch

log = logging.getLogger("firsthop")

_CRASHES = 3
_CRASH_WINDOW_S = 60.0
_REPLY_S = 5.0
_OBITUARY_S = 0.5
_LOOK_S = 0.005
_CHILDREN = 4
"""Workers of ours that are remembered: a replaced one may have jobs still. The newest first."""


class DeviceLink:
    """A way to one worker, for many tasks of one event loop.

    Used from another loop, or in a forked child, it lets go of what it had and connects anew; it is
    not for two loops at the same time.

    Attributes:
        options: As given, with the real path of the folder.

    Args:
        limits: What a worker that we start puts up with. None: the usual.
        start_s: Most seconds a start may take. A caller who doesn't want to wait that long
            cancels its own task; the start goes on for the next one.
        hang_s: Seconds without a sign of life, while a reply is due, after which a worker counts
            as hung; it is ended, and the next request starts another.
        folder, transport: Where and how to meet, other than the platform's way. For tests.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        limits: Limits | None = None,
        start_s: float = 300.0,
        hang_s: float = 10.0,
        clock: Clock | None = None,
        folder: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        # The worker stands elsewhere, and two spellings of a folder are to share one worker.
        self.options = replace(options, folder=os.path.realpath(options.folder))
        self._limits = limits or Limits()
        self._start_s = start_s
        self._hang_s = hang_s
        self._clock = clock or SystemClock()
        self._folder = folder
        self._transport: Transport | None = transport
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._children: deque[Child] = deque(maxlen=_CHILDREN)
        self._watchmen: dict[Connection, asyncio.Task[None]] = {}
        self._old: set[Connection] = set()
        self._foresight = Foresight(self._usable, self._look, self._place)
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self._last_crash = ""

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker we are connected to. None: we aren't."""
        connection = self._connection
        return connection.ready.pid if connection and not connection.lost else None

    async def start(self) -> EngineInfo:
        """Have a worker, loaded and warm, and say what it is.

        Raises:
            HopError: It can't be had.
        """
        return (await self._connected()).ready.info

    async def run(
        self, job: Job, within_s: float | None = None
    ) -> AsyncGenerator[wire.Token | wire.Done]:
        """Yield each token as it comes, then `Done`.

        Closing the generator, or cancelling the task that reads it, has the worker stop.

        Args:
            within_s: Seconds in which the answer has to be whole. None: any time will do.

        Raises:
            NotSent: It can't be whole in time, or there is no room in line; `code` says which.
            HopError: The engine's own; or `Unavailable`, retryable, when the worker died.
        """
        began = self._clock.now()
        while True:
            connection = await self._connected()
            left_s = None if within_s is None else within_s - (self._clock.now() - began)
            try:
                async with aclosing(self._replies(connection, job, left_s)) as replies:
                    async for reply in replies:
                        yield reply
                return
            except Unavailable as exc:
                if exc.code != REPLACED:
                    raise
                # It never began: it met a worker that had just decided to leave.
                connection.leaving = connection.leaving or exc.message

    async def _replies(
        self, connection: Connection, job: Job, within_s: float | None
    ) -> AsyncGenerator[wire.Token | wire.Done]:
        call = connection.call(lambda number: wire.Run(number, job, within_s))
        self._look_after(connection)
        going, spoke = True, False
        try:
            while going:
                reply = await call.reply()
                if reply is None and connection.leaving is not None and not spoke:
                    raise Unavailable(connection.leaving, code=REPLACED)
                if reply is None:
                    raise await self._lost(connection)
                spoke = True
                going = not isinstance(reply, wire.Done)
                if isinstance(reply, wire.Token | wire.Done):
                    yield reply
        finally:
            call.close(cancel=going)

    async def forecast(self, ask: Expected) -> Forecast:
        """When an answer would begin and end. It starts no worker and waits for none."""
        return await self._foresight.forecast(ask)

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens of the prompt these messages make. None: not known, as no worker is up."""
        connection = self._usable()
        if connection is None:
            return None
        reply = await _ask(connection, lambda number: wire.Count(number, messages))
        return reply.tokens if isinstance(reply, wire.Counted) else None

    async def health(self) -> wire.Healthy | None:
        """How the worker is. None: none is up, or it doesn't answer. It never starts one."""
        connection = self._usable() or await self._look()
        if connection is None:
            return None
        reply = await _ask(connection, wire.Health)
        return reply if isinstance(reply, wire.Healthy) else None

    async def aclose(self) -> None:
        """Leave. The worker goes by itself when it has no other clients. Safe to call twice."""
        opening, self._opening = self._opening, None
        if opening is not None and opening.get_loop() is asyncio.get_running_loop():
            opening.cancel()
            await asyncio.wait([opening])
        await self._foresight.aclose()
        for watchman in self._watchmen.values():
            if watchman.get_loop() is asyncio.get_running_loop():
                watchman.cancel()
        connection, self._connection = self._usable(), None
        for one in {connection, *self._old} - {None}:
            if one is not None and one.usable_here():
                one.close()
        self._old.clear()

    def _usable(self) -> Connection | None:
        """The connection, if new work can go there; one that belongs elsewhere is let go."""
        connection = self._connection
        if connection is None:
            return None
        if not connection.usable_here():
            if not connection.lost:
                connection.abandon()
            self._connection = None
            return None
        if connection.leaving is None:
            return connection
        self._connection = None
        log.info(
            "the device worker, process %d, leaves: %s", connection.ready.pid, connection.leaving
        )
        if connection.busy:  # its own jobs it does to their end
            self._old = {old for old in self._old if not old.lost} | {connection}
        else:
            connection.close()
        return None

    async def _connected(self) -> Connection:
        if connection := self._usable():
            return connection
        loop = asyncio.get_running_loop()
        opening = self._opening
        if opening is None or opening.done() or opening.get_loop() is not loop:
            opening = self._opening = loop.create_task(self._open())
            opening.add_done_callback(_retrieve)
        return await asyncio.shield(opening)

    async def _open(self) -> Connection:
        self._give_up_for_a_while()
        place = self._place()
        arrival = Arrival(
            place,
            self.options,
            self._limits,
            self._clock,
            self._start_s,
            self._on_lost,
            self._hang_s,
        )
        try:
            connection, child = await arrival.connect()
        except HopError as exc:
            self._note_crash(str(exc))
            raise
        except (OSError, NotImplementedError) as exc:  # the latter: no locks on that file system
            raise Unavailable(
                f"the device worker can't be met in {place.folder}: {exc}", retryable=False
            ) from exc
        if child is not None:
            self._children.appendleft(child)
        self._foresight.forget()
        return self._keep(connection)

    async def _look(self) -> Connection | None:
        try:
            connection = await meet(self._place(), self._on_lost)
        except (HopError, OSError):
            return None
        return self._keep(connection) if connection else None

    def _look_after(self, connection: Connection) -> None:
        """Have somebody notice when it hangs; each has its own, as an old one may still work."""
        loop, watching = asyncio.get_running_loop(), self._watchmen
        for one, watchman in tuple(watching.items()):
            if watchman.done() or watchman.get_loop() is not loop:
                del watching[one]
        if connection not in watching:
            watching[connection] = loop.create_task(
                watch(connection, self._place(), self._hang_s, self._end_child)
            )

    def _child(self, pid: int) -> Child | None:
        return next((child for child in self._children if child.pid == pid), None)

    def _end_child(self, pid: int) -> bool:
        child = self._child(pid)
        if child is not None:
            child.kill()
        return child is not None

    def _keep(self, connection: Connection) -> Connection:
        """Make it ours, unless another was made meanwhile: one is enough."""
        if ours := self._usable():
            connection.close()
            return ours
        self._connection = connection
        return connection

    def _place(self) -> Place:
        read_folder(Path(self.options.folder))  # a plain mistake is told before anything starts
        try:
            return place_for(self.options, folder=self._folder, transport=self._transport)
        except OSError as exc:
            raise Unavailable(f"the model can't be read: {exc}", retryable=False) from exc

    async def _lost(self, connection: Connection) -> Unavailable:
        if connection.closed:
            return Unavailable("the link to the device was closed", retryable=False)
        if connection.fate is not None:
            self._last_crash = connection.fate
            return Unavailable(f"the device worker gave no whole answer: {connection.fate}")
        child = self._child(connection.ready.pid)
        if child is None:
            return Unavailable("the device worker went away before the answer was whole")
        patience = _OBITUARY_S
        while not child.ended and patience > 0:
            await self._clock.sleep(_LOOK_S)
            patience -= _LOOK_S
        self._last_crash = child.obituary() or "it closed the connection"
        return Unavailable(
            f"the device worker died before the answer was whole: {self._last_crash}"
        )

    def _on_lost(self) -> None:
        self._note_crash("it went away while it was needed")

    def _note_crash(self, why: str) -> None:
        self._crashes.append(self._clock.now())
        self._last_crash = why

    def _give_up_for_a_while(self) -> None:
        """Raise when the last crashes are close together: one more start wouldn't help."""
        if len(self._crashes) < _CRASHES:
            return
        left = self._crashes[0] + _CRASH_WINDOW_S - self._clock.now()
        if left > 0:
            raise Unavailable(
                f"the device worker failed {_CRASHES} times within {_CRASH_WINDOW_S:.0f} s; "
                f"the last time: {self._last_crash}. It is left alone for {left:.0f} s",
                retryable=False,
                retry_after_s=left,
                code="left_alone",
            )


async def _ask(connection: Connection, make: Callable[[int], wire.ToWorker]) -> Reply | None:
    """One question, one reply. None: it can't be had."""
    try:
        call = connection.call(make)
    except HopError:
        return None
    try:
        async with asyncio.timeout(_REPLY_S):
            return await call.reply()
    except (TimeoutError, HopError):
        return None
    finally:
        call.close(cancel=False)


def _retrieve(task: asyncio.Task[Connection]) -> None:
    """A failed start may have nobody left to hear of it; that is no error of the loop's."""
    if not task.cancelled():
        task.exception()
