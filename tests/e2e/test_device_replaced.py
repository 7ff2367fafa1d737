"""A worker that hangs or eats memory is noticed, replaced and reported; the policy hears of it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import time

import psutil
import pytest
from support.device_worker import (
    LIMITS,
    answer,
    gone,
    job,
    linked,
    meeting_folder,
    until_jobs,
    workers_in,
)
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router import AsyncRouter
from router.device.engine import EngineOptions
from router.device.identity import put_down, sign, still_there, unsign
from router.device.place import place_for
from router.device.serving import Limits
from router.errors import Unavailable

posix = pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")
LONG = 3000
HANG_S = 0.6


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture
def runtime():
    with meeting_folder() as folder:
        yield folder


@posix
@in_loop
async def test_a_worker_that_hangs_is_ended_and_the_next_request_has_a_new_one(
    tiny, runtime, caplog
):
    async with linked(tiny, runtime, hang_s=HANG_S) as link:
        expected, _ = await answer(link, job())
        hung = link.worker_pid
        task = asyncio.create_task(answer(link, job(tokens=LONG)))
        await until_jobs(link, 1)
        os.kill(hung, signal.SIGSTOP)
        began = time.monotonic()
        with (
            caplog.at_level(logging.WARNING, "firsthop"),
            pytest.raises(Unavailable, match="it hung: nothing came from it") as caught,
        ):
            await task
        took_s = time.monotonic() - began

        assert caught.value.retryable
        assert HANG_S / 2 <= took_s < HANG_S + 3
        assert (await answer(link, job()))[0] == expected
        assert link.worker_pid != hung
    assert gone(hung, 2.0)
    assert f"process {hung}, hung" in caplog.text


@posix
@in_loop
async def test_a_hung_worker_that_another_process_started_is_known_by_its_paper(tiny, runtime):
    async with (
        linked(tiny, runtime) as starter,
        linked(tiny, runtime, hang_s=HANG_S) as link,
    ):
        await starter.start()
        hung = starter.worker_pid
        task = asyncio.create_task(answer(link, job(tokens=LONG)))
        await until_jobs(link, 1)
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises(Unavailable, match="it was ended"):
            await task
        assert await asyncio.to_thread(gone, hung, 2.0)
        assert (await answer(link, job()))[0]


@posix
@in_loop
async def test_a_worker_that_does_not_greet_is_replaced(tiny, runtime):
    async with linked(tiny, runtime) as starter, linked(tiny, runtime, hang_s=HANG_S) as link:
        await starter.start()
        hung = starter.worker_pid
        os.kill(hung, signal.SIGSTOP)
        assert (await answer(link, job()))[0]
        assert link.worker_pid != hung
    assert gone(hung, 2.0)


@posix
@in_loop
async def test_a_replacement_that_hangs_is_noticed_while_the_old_one_works_on(tiny, runtime):
    limits = Limits(linger_s=LIMITS.linger_s, bloated_bytes=1)
    async with linked(tiny, runtime, limits=limits, hang_s=HANG_S) as link:
        await link.start()
        old = link.worker_pid
        works = asyncio.create_task(answer(link, job(tokens=LONG)))
        while link.worker_pid in (old, None):
            await answer(link, job(tokens=1))
        new = link.worker_pid
        task = asyncio.create_task(answer(link, job(tokens=LONG)))
        await until_jobs(link, 1)
        assert not works.done()
        os.kill(new, signal.SIGSTOP)
        async with asyncio.timeout(HANG_S + 5):
            with pytest.raises(Unavailable, match="it hung"):
                await task
        works.cancel()
        await asyncio.wait([works])
    assert gone(new, 2.0)
    assert gone(old, 3.0)


@posix
@in_loop
async def test_a_worker_that_only_pauses_is_left_alone(tiny, runtime):
    async with linked(tiny, runtime, hang_s=5.0) as link:
        await link.start()
        pid = link.worker_pid
        task = asyncio.create_task(answer(link, job(tokens=200)))
        await until_jobs(link, 1)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGCONT)
        assert (await task)[1].output_tokens == 200
        assert link.worker_pid == pid


def test_only_the_process_that_signed_is_ever_ended(tiny, runtime):
    options = EngineOptions(folder=str(tiny), threads=1)
    place = place_for(options, folder=runtime)
    assert put_down(place) is None
    sign(place)
    assert put_down(place) is None  # it is us, and we are no worker
    place.paper.write_text(json.dumps({"pid": os.getppid(), "started": 1.0}))
    assert put_down(place) is None
    place.paper.write_text("{")
    assert put_down(place) is None
    sign(place)
    unsign(place)
    assert not place.paper.exists()


@in_loop
async def test_it_is_known_whether_an_older_worker_of_the_place_lives(tiny, runtime):
    place = place_for(EngineOptions(folder=os.path.realpath(tiny), threads=1), folder=runtime)
    assert not still_there(place)
    async with linked(tiny, runtime) as link:
        await link.start()
        pid = link.worker_pid
        assert still_there(place)
        paper = place.paper.read_bytes()
    assert await asyncio.to_thread(gone, pid, 5.0)
    place.paper.write_bytes(paper)
    assert not still_there(place)
    sign(place)
    assert not still_there(place)  # it is us


@pytest.mark.skipif(sys.platform != "linux", reason="files with holes")
@in_loop
async def test_who_finds_no_room_waits_for_the_worker_that_leaves(tiny, runtime, tmp_path):
    large = shutil.copytree(tiny, tmp_path / "large")
    with (large / "more.onnx.data").open("wb") as file:
        file.truncate(1 << 43)
    options = EngineOptions(folder=os.path.realpath(large), threads=1)
    idles = [sys.executable, "-c", "import time; time.sleep(60)", "firsthop.device.worker"]
    async with linked(large, runtime) as link:
        leaving = await asyncio.create_subprocess_exec(*idles)
        started = psutil.Process(leaving.pid).create_time()
        paper = {"pid": leaving.pid, "started": started}
        place_for(options, folder=runtime).paper.write_text(json.dumps(paper))
        start = asyncio.create_task(link.start())
        await asyncio.wait([start], timeout=2.0)
        waited = not start.done()
        leaving.kill()
        await leaving.wait()
        with pytest.raises(Unavailable, match="free") as caught:
            await start

    assert waited
    assert caught.value.code == "no_memory"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read on Linux only")
@in_loop
async def test_a_worker_that_holds_too_much_memory_makes_room_for_a_fresh_one(tiny, runtime):
    limits = Limits(linger_s=LIMITS.linger_s, bloated_bytes=1)
    async with linked(tiny, runtime, limits=limits) as link, linked(tiny, runtime) as idle:
        expected, _ = await answer(link, job())
        await idle.start()
        first = link.worker_pid
        long = asyncio.create_task(answer(link, job(tokens=400)))
        seen = set()
        for _ in range(40):
            assert (await answer(link, job()))[0] == expected
            seen.add(link.worker_pid)
        assert len((await long)[0]) == 400
        assert (await answer(idle, job()))[0] == expected

    assert len(seen) >= 2
    assert gone(first, 3.0)


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
@in_loop
async def test_a_device_that_keeps_failing_is_left_alone_and_the_trace_says_so(
    tiny, runtime, tmp_path, monkeypatch
):
    """Its workers are killed at every request. The policy sends what it can to the next tier, and
    after five failures in a row doesn't ask the device at all."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    path = tmp_path / "firsthop.yaml"
    path.write_text(json.dumps(_config(tiny, tmp_path)))
    stop = asyncio.Event()
    async with AsyncRouter(str(path)) as router:
        killer = asyncio.create_task(_kill_all(runtime, stop))
        answers = [await router.ask(f"Number {n}?") for n in range(8)]
        stop.set()
        await killer
        health = router.health()["device"]

    assert all(found.hops[-1].target == "cloud" for found in answers)
    first = answers[0].hops[0]
    assert (first.target, first.attempts[0].error_kind) == ("device", "unavailable")
    assert health.breaker == "open"
    assert [hop.target for hop in answers[-1].hops] == ["cloud"]
    assert "open" in answers[-1].explain()
    print(answers[-1].explain())


async def _kill_all(folder, stop):
    """Kill each worker as soon as it listens, so that what it does fails."""
    while not stop.is_set():
        for pid in workers_in(folder / "firsthop"):
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue
        await asyncio.sleep(0.02)


def _config(tiny, tmp_path):
    return {
        "version": 1,
        "policy": "demo",
        "targets": {
            "device": {
                "tier": "device",
                "provider": "device",
                "model": str(tiny),
                "max_output_tokens": 8,
                "options": {"threads": 1},
            },
            "cloud": {
                "tier": "cloud",
                "provider": "scripted",
                "model": "stand-in",
                "options": {"steps": [{"text": "from the cloud"}]},
            },
        },
        "ledger": {"folder": str(tmp_path / "ledger")},
    }
