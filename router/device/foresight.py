"""The client's side of prediction: what a worker said last, or what one left behind.

In goes what is expected of a request, out comes a `Forecast`. It waits for nobody: a worker that is
busy has said what is ahead before it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from ..errors import HopError
from . import speed_file
from .connection import Connection
from .expected import Expected, tenant_mark
from .learned import Kept
from .place import Place
from .predict import Forecast

_GLANCE_S = 0.05
"""Most seconds a forecast waits for a connection and for the first word of what is ahead: once,
for from then on the worker tells of each change."""


class Foresight:
    """Of one link.

    Args:
        usable: Its connection, if there is one.
        look: Connects to a worker that is there; starts none.
        place: Where its worker is met. Raises `HopError`.
    """

    def __init__(
        self,
        usable: Callable[[], Connection | None],
        look: Callable[[], Coroutine[Any, Any, Connection | None]],
        place: Callable[[], Place],
    ) -> None:
        self._usable = usable
        self._look = look
        self._place = place
        self._looking: asyncio.Task[Connection | None] | None = None
        self._kept: tuple[str, Kept | None] | None = None

    async def forecast(self, ask: Expected) -> Forecast:
        """When an answer would begin and end; `ask` has its tenant's name. With no worker up, what
        was kept of its speed speaks, with the start in front."""
        connection = await self._glance()
        if connection is None:
            return ask.cold(await asyncio.to_thread(self._remembered))
        seen = connection.watch()
        if not seen.done():
            await asyncio.wait([seen], timeout=_GLANCE_S)
        if connection.outlook is None:
            return Forecast(queue=None, first_token_s=None, end_s=None)
        marked = replace(ask, tenant=tenant_mark(connection.app, ask.tenant))
        return marked.warm(connection.outlook, connection.loop.time() - connection.outlook_at)

    def forget(self) -> None:
        """A worker was started: what it leaves behind is read anew."""
        self._kept = None

    async def aclose(self) -> None:
        """Stop looking for a worker."""
        looking = self._looking
        if looking is not None and looking.get_loop() is asyncio.get_running_loop():
            looking.cancel()
            await asyncio.wait([looking])

    async def _glance(self) -> Connection | None:
        """The connection, or one to a worker that is there, if it can be had at once."""
        if connection := self._usable():
            return connection
        looking, loop = self._looking, asyncio.get_running_loop()
        if looking is None or looking.done() or looking.get_loop() is not loop:
            looking = self._looking = loop.create_task(self._look())
        await asyncio.wait([looking], timeout=_GLANCE_S)
        return self._usable()

    def _remembered(self) -> Kept | None:
        """What was kept of the model's speed."""
        try:
            name = self._place().name
        except HopError:
            return None
        if self._kept is None or self._kept[0] != name:
            self._kept = (name, speed_file.load(speed_file.file_for(name)))
        return self._kept[1]
