"""A hop read as an async generator, so that a test can leave it half-way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from router.drive.attempt import HopRun
from router.drive.reading import Reading
from router.types import Chunk


async def pieces(run: HopRun, release: Callable[[Reading], bool]) -> AsyncGenerator[Chunk, None]:
    """What `run` gives; closing it closes the hop."""
    try:
        while (chunk := await run.next(release)) is not None:
            yield chunk
    finally:
        await run.aclose()
