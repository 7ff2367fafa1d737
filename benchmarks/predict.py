"""How well the device knows beforehand when an answer begins and ends.

    python benchmarks/predict.py --model smollm2-135m --json predict.json

Requests of mixed lengths go through a real worker, alone and by several clients at once, so that
there is a queue. Before each one is sent the link is asked for its forecast, as the signals
`device.first_token_s` and `device.end_s` are; afterwards it is held against what came. The first
requests teach and don't count. The end is judged for the tokens the answer then had: its cap is
what it is asked for, and an answer that ended before its cap leaves its end out.

On a machine that does other work, wall-clock time says more about that work than about the
prediction. With ``--clock cpu`` the same jobs, scheduler and predictor run in this process, on a
clock that counts the processor time it was given: what an idle machine would show, and repeatable.

It also prints what the forecast costs, idle and while the worker reads, and how long a cancelled
request holds its place in each phase.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import conditions, parser, write

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.expected import Expected
from router.device.link import DeviceLink
from router.models import Store
from router.types import Message

WORDS = (
    "river",
    "stone",
    "lamp",
    "quiet",
    "window",
    "paper",
    "garden",
    "winter",
    "letter",
    "horse",
)
WITHIN, SHARE = 0.25, 0.8
LEARN = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: what was foretold, and what came. Seconds."""

    queue: int
    input_tokens: int
    output_tokens: int
    cap: int
    told_first_s: float | None
    told_end_s: float | None
    first_s: float
    end_s: float


def main() -> int:
    args = _arguments()
    said = conditions("onnxruntime-genai", "onnxruntime", "numpy", "msgspec")
    with tempfile.TemporaryDirectory(prefix="fh") as short:
        os.environ["FIRSTHOP_HOME"] = short  # what other runs learned must not help
        if args.clock == "cpu":
            figures = _on_cpu_clock(args)
        else:
            figures = asyncio.run(_all(args, Path(short)))
    print(_text(figures))
    write(args.json, said, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--requests", type=int, default=200, help="judged, alone and with a queue")
    made.add_argument("--clients", type=int, default=4, help="at once, for the queue")
    made.add_argument("--at-once", type=int, default=4, help="that the worker runs by turns")
    made.add_argument("--threads", type=int, help="inside one operator")
    made.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="see above")
    made.add_argument("--seed", type=int, default=1)
    return made.parse_args()


async def _all(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    options = EngineOptions(
        folder=str(Store().find(args.model).path), threads=args.threads, at_once=args.at_once
    )
    links = [DeviceLink(options, folder=folder / "meet") for _ in range(args.clients)]
    try:
        for link in links:
            await link.start()
        draw = random.Random(args.seed)
        figures = {
            "alone": await _requests("alone", links[:1], draw, args.requests),
            "with_a_queue": await _requests("with a queue", links, draw, args.requests),
            "forecast": await _cost(links),
            "cancel": await _cancels(links),
        }
    finally:
        for link in links:
            await link.aclose()
    figures["holds"] = _verdict(figures) | {
        "a cancelled request frees its place within 150 ms, in every phase": all(
            phase["median_ms"] <= 150 for phase in figures["cancel"].values()
        )
    }
    return figures


def _verdict(figures: dict[str, Any]) -> dict[str, bool]:
    return {
        f"{what} within {WITHIN:.0%} for {SHARE:.0%}, {where.replace('_', ' ')}": (
            figures[where][what]["share_within"] >= SHARE
        )
        for where in ("alone", "with_a_queue")
        for what in ("first_token", "end")
    }


def _on_cpu_clock(args: argparse.Namespace) -> dict[str, Any]:
    """Alone and with a queue, without sockets."""
    from predict_here import Here

    folder = str(Store().find(args.model).path)
    here = Here(EngineOptions(folder=folder, threads=args.threads or 1, at_once=args.at_once))
    draw = random.Random(args.seed)
    figures: dict[str, Any] = {}
    for name, clients in (("alone", 1), ("with_a_queue", args.clients)):
        jobs = [_job(draw) for _ in range(LEARN + args.requests)]
        told = here.run(jobs, clients)
        figures[name] = _judged([Seen(*one) for one in told][LEARN:])
        print(_about(name.replace("_", " "), figures[name]), flush=True)
    return figures | {"holds": _verdict(figures)}


async def _requests(
    name: str, links: list[DeviceLink], draw: random.Random, number: int
) -> dict[str, Any]:
    """So many requests and some to learn from before, each client's next one as soon as its last
    is over."""
    jobs = iter([_job(draw) for _ in range(LEARN + number)])
    seen: list[Seen] = []

    async def client(link: DeviceLink) -> None:
        for job in jobs:
            if (one := await _request(link, job)) is not None:
                seen.append(one)

    await asyncio.gather(*(client(link) for link in links))
    found = _judged(seen[LEARN:])
    print(_about(name, found), flush=True)
    return found


def _job(draw: random.Random) -> Job:
    words = int(20 * 40 ** draw.random()) - 10
    text = " ".join(draw.choice(WORDS) for _ in range(max(1, words)))
    return Job(
        messages=(Message(role="user", content=f"Write a long story with: {text}"),),
        max_output_tokens=draw.randint(5, 120),
    )


async def _request(link: DeviceLink, job: Job) -> Seen | None:
    counted = await link.count_tokens(job.messages)
    cap = job.max_output_tokens
    told = await link.forecast(Expected(input_tokens=counted, cap=cap, output_tokens=cap))
    began, first = time.perf_counter(), 0.0
    async for reply in link.run(job):
        if isinstance(reply, wire.Token):
            first = first or time.perf_counter()
        else:
            return Seen(
                told.queue or 0,
                reply.input_tokens,
                reply.output_tokens,
                cap,
                told.first_token_s,
                told.end_s,
                first - began,
                time.perf_counter() - began,
            )
    return None


def _judged(seen: list[Seen]) -> dict[str, Any]:
    whole = [one for one in seen if one.output_tokens == one.cap]
    return {
        "requests": len(seen),
        "queue_mean": statistics.mean(one.queue for one in seen),
        "first_token": _errors([(one.told_first_s, one.first_s) for one in seen]),
        "end": _errors([(one.told_end_s, one.end_s) for one in whole]),
        "all": [
            (o.queue, o.input_tokens, o.cap, o.told_first_s, o.first_s, o.told_end_s, o.end_s)
            for o in seen
        ],
    }


def _errors(pairs: list[tuple[float | None, float]]) -> dict[str, Any]:
    off = [abs(told - came) / came for told, came in pairs if told is not None]
    bias = [(told - came) / came for told, came in pairs if told is not None]
    return {
        "judged": len(pairs),
        "unknown": len(pairs) - len(off),
        "share_within": sum(error <= WITHIN for error in off) / len(pairs),
        "median_error": statistics.median(off),
        "median_bias": statistics.median(bias),
        "median_s": statistics.median(came for _, came in pairs),
    }


async def _cost(links: list[DeviceLink]) -> dict[str, float]:
    """What asking costs, while nothing goes on and while a long prompt is read."""
    ask = Expected(input_tokens=200, cap=100)

    async def ask_often() -> list[float]:
        took = []
        for _ in range(50):
            began = time.perf_counter()
            await links[0].forecast(ask)
            took.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0.01)
        return took

    idle = await ask_often()
    job = _long(1)
    reading = [asyncio.create_task(_drain(link, job)) for link in links[1:]]
    await asyncio.sleep(0.05)
    busy = await ask_often()
    await asyncio.gather(*reading)
    return {
        "idle_median_ms": statistics.median(idle),
        "idle_longest_ms": max(idle),
        "busy_median_ms": statistics.median(busy),
        "busy_longest_ms": max(busy),
    }


