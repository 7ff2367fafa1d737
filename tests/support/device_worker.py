"""Real device workers for tests: links to them, jobs for them, and who is left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.device.serving import Limits
from router.types import Message

LIMITS = Limits(linger_s=0.3)


@contextmanager
def meeting_folder() -> Iterator[Path]:
    """One whose path is short enough for a socket. Nobody may be left in it."""
    shelf = "/tmp" if Path("/tmp").is_dir() else None
    with TemporaryDirectory(prefix="fh", dir=shelf, ignore_cleanup_errors=True) as short:
        yield Path(short)
        left = [pid for pid in workers_in(Path(short)) if not gone(pid, 3.0)]
        for pid in left:
            os.kill(pid, signal.SIGTERM)
        assert left == []


def workers_in(folder: Path) -> list[int]:
    """Process ids of workers that meet in `folder`, where the platform shows them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "firsthop.device.worker" in said and f'"{folder}"' in said:
            found.append(int(entry.parent.name))
    return found


def gone(pid: int, within_s: float) -> bool:
    """Whether a process ends within so long; a zombie has ended."""
    end = time.monotonic() + within_s
    while _lives(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@asynccontextmanager
async def linked(
    model: Path, meeting: Path, limits: Limits = LIMITS, hang_s: float = 10.0, **options: Any
) -> AsyncIterator[DeviceLink]:
    """A link that is closed in the end."""
    engine = EngineOptions(folder=str(model), **{"threads": 1, **options})
    link = DeviceLink(engine, limits=limits, folder=meeting, hang_s=hang_s)
    try:
        yield link
    finally:
        await link.aclose()


def job(text: str = "Tell me.", tokens: int = 20, tenant: str | None = None) -> Job:
    """A greedy one."""
    messages = (Message(role="user", content=text),)
    return Job(messages=messages, max_output_tokens=tokens, tenant=tenant)


async def answer(
    link: DeviceLink, wanted: Job, within_s: float | None = None
) -> tuple[list[tuple[str, float]], wire.Done]:
    """Its tokens, each with its log-probability, and its end."""
    replies = [reply async for reply in link.run(wanted, within_s)]
    tokens = [(r.text, r.logprob) for r in replies if isinstance(r, wire.Token)]
    assert isinstance(replies[-1], wire.Done)
    return tokens, replies[-1]


async def jobs_there(link: DeviceLink) -> int:
    """Jobs that the worker has, running or waiting; none while it isn't up."""
    health = await link.health()
    return 0 if health is None else health.active + health.queued


async def until_jobs(link: DeviceLink, number: int, *, within_s: float = 20.0) -> float:
    """Wait until the worker has exactly so many; gives the seconds that took."""
    began = time.perf_counter()
    async with asyncio.timeout(within_s):
        while await jobs_there(link) != number:
            await asyncio.sleep(0)
    return time.perf_counter() - began
