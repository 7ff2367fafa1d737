"""uvicorn's server, asleep while nobody asks: its own wakes ten times a second to see if it ends.

Comes in: a uvicorn config. Goes out: a server that ends as uvicorn's does, by `should_exit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import uvicorn


class QuietServer(uvicorn.Server):
    """Whoever sets `should_exit`, in a signal's handler or from any thread, wakes it."""

    _ends = False
    _wake: Callable[[], object] | None = None

    @property
    def should_exit(self) -> bool:
        """Whether it is to end."""
        return self._ends

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        self._ends = ends
        if ends and self._wake is not None:
            self._wake()

    async def main_loop(self) -> None:
        """Until it is to end."""
        loop = asyncio.get_running_loop()
        if type(loop).__module__.partition(".")[0] != "uvloop":
            # Any signal wakes uvloop; asyncio's own may sleep on until something else happens.
            await super().main_loop()
            return
        ending = asyncio.Event()
        self._wake = partial(loop.call_soon_threadsafe, ending.set)
        try:
            if not await self.on_tick(0):  # it also sets the headers of every answer
                await ending.wait()
        finally:
            self._wake = None  # signals are raised again when the loop is closed
