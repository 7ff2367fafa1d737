"""Manners end to end: a worker that leaves when idle, and a model that finds no room."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.device.serving import Limits
from router.errors import Unavailable
from router.types import Message

JOB = Job(messages=(Message(role="user", content="Tell me."),), max_output_tokens=5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture
def runtime() -> Iterator[Path]:
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    yield Path(short)
    shutil.rmtree(short, ignore_errors=True)


@asynccontextmanager
async def linked(tiny: Path, runtime: Path, limits: Limits) -> AsyncIterator[DeviceLink]:
    link = DeviceLink(EngineOptions(folder=str(tiny), threads=1), limits=limits, folder=runtime)
    try:
        yield link
    finally:
        await link.aclose()


async def tokens(link: DeviceLink) -> int:
    return len([r async for r in link.run(JOB) if isinstance(r, wire.Token)])


async def left(link: DeviceLink) -> None:
    async with asyncio.timeout(20):
        while link.worker_pid is not None:
            await asyncio.sleep(0.01)


@in_loop
async def test_an_idle_worker_leaves_and_the_next_request_starts_another(
    tiny: Path, runtime: Path
) -> None:
    async with linked(tiny, runtime, Limits(linger_s=0.3, idle_s=0.5)) as link:
        pids = []
        for _ in range(4):  # more often than a worker may crash
            assert await tokens(link) == 5
            pids.append(link.worker_pid)
            await left(link)

        assert len(set(pids)) == 4
        assert link._last_crash == ""
        assert await link.health() is None


@in_loop
async def test_two_clients_are_both_told_and_share_the_next_worker(
    tiny: Path, runtime: Path
) -> None:
    limits = Limits(linger_s=0.3, idle_s=0.5)
    async with linked(tiny, runtime, limits) as one, linked(tiny, runtime, limits) as other:
        assert (await tokens(one), await tokens(other)) == (5, 5)
        await asyncio.gather(left(one), left(other))
        assert await asyncio.gather(tokens(one), tokens(other)) == [5, 5]
        assert one.worker_pid == other.worker_pid


@in_loop
async def test_a_model_that_finds_no_room_is_refused_before_it_loads(
    tiny: Path, runtime: Path
) -> None:
    async with linked(tiny, runtime, Limits(linger_s=0.3, memory_bytes=50_000_000)) as link:
        with pytest.raises(Unavailable, match="memory_limit is 50 MB") as caught:
            await link.start()

    assert (caught.value.retryable, caught.value.code) == (False, "no_memory")
