"""Several at once on a real worker: nobody's answer mixes with another's, places come free at once,
and who can't be served in time hears so."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.device_worker import (
    answer,
    gone,
    job,
    jobs_there,
    linked,
    meeting_folder,
    until_jobs,
)
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router.device.expected import Expected
from router.device.serving import Limits
from router.errors import NotSent

LONG = 3000
FREE_S = 1.0
"""Far above the 150 ms of a quiet machine, which `benchmarks/predict.py` holds: a busy one may not
look at us for as long."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture
def runtime():
    with meeting_folder() as folder:
        yield folder


async def stopped(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@in_loop
async def test_fifty_conversations_interleaved_are_each_the_same_as_alone(tiny, runtime):
    jobs = [job(f"Number {n}. " * (1 + n % 7), 10 + n % 13) for n in range(50)]
    async with (
        linked(tiny, runtime, at_once=8) as one,
        linked(tiny, runtime, at_once=8) as other,
    ):
        alone = [await answer(one, each) for each in jobs]
        mixed = await asyncio.gather(
            *(answer((one, other)[n % 2], each) for n, each in enumerate(jobs))
        )
        health = await one.health()

    for (tokens, _), (same, _) in zip(mixed, alone, strict=True):
        assert [text for text, _ in tokens] == [text for text, _ in same]
        # Kernels for one row and for several round float32 differently.
        assert [logprob for _, logprob in tokens] == pytest.approx([p for _, p in same], abs=1e-4)
    assert len({str(tokens) for tokens, _ in alone}) > 25
    assert (health.active, health.queued, health.jobs_done) == (0, 0, 100)


@in_loop
async def test_a_short_answer_does_not_wait_for_a_long_one(tiny, runtime):
    async with linked(tiny, runtime) as link:
        long = asyncio.create_task(answer(link, job(tokens=LONG)))
        await until_jobs(link, 1)
        _, done = await answer(link, job(tokens=3))

        assert not long.done()
        assert done.queued_s < FREE_S
        await stopped(long)


@pytest.mark.parametrize("phase", ["queued", "reading", "writing"])
@in_loop
async def test_a_cancelled_request_frees_its_place_in_every_phase(tiny, runtime, phase):
    async with linked(tiny, runtime, at_once=1) as link:
        await link.start()
        others = 1 if phase == "queued" else 0
        ahead = [asyncio.create_task(answer(link, job(tokens=LONG))) for _ in range(others)]
        await until_jobs(link, others)
        text = "The sea. " * 900 if phase == "reading" else "Tell me."
        task = asyncio.create_task(answer(link, job(text, LONG)))
        await until_jobs(link, others + 1)
        task.cancel()
        took_s = await until_jobs(link, others)
        await stopped(*ahead)

    assert took_s < FREE_S


def start_client(tiny, runtime):
    return subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parents[1] / "support" / "device_client.py"),
            str(tiny),
            str(runtime),
            "tcp" if sys.platform == "win32" else "unix",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@in_loop
async def test_a_client_that_is_killed_frees_its_jobs(tiny, runtime):
    client = start_client(tiny, runtime)
    try:
        await asyncio.to_thread(client.stdout.readline)
        async with linked(tiny, runtime) as link:
            await link.start()
            client.stdin.write(f"{LONG}\n")
            client.stdin.flush()
            await until_jobs(link, 1)
            client.kill()
            took_s = await until_jobs(link, 0)
    finally:
        client.wait(10)
        client.stdin.close()
        client.stdout.close()

    assert took_s < FREE_S


@in_loop
async def test_who_can_not_be_served_in_time_hears_so_at_once(tiny, runtime):
    async with linked(tiny, runtime, at_once=1) as link:
        for n in range(8):
            await answer(link, job(f"Number {n}. " * (5 + 20 * n), 200))
        ahead = asyncio.create_task(answer(link, job(tokens=LONG)))
        await until_jobs(link, 1)
        began = time.perf_counter()
        with pytest.raises(NotSent, match="1 other requests are there") as caught:
            await answer(link, job(tokens=200), within_s=0.3)
        took_s = time.perf_counter() - began
        health = await link.health()
        await stopped(ahead)

    assert caught.value.code == "too_late"
    assert not caught.value.retryable
    assert not caught.value.reached
    assert took_s < 0.3
    assert health.turned_away == 1


