"""Several choices to one question: each goes down the street by itself, all at the same time.

Comes in: the request. Goes out: one for each choice, a decision of its own, and what comes of them,
as it comes. Each is bound by the policy; what the caller said of dollars is for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from ..hops import Outcome
from ..money import EXACT
from ..types import Chunk, Request

REQUEST_TAG, CHOICE_TAG = "firsthop_request", "firsthop_choice"
"""The ledger's tags of each choice: the first one's decision, and which choice it is, from 0."""

_MOST_SEED = 2**63 - 1
_LEAST_USD = Decimal("1e-9")
_AHEAD = 4


def requests(request: Request, ids: Sequence[str]) -> list[Request]:
    """The same for each choice, with a seed of its own and an even part of the dollars."""
    count = len(ids)
    cost, seed = request.cost_usd, request.seed
    if cost is not None:
        cost = part(cost, count)
    if seed is not None:
        seed = min(seed, _MOST_SEED - count + 1)
    return [
        replace(
            request,
            seed=None if seed is None else seed + i,
            cost_usd=cost,
            tags={**request.tags, REQUEST_TAG: ids[0], CHOICE_TAG: str(i)},
        )
        for i in range(count)
    ]


def part(usd: Decimal, count: int) -> Decimal:
    """Dollars for each of so many, rounded down: together never more than there are."""
    each = EXACT.divide(usd, Decimal(count))
    return each.quantize(_LEAST_USD, ROUND_DOWN, EXACT)


async def run(
    runs: Sequence[AsyncGenerator[Chunk | Outcome, None]],
) -> AsyncGenerator[tuple[int, Chunk | Outcome], None]:
    """What all of them give, as it comes, each with its number.

    Nobody runs far ahead of who reads. When one fails, or the reader leaves, all the others stop,
    and they have stopped when this has ended.

    Raises: what the one that fails first raises.
    """
    came: asyncio.Queue[tuple[int, Chunk | Outcome] | asyncio.Task[None]] = asyncio.Queue()
    ahead = asyncio.Semaphore(_AHEAD * len(runs))

    async def go(number: int, run: AsyncGenerator[Chunk | Outcome, None]) -> None:
        async with aclosing(run):
            async for item in run:
                await ahead.acquire()
                came.put_nowait((number, item))

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(go(number, run)) for number, run in enumerate(runs)]
    for task in tasks:
        task.add_done_callback(came.put_nowait)
    left = len(tasks)
    try:
        while left:
            item = await came.get()
            if isinstance(item, asyncio.Task):
                left -= 1
                item.result()
            else:
                ahead.release()
                yield item
    finally:
        for task in tasks:
            task.cancel()
        again: asyncio.CancelledError | None = None
        while not all(task.done() for task in tasks):
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError as exc:  # they are booked first
                again = exc
        for task in tasks:
            if not task.cancelled():
                task.exception()  # of two that failed, the second is told by the ledger alone
        if again is not None:
            raise again