def _long(tokens: int) -> Job:
    text = "The quick brown fox jumps over the lazy dog. " * 80
    return Job(messages=(Message(role="user", content=text),), max_output_tokens=tokens)


async def _drain(link: DeviceLink, job: Job) -> None:
    async for _ in link.run(job):
        pass


async def _cancels(links: list[DeviceLink]) -> dict[str, dict[str, float]]:
    """Milliseconds from a cancel until the worker says it has one job less."""
    found: dict[str, list[float]] = {"queued": [], "reading": [], "writing": []}
    link, watcher = links[0], links[-1]
    for phase, took in found.items():
        for _ in range(10):
            others = []
            if phase == "queued":
                others = [
                    asyncio.create_task(_drain(link, _long(400)))
                    for _ in range(link.options.at_once)
                ]
                await asyncio.sleep(0.3)
            job = _long(400)
            if phase == "writing":
                job = Job(
                    messages=(Message(role="user", content="Tell me a story."),),
                    max_output_tokens=400,
                )
            task = asyncio.create_task(_drain(link, job))
            await asyncio.sleep(0.4 if phase == "writing" else 0.15)
            before = await _jobs(watcher)
            began = time.perf_counter()
            task.cancel()
            await _until(watcher, before - 1)
            took.append((time.perf_counter() - began) * 1e3)
            for other in others:
                other.cancel()
            await asyncio.gather(task, *others, return_exceptions=True)
            await _until(watcher, 0)
    return {
        phase: {"median_ms": statistics.median(took), "longest_ms": max(took)}
        for phase, took in found.items()
    }


async def _jobs(link: DeviceLink) -> int:
    health = await link.health()
    return 0 if health is None else health.active + health.queued


async def _until(link: DeviceLink, jobs: int) -> None:
    """Wait until the worker has no more than so many; the questions themselves take the time."""
    while await _jobs(link) > jobs:
        pass


def _about(name: str, found: dict[str, Any]) -> str:
    lines = [f"{name}: {found['requests']} requests, {found['queue_mean']:.1f} before each"]
    for what in ("first_token", "end"):
        one = found[what]
        lines.append(
            f"  {what:12} within {WITHIN:.0%}: {one['share_within']:.1%} of {one['judged']}, "
            f"median error {one['median_error']:.1%}, bias {one['median_bias']:+.1%}, "
            f"median {one['median_s']:.2f} s, unknown {one['unknown']}"
        )
    return "\n".join(lines)


def _text(figures: dict[str, Any]) -> str:
    lines = []
    if cost := figures.get("forecast"):
        lines.append(
            f"a forecast   idle {cost['idle_median_ms']:.2f} ms "
            f"(most {cost['idle_longest_ms']:.2f}), "
            f"worker busy {cost['busy_median_ms']:.2f} ms (most {cost['busy_longest_ms']:.2f})"
        )
    for phase, one in figures.get("cancel", {}).items():
        lines.append(
            f"cancelled while {phase:8} place free after {one['median_ms']:.0f} ms "
            f"(most {one['longest_ms']:.0f})"
        )
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
