"""Our end of the device: requests go to a worker process, tokens come back.

In goes what to run and how, out comes a `DeviceLink`. It starts the worker with the first request,
shares it with every process of this user that asks for the same, starts a new one after a crash,
and gives up for a while when starting doesn't help.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

from ..clock import Clock, SystemClock
from ..errors import HopError, Unavailable
from ..types import Message
from . import wire
from .arrival import Arrival
from .connection import Connection, meet
from .engine import EngineInfo, EngineOptions, Job
from .folder import read_folder
from .place import Place, Transport, place_for
from .serving import Limits
from .spawn import Child

_CRASHES = 3
_CRASH_WINDOW_S = 60.0
_REPLY_S = 5.0
_OBITUARY_S = 0.5
_LOOK_S = 0.005


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
        folder, transport: Where and how to meet, other than the platform's way. For tests.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        limits: Limits | None = None,
        start_s: float = 300.0,
        clock: Clock | None = None,
        folder: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        # The worker stands elsewhere, and two spellings of a folder are to share one worker.
        self.options = replace(options, folder=os.path.realpath(options.folder))
        self._limits = limits or Limits()
        self._start_s = start_s
        self._clock = clock or SystemClock()
        self._folder = folder
        self._transport: Transport | None = transport
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._child: Child | None = None
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

    async def run(self, job: Job) -> AsyncGenerator[wire.Token | wire.Done]:
        """Yield each token as it comes, then `Done`.

        Closing the generator, or cancelling the task that reads it, has the worker stop.

        Raises:
            HopError: The engine's own; or `Unavailable`, retryable, when the worker died.
        """
        connection = await self._connected()
        call = connection.call(lambda number: wire.Run(number, job))
        going = True
        try:
            while going:
                reply = await call.reply()
                if reply is None and connection.parted:  # it left as the request came
                    connection = await self._connected()
                    call = connection.call(lambda number: wire.Run(number, job))
                    continue
                if reply is None:
                    raise await self._lost(connection)
                going = not isinstance(reply, wire.Done)
                if isinstance(reply, wire.Token | wire.Done):
                    yield reply
        finally:
            call.close(cancel=going)

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
        connection, self._connection = self._usable(), None
        if connection is not None:
            connection.close()

    def _usable(self) -> Connection | None:
        """The connection, if it can be used here; one that belongs elsewhere is let go."""
        connection = self._connection
        if connection is None or connection.usable_here():
            return connection
        if not connection.lost:
            connection.abandon()
        self._connection = None
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
            place, self.options, self._limits, self._clock, self._start_s, self._on_lost
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
        self._child = child or self._child
        return self._keep(connection)

    async def _look(self) -> Connection | None:
        try:
            connection = await meet(self._place(), self._on_lost)
        except (HopError, OSError):
            return None
        return self._keep(connection) if connection else None

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
        child = self._child
        if child is None or child.pid != connection.ready.pid:
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
            )


async def _ask(
    connection: Connection, make: Callable[[int], wire.ToWorker]
) -> wire.Token | wire.Done | wire.Failed | wire.Counted | wire.Healthy | None:
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
