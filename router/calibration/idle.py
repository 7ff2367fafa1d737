"""Whether the machine has nothing else to do: an empty device, a quiet processor, mains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

QUIET = 0.25
"""Share of the processors in use below which the machine is quiet."""


class Worker(Protocol):
    """What is asked of the device's worker; see `device.wire.Healthy`."""

    @property
    def running(self) -> bool: ...

    @property
    def queued(self) -> int: ...


async def idle(
    health: Callable[[], Awaitable[Worker | None]],
    used: Callable[[], float],
    on_mains: Callable[[], bool | None],
) -> bool:
    """Whether now is a good time.

    Args:
        health: How the worker is. None: it is not up, so nobody waits for it.
        used: Share of the processors in use; blocks, so it is asked in a thread; likewise
            `on_mains`. A plug nobody knows of counts as plugged in.
    """
    worker = await health()
    if worker is not None and (worker.running or worker.queued):
        return False
    if await asyncio.to_thread(on_mains) is False:
        return False
    return await asyncio.to_thread(used) < QUIET
