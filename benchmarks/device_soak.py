"""Thousands of short requests to one worker: does anything grow, is anything left behind?

    python benchmarks/device_soak.py --requests 10000 --json soak.json

Several clients in this process, as apps would: answers, answers broken off after their first token,
prompts that are too long, sampled ones, conversations that go on. Looked at now and then, while
nothing runs: resident memory, open descriptors, threads and children of the worker; descriptors and
tasks of this process; shared memory that the worker maps, where Linux shows it. Memory is the mean
of the last tenth of the looks over that of the first tenth after the warm-up. At the end all
clients leave; the worker has to be gone soon, and what it shared with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import psutil
from common import conditions, parser, write

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.errors import Incapable
from router.models import Store
from router.types import Message

CLIENTS = 4
LOOKS = 50
GONE_S = 10.0
ANSWER_S = 120.0
SHARED = "/dev/shm/"
GROWTH = 1.05
CONTEXT = 512
KINDS = ("answer", "sampled", "conversation", "cancelled", "too_long")
WEIGHTS = (5, 2, 2, 2, 1)
WORDS = ("sea", "dog", "lamp", "key", "rain", "train", "fox", "bread", "moon", "door")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is open while nothing runs.

    Attributes:
        done: Requests so far.
        memory_bytes: Resident memory of the worker.
        descriptors: Of the worker; handles on Windows.
        ours: Descriptors of this process.
    """

    done: int
    memory_bytes: int
    descriptors: int
    threads: int
    children: int
    ours: int
    tasks: int


