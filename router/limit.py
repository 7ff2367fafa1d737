"""One timer for all the steps of a call, in place of one for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Limit:
    """Ends the step of a call that is under way when the call's time is over.

    The timer strikes only inside a step: between two of them the caller's own code may run. Made
    on the running loop; `stop` it when the call has ended.

    Attributes:
        over: The time is over.
    """

    __slots__ = ("_handle", "_loop", "_struck", "_task", "over")

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._struck = False
        self._task: asyncio.Task[object] | None = None
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(seconds, self._strike)

    def restart(self, seconds: float) -> None:
        """From now on, so many seconds are left, be that more or fewer than there were."""
        self._handle.cancel()
        self.over = False
        self._handle = self._loop.call_later(seconds, self._strike)

    def shorten(self, seconds: float) -> None:
        """From now on, at most so many seconds are left."""
        if self._handle.when() > self._loop.time() + seconds:
            self.restart(seconds)

    def _strike(self) -> None:
        self.over = True
        if self._task is not None:
            self._struck = True
            self._task.cancel()

    async def step(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Wait for what `begin` gives. Raises: TimeoutError when the time is over.

        As `asyncio.timeout`: a cancellation from outside at the same moment stays one. A step that
        comes after the time is not begun: to cancel one that never waits would strike the caller.
        """
        if self.over:
            raise TimeoutError
        task = asyncio.current_task(self._loop)
        assert task is not None
        before = task.cancelling()
        self._task = task
        try:
            return await begin()
        except asyncio.CancelledError as exc:
            if self._taken_back(task) and task.cancelling() <= before:
                raise TimeoutError from exc
            raise
        finally:
            self._task = None
            if self._struck:  # where the step made something else of it
                self._taken_back(task)
            del task  # a task that ends by a cancellation keeps its traceback, and so this frame

    def _taken_back(self, task: asyncio.Task[object]) -> bool:
        """Undo our own cancellation, once."""
        struck, self._struck = self._struck, False
        if struck:
            task.uncancel()
        return struck

    def stop(self) -> None:
        """Let it never strike."""
        self._handle.cancel()