@in_loop
async def test_a_deadline_that_is_far_enough_changes_nothing(tiny, runtime):
    async with linked(tiny, runtime) as link:
        plain = await answer(link, job())
        assert (await answer(link, job(), within_s=60.0))[0] == plain[0]


@in_loop
async def test_a_request_whose_time_runs_out_in_line_is_told_then(tiny, runtime):
    async with linked(tiny, runtime, at_once=1) as link:
        ahead = asyncio.create_task(answer(link, job(tokens=LONG)))  # nothing is learned yet
        await until_jobs(link, 1)
        with pytest.raises(NotSent) as caught:
            await answer(link, job(), within_s=0.5)
        assert caught.value.code == "too_late"
        await stopped(ahead)


@in_loop
async def test_a_full_line_sends_away_the_tenant_that_fills_it(tiny, runtime):
    async with linked(tiny, runtime, at_once=1, limits=Limits(linger_s=0.3, queue=4)) as link:
        ahead = asyncio.create_task(answer(link, job(tokens=300)))
        await until_jobs(link, 1)
        many = [asyncio.create_task(answer(link, job(tokens=2, tenant="greedy"))) for _ in range(6)]
        await until_jobs(link, 5)
        assert (await answer(link, job(tokens=2, tenant="modest")))[1].output_tokens == 2
        results = await asyncio.gather(*many, return_exceptions=True)
        await stopped(ahead)

    turned = [result for result in results if isinstance(result, NotSent)]
    assert len(turned) == 3
    assert {error.code for error in turned} == {"queue_full"}


@in_loop
async def test_a_forecast_knows_nothing_at_first_learns_and_is_kept_for_the_next_worker(
    tiny, runtime
):
    ask = Expected(input_tokens=50, cap=20)
    async with linked(tiny, runtime) as link:
        cold = await link.forecast(ask)
        await link.start()
        new = await link.forecast(ask)
        for n in range(8):
            await answer(link, job(f"Number {n}. " * (5 + 20 * n), 20))
        taught = await link.forecast(ask)
        pid = link.worker_pid
    assert await asyncio.to_thread(gone, pid, 5.0)
    async with linked(tiny, runtime) as link:
        again = await link.forecast(ask)

    assert (cold.loaded, cold.queue, cold.first_token_s) == (False, 0, None)
    assert (new.loaded, new.queue, new.first_token_s) == (True, 0, None)
    assert 0 < taught.first_token_s < taught.end_s < 5
    assert not again.loaded
    assert again.first_token_s > taught.first_token_s


@in_loop
async def test_a_forecast_waits_for_nobody_and_sees_the_queue(tiny, runtime):
    async with linked(tiny, runtime, at_once=1) as link:
        for n in range(8):
            await answer(link, job(f"Number {n}. " * (5 + 20 * n), 50))
        ask = Expected(input_tokens=50, cap=50)
        alone = await link.forecast(ask)
        ahead = [asyncio.create_task(answer(link, job(tokens=LONG))) for _ in range(3)]
        await until_jobs(link, 3)
        took_s, behind = 0.0, alone
        async with asyncio.timeout(5):
            while behind.queue != 3:  # said by the worker when it comes round
                began = time.perf_counter()
                behind = await link.forecast(ask)
                took_s = max(took_s, time.perf_counter() - began)
                await asyncio.sleep(0.01)
        await stopped(*ahead)
        await until_jobs(link, 0)
        async with asyncio.timeout(5):
            while (after := await link.forecast(ask)).queue:
                await asyncio.sleep(0.01)

    assert took_s < 0.2
    assert (alone.queue, behind.queue, after.queue) == (0, 3, 0)
    assert behind.first_token_s > 3 * alone.first_token_s
    assert json.dumps(after.first_token_s)


@in_loop
async def test_the_worker_says_how_many_it_has(tiny, runtime):
    async with linked(tiny, runtime, at_once=2) as link:
        tasks = [asyncio.create_task(answer(link, job(tokens=LONG))) for _ in range(3)]
        await until_jobs(link, 3)
        health = await link.health()
        await stopped(*tasks)
        await until_jobs(link, 0)

        assert (health.active, health.queued, health.running) == (2, 1, True)
        assert await jobs_there(link) == 0
