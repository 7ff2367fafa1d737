"""Places for requests that are being answered: so many at once, and one more is a 429.

A place is taken once a request's body is whole, so that nobody holds one by sending slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .together import Together
from .wire.failure import Refusal, refuse


class Places:
    """For the event loop only.

    Attributes:
        most: How many there are.
    """

    __slots__ = ("_empty", "_together", "most")

    def __init__(self, most: int, together: Together) -> None:
        """`most` of all workers together."""
        self.most = most
        self._together = together
        self._empty: asyncio.Event | None = None

    @property
    def taken(self) -> int:
        """How many are taken, of this process."""
        return self._together.active

    def free(self, count: int = 1) -> None:
        """Raises: Refusal, 429, when all workers together have not so many free."""
        together = self._together
        busy = together.active if together.alone else together.busy()
        if busy + count > self.most:
            raise self._full()

    def take(self, count: int = 1) -> None:
        """Take so many. Raises: Refusal, 429, when all workers together have not so many free."""
        together = self._together
        if not together.alone:
            if not together.enter(self.most, count):
                raise self._full()
        elif together.active + count > self.most:
            raise self._full()
        else:
            together.active += count

    def _full(self) -> Refusal:
        return refuse(
            429,
            f"{self.most} requests are being answered, and that is the most; ask again",
            "too_many_requests",
            retry_after_s=1.0,
        )

    def leave(self, count: int = 1) -> None:
        """Give so many back."""
        if self._together.alone:
            self._together.active -= count
        else:
            self._together.leave(count)
        if self._empty is not None and not self.taken:
            self._empty.set()

    @contextmanager
    def held_beside(self, count: int) -> Iterator[None]:
        """Hold so many more beside one that is taken: a request's further choices.

        Raises: Refusal: 429, or 400, when there are not so many at all.
        """
        if count >= self.most:
            raise refuse(
                400,
                f"n: {self.most} requests are answered at once here, and each choice counts",
                "unsupported_value",
                param="n",
            )
        self.take(count)
        try:
            yield
        finally:
            self.leave(count)

    async def empty(self) -> None:
        """Wait until none is taken."""
        if self.taken:
            self._empty = asyncio.Event()
            await self._empty.wait()