def main() -> int:
    args = _arguments()
    began_with = conditions("onnxruntime-genai", "onnxruntime", "msgspec")
    figures = asyncio.run(_soak(args, str(Store().find(args.model).path)))
    print(_text(figures))
    write(args.json, began_with, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--requests", type=int, default=10_000)
    made.add_argument("--warm-up", type=int, help="requests of it; a tenth, if not said")
    made.add_argument("--tokens", type=int, default=6, help="of each answer, at most")
    made.add_argument("--keep-mb", type=int, default=64, help="for prompts that are kept")
    made.add_argument("--threads", type=int, default=1, help="inside one operator")
    made.add_argument("--seed", type=int, default=0)
    return made.parse_args()


def _options(args: argparse.Namespace, folder: str) -> EngineOptions:
    """What an engine keeps of prompts is bounded; here so low that it is full after the warm-up."""
    bounds = {"keep_bytes": args.keep_mb << 20}
    known = {field.name for field in fields(EngineOptions)}  # an engine may keep nothing at all
    options = EngineOptions(folder=folder, threads=args.threads, context_limit=CONTEXT)
    return replace(options, **{name: value for name, value in bounds.items() if name in known})


async def _soak(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    options = _options(args, folder)
    links = [DeviceLink(options) for _ in range(CLIENTS)]
    shared: set[str] = set()
    counts = dict.fromkeys(KINDS, 0)
    looks: list[Look] = []
    worker = None
    try:
        await links[0].start()
        for link in links:
            await link.start()
        pids = {link.worker_pid for link in links}
        pid = links[0].worker_pid
        assert pid is not None, "the worker is up"
        worker = psutil.Process(pid)
        began = time.perf_counter()
        rounds = _rounds(args)
        every = max(1, len(rounds) // LOOKS)
        done = 0
        for number, plan in enumerate(rounds):
            await asyncio.gather(
                *(_one(link, *each) for link, each in zip(links, plan, strict=False))
            )
            done += len(plan)
            for kind, _, _ in plan:
                counts[kind] += 1
            if number % every == every - 1:
                looks.append(_look(worker, done))
                shared |= _shared(worker)
                pids |= {link.worker_pid for link in links}
        seconds = time.perf_counter() - began
    finally:
        for link in links:
            await link.aclose()
    gone_s = await _gone(worker)
    left = sorted(filter(os.path.exists, shared))
    warm_up = args.requests // 10 if args.warm_up is None else args.warm_up
    return _figures(counts, looks, warm_up, seconds, pids, gone_s, left)


def _rounds(args: argparse.Namespace) -> list[list[tuple[str, int, int]]]:
    """What each client asks for in each round: kind, number, tokens."""
    dice = random.Random(args.seed)
    drawn = dice.choices(KINDS, WEIGHTS, k=args.requests)
    jobs = [(kind, number, args.tokens) for number, kind in enumerate(drawn)]
    return [jobs[at : at + CLIENTS] for at in range(0, len(jobs), CLIENTS)]


async def _one(link: DeviceLink, kind: str, number: int, tokens: int) -> None:
    dice = random.Random(number)
    text = " ".join(dice.choices(WORDS, k=dice.randint(1, 30)))
    messages: tuple[Message, ...] = (Message(role="user", content=f"{number}: {text}"),)
    if kind == "conversation":
        messages += (Message(role="assistant", content=text), Message(role="user", content="More."))
    elif kind == "too_long":
        messages = (Message(role="user", content=" ".join(WORDS * (CONTEXT // len(WORDS) + 1))),)
    job = Job(
        messages=messages,
        max_output_tokens=tokens,
        temperature=0.8 if kind == "sampled" else None,
        seed=number if kind == "sampled" else None,
    )
    try:
        async with asyncio.timeout(ANSWER_S), aclosing(link.run(job)) as replies:
            async for reply in replies:
                if kind == "cancelled" and isinstance(reply, wire.Token):
                    break
    except Incapable:
        if kind != "too_long":
            raise
    else:
        assert kind != "too_long", "a prompt past the limit was answered"


def _look(worker: psutil.Process, done: int) -> Look:
    return Look(
        done=done,
        memory_bytes=worker.memory_info().rss,
        descriptors=_open(worker),
        threads=worker.num_threads(),
        children=len(worker.children(recursive=True)),
        ours=_open(psutil.Process()),
        tasks=len(asyncio.all_tasks()),
    )


def _open(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


def _shared(worker: psutil.Process) -> set[str]:
    """Files in shared memory that the worker maps. None are seen where it isn't a folder."""
    if sys.platform != "linux":
        return set()
    return {each.path for each in worker.memory_maps() if each.path.startswith(SHARED)}


async def _gone(worker: psutil.Process | None) -> float | None:
    """Seconds until the worker had ended. None: it hasn't, in time."""
    began = time.perf_counter()
    while worker is not None and time.perf_counter() - began < GONE_S:
        if not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE:
            return time.perf_counter() - began
        await asyncio.sleep(0.05)
    return None


def _figures(
    counts: dict[str, int],
    looks: list[Look],
    warm_up: int,
    seconds: float,
    pids: set[int | None],
    gone_s: float | None,
    left: list[str],
) -> dict[str, Any]:
    tenth = max(1, len(looks) // 10)
    first = sum(look.done <= warm_up for look in looks)
    warm, last = looks[first : first + tenth], looks[-tenth:]
    growth = _mean(last) / _mean(warm)
    holds = {
        "memory_flat": growth <= GROWTH,
        "one_worker": len(pids) == 1,
        "worker_gone": gone_s is not None,
        "no_child": all(look.children == 0 for look in looks),
        "descriptors_flat": last[-1].descriptors <= warm[0].descriptors,
        "threads_flat": last[-1].threads <= warm[0].threads,
        "own_descriptors_flat": last[-1].ours <= warm[0].ours,
        "own_tasks_flat": last[-1].tasks <= warm[0].tasks,
        "no_shared_memory": not left,
    }
    return {
        "requests": sum(counts.values()),
        "kinds": counts,
        "requests_per_s": sum(counts.values()) / seconds,
        "memory_warm_bytes": _mean(warm),
        "memory_last_bytes": _mean(last),
        "memory_most_bytes": max(look.memory_bytes for look in looks),
        "memory_growth": growth,
        "gone_s": gone_s,
        "shared_left": left,
        "looks": [asdict(look) for look in looks],
        "holds": holds,
    }


def _mean(looks: list[Look]) -> float:
    return statistics.fmean(look.memory_bytes for look in looks)


def _text(figures: dict[str, Any]) -> str:
    first, last = figures["looks"][0], figures["looks"][-1]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in figures["kinds"].items())
    gone = figures["gone_s"]
    lines = [
        f"requests     {figures['requests']:,}, {figures['requests_per_s']:.1f} a second: {kinds}",
        f"memory       {figures['memory_warm_bytes'] / 1e6:.1f} MB warm, "
        f"{figures['memory_last_bytes'] / 1e6:.1f} at the end, "
        f"ratio {figures['memory_growth']:.3f}, at most {figures['memory_most_bytes'] / 1e6:.1f}",
        f"descriptors  worker {first['descriptors']} to {last['descriptors']}, "
        f"here {first['ours']} to {last['ours']}",
        f"threads      worker {first['threads']} to {last['threads']}",
        f"worker       {'still there' if gone is None else f'gone after {gone:.1f} s'}",
    ]
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
