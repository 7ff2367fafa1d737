"""Places for requests that are being answered: so many at once, and one more is a 429.

A place is taken once a request's body is whole, so that nobody holds one by sending slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .wire.failure import refuse


class Places:
    """For the event loop only.

    Attributes:
        most: How many there are.
        taken: How many are taken.
    """

    __slots__ = ("_empty", "most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._empty: asyncio.Event | None = None

    def free(self, count: int = 1) -> None:
        """Raises: Refusal, 429, when not so many are free."""
        if self.taken + count > self.most:
            raise refuse(
                429,
                f"{self.taken} requests are being answered, and {self.most} is the most; ask again",
                "too_many_requests",
                retry_after_s=1.0,
            )

    def take(self, count: int = 1) -> None:
        """Take so many. Raises: Refusal, as `free` does."""
        self.free(count)
        self.taken += count

    def leave(self, count: int = 1) -> None:
        """Give so many back."""
        self.taken -= count
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
