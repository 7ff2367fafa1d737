"""Bodies that are still coming: each has its time, and all together have bounds.

A client that sends a head and then nothing, or byte by byte, keeps nobody out: it holds no place
among those that are answered, and when too many bodies are coming, or too much of them is held,
the one that began first is given up. One that is meant well has come in milliseconds.
"""

from __future__ import annotations

import asyncio

from .settings import Settings
from .wire.failure import Refusal, refuse


class Receipt:
    """One body that is coming.

    Attributes:
        due: When it has to be whole, in the loop's time.
        size: Bytes that have come.
        why: Why it was given up. None: it was not.
    """

    __slots__ = ("due", "size", "task", "why")

    def __init__(self, task: asyncio.Task[None], due: float) -> None:
        self.due = due
        self.task = task
        self.size = 0
        self.why: str | None = None

    def give_up(self, why: str) -> None:
        """Let it come no more: its task is woken by a cancellation."""
        self.why = why
        self.task.cancel()

    def cancelled(self) -> Refusal | None:
        """What a cancellation of its task means. None: it is none of ours."""
        if self.why is None or self.task.uncancel():
            return None
        return _refused(self.why)


class Receiving:
    """All bodies that are coming. For one event loop.

    One timer serves them all: as each has the same time, they are due in the order they began.
    """

    def __init__(self, settings: Settings) -> None:
        self._body_s = settings.body_s
        self._most = settings.max_receiving
        # A body of the largest size has to have room.
        self._most_bytes = max(settings.max_receiving_bytes, settings.max_body_bytes)
        self._bytes = 0
        self._coming: dict[Receipt, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Receipt:
        """A body is waited for, by the task that runs."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        receipt = Receipt(task, loop.time() + self._body_s)
        if len(self._coming) >= self._most:
            self._oldest(_TOO_MANY)
        self._coming[receipt] = None
        if self._timer is None:
            self._timer = loop.call_at(receipt.due, self._look, loop)
        return receipt

    def add(self, receipt: Receipt, size: int) -> None:
        """So many more bytes of it have come, and it is not whole.

        Raises: Refusal, 408, when it is this one that is given up.
        """
        receipt.size += size
        self._bytes += size
        while self._bytes > self._most_bytes:
            if receipt is next(iter(self._coming)):  # it runs, so there is nothing to wake
                raise _refused(_TOO_MUCH)
            self._oldest(_TOO_MUCH)

    def end(self, receipt: Receipt) -> None:
        """It is whole, or there will be no more of it."""
        if self._coming.pop(receipt, _GONE) is None:
            self._bytes -= receipt.size

    def _oldest(self, why: str) -> None:
        oldest = next(iter(self._coming))
        self.end(oldest)
        oldest.give_up(why)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._coming:
            oldest = next(iter(self._coming))
            if oldest.due > now:
                self._timer = loop.call_at(oldest.due, self._look, loop)
                return
            self._oldest(_LATE)


def _refused(why: str) -> Refusal:
    return refuse(408, why, "request_timeout", close=True)


_GONE = object()
_LATE = "the body did not come in time"
_TOO_MANY = "the body was slow, and too many others are coming"
_TOO_MUCH = "the body was slow, and too much of others has come"
