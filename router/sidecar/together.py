"""A worker among others: how many requests all of them answer, and the metrics of all.

Comes in: this worker's own numbers. Goes out: those of the whole server. Without a board there is
nobody else, and they are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from . import summed
from .board import Board
from .exposition import lines
from .pulse import BEAT_S

log = logging.getLogger("firsthop.sidecar")

EVERY_S = 1.0
"""Between two times that a worker lays out its metrics; a worker that is killed takes with it
what it counted since."""


class Together:
    """What this process shares, if it is a worker; else nothing.

    Attributes:
        active: Requests that this process is answering.
        alone: Whether it shares with nobody; then `active` is all there is to know.
    """

    def __init__(self, board: Board | None = None) -> None:
        """Alone without a `board`."""
        self.active = 0
        self.alone = board is None
        self._board = board

    def busy(self) -> int:
        """How many requests all workers are answering."""
        board = self._board
        return self.active if board is None else sum(row.active for row in board.rows())

    def enter(self, most: int, count: int = 1) -> bool:
        """Begin so many more requests, or none if all workers would have more than `most` then.

        It is said first and looked at then, so that two workers can't both take the last place.
        """
        self._add(count)
        if self.busy() <= most:
            return True
        self.leave(count)
        return False

    def leave(self, count: int = 1) -> None:
        """So many have ended."""
        self._add(-count)

    def _add(self, count: int) -> None:
        self.active += count
        if self._board is not None:
            self._board.tell(self.active)

    def who(self) -> dict[str, Any]:
        """Which worker this is, for `/healthz`. Empty: the only one."""
        if self._board is None:
            return {}
        return {
            "worker": {
                "number": self._board.number,
                "of": self._board.workers,
                "process": os.getpid(),
            }
        }

    def missing(self) -> list[str]:
        """Which workers do not answer, for `/readyz`."""
        if self._board is None:
            return []
        return [f"worker {number}: it is not up" for number in self._board.missing()]

    def whole(self, own: str) -> str:
        """This worker's metrics with all others'."""
        board = self._board
        if board is None:
            return own
        board.publish(own)  # so that no counter goes back when another worker is asked next
        texts = board.texts()
        others = [text for number, text in enumerate(texts) if number != board.number]
        up = lines(
            "firsthop_workers", "gauge", "Workers that answer.",
            (), [((), board.workers - len(board.missing()))],
        )  # fmt: skip
        ends = lines(
            "firsthop_worker_ends_total", "counter", "Workers that were replaced, by reason.",
            ("reason",), [((reason,), count) for reason, count in board.ends._asdict().items()],
        )  # fmt: skip
        return summed.total([own, *others]) + "".join(f"{line}\n" for line in (*up, *ends))

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Meanwhile the supervisor sees that this process's event loop comes round."""
        if self._board is None:
            yield
            return
        beating = asyncio.create_task(_beat(self._board))
        try:
            yield
        finally:
            beating.cancel()

    @contextlib.asynccontextmanager
    async def shown(self, own: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
        """Meanwhile the others are shown this worker's metrics, as they are every second."""
        if self._board is None:
            yield
            return
        showing = asyncio.create_task(self._show(self._board, own))
        try:
            yield
        finally:
            showing.cancel()

    async def _show(self, board: Board, own: Callable[[], Awaitable[str]]) -> None:
        while True:
            try:
                board.publish(await own())
            except Exception:  # the task's door: what is told next must not suffer for it
                log.exception("this worker's metrics could not be told to the others")
            await asyncio.sleep(EVERY_S)


async def _beat(board: Board) -> None:
    while True:
        board.beat()
        await asyncio.sleep(BEAT_S)
