"""An event loop whose time passes only while nobody has anything to do.

Sleeps and timeouts of minutes take no time and keep their order, so two things that go on at once
end in the order of their seconds, every time. Only for what waits for time alone: a thread or a
socket would be overtaken by it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._virtual

    def jump(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._virtual += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self._loop.jump(timeout)
        return ready


class LoopClock:
    """The running loop's time, as a `Clock`."""

    def __init__(self, wall: float = 1_780_000_000.0) -> None:
        self._wall = wall

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return self._wall + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
