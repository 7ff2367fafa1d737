"""Sends N requests through the whole street: `street_driver.py CONFIG N`."""

from __future__ import annotations

import asyncio
import sys

from firsthop import AsyncRouter

AT_ONCE = 20


async def main(config: str, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async with AsyncRouter(config) as router:

        async def one(number: int) -> None:
            async with gate:
                await router.ask(f"question {number}: {'sure' if number % 3 else 'hm'}")

        await asyncio.gather(*(one(number) for number in range(count)))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
