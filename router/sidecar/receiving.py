"""Bodies that are still coming: each has its time, and all together have bounds.

A client that sends a head and then nothing, or byte by byte, keeps nobody out: it holds no place
among those that are answered, and when too many bodies are coming, or too much of them is held,
the one that began first is given up. One that is meant well has come in milliseconds.
"""

from __future__ import annotations

import asyncio

from .settings import Settings
from .wire.failure import Refusal, refuse

Task = asyncio.Task[None]


class Receiving:
    """All bodies that are coming, each by the task that waits for it. For one event loop.

    One timer serves them all: as each has the same time, they are due in the order they began. Most
    bodies have come when they are asked for, so to begin and to end costs next to nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._body_s = settings.body_s
        self._most = settings.max_receiving
        # A body of the largest size has to have room.
        self._most_bytes = max(settings.max_receiving_bytes, settings.max_body_bytes)
        self._bytes = 0
        self._due: dict[Task, float] = {}
        self._sizes: dict[Task, int] = {}
        self._why: dict[Task, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Task:
        """A body is waited for, by the task that runs; it is what the body is known by."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        if len(self._due) >= self._most:
            self._give_up(next(iter(self._due)), _TOO_MANY)
        due = self._due[task] = loop.time() + self._body_s
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)
        return task

    def add(self, task: Task, size: int) -> None:
        """So many more bytes of a body have come, and it is not whole.

        Raises: Refusal, 408, when it is this one that is given up.
        """
        self._sizes[task] = self._sizes.get(task, 0) + size
        self._bytes += size
        while self._bytes > self._most_bytes:
            oldest = next(iter(self._due))
            if oldest is task:  # it runs, so there is nothing to wake
                raise _refused(_TOO_MUCH)
            self._give_up(oldest, _TOO_MUCH)

    def end(self, task: Task) -> None:
        """A body is whole, or there will be no more of it."""
        if self._due.pop(task, None) is not None and self._sizes:
            self._bytes -= self._sizes.pop(task, 0)

    def cancelled(self, task: Task) -> Refusal | None:
        """What a cancellation of the task means. None: it is none of ours."""
        why = self._why.pop(task, None)
        return None if why is None or task.uncancel() else _refused(why)

    def _give_up(self, task: Task, why: str) -> None:
        """Let a body come no more: its task is woken by a cancellation."""
        self.end(task)
        self._why[task] = why
        task.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = loop.call_at(due, self._look, loop)
                return
            self._give_up(task, _LATE)


def _refused(why: str) -> Refusal:
    return refuse(408, why, "request_timeout", close=True)


_LATE = "the body did not come in time"
_TOO_MANY = "the body was slow, and too many others are coming"
_TOO_MUCH = "the body was slow, and too much of others has come"
