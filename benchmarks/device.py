"""What the worker process costs: the device through it, against the bare loop in the same run.

    python benchmarks/device.py --model smollm2-135m --json device.json

The bare loop is `bare_loop.py`, in a process of its own; through the worker means through the
provider, `Device.stream`. There are two bare loops: the worker is compared with their mean, and how
far the two equal ones are apart shows what this machine can resolve. All take turns, in an order
that rotates, so that what else happens on the machine hits all; ratios and differences are taken
round by round, and their medians are what counts, with a 95 % interval by bootstrap. Beside it
stands what the first token costs a bare loop that reads the whole prompt at once and can't be
cancelled.

Reading a long prompt takes seconds, and two equal loops may differ by more than the bound. The
verdict is on the comparison all the same. Beside it stands what the process adds, measured
directly: the time from asking to the first token, less the time the engine itself took for it by
the worker's own clock.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from bare_loop import CHUNK, Bare, Run, peak_bytes, run_of
from common import conditions, parser, write

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.models import Store
from router.providers.base import Target
from router.providers.device import Device, build
from router.types import Ask, Message

STORY = "Write a long story about a lighthouse, an old dog and the sea."
FILLER = "The quick brown fox jumps over the lazy dog. "
LENGTHS = (300, 900)
WHOLE = 1 << 20
TICK_S = 0.001
LIMITS = {"decode_ratio": 0.95, "first_token_ms": 15.0, "loop_gap_ms": 25.0}


def main() -> int:
    args = _arguments()
    said = conditions("onnxruntime-genai", "onnxruntime", "numpy", "msgspec")
    folder = str(Store().find(args.model).path)
    figures = asyncio.run(_compare(args, folder))
    print(_text(figures))
    write(args.json, said, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--rounds", type=int, default=15, help="repetitions of each comparison")
    made.add_argument(
        "--reads", type=int, default=60, help="repetitions of each comparison of first tokens"
    )
    made.add_argument("--tokens", type=int, default=128, help="tokens of each answer")
    made.add_argument("--threads", type=int, help="inside one operator")
    made.add_argument("--spinning", action="store_true", help="let idle threads spin")
    return made.parse_args()


async def _through(device: Device, prompt: str, tokens: int) -> Run:
    ask = Ask(
        attempt_id="benchmark",
        messages=(Message(role="user", content=prompt),),
        max_output_tokens=tokens,
    )
    began = time.perf_counter()
    times = [time.perf_counter() async for chunk in device.stream(ask) if chunk.tokens]
    return run_of(began, times)


class Gaps:
    """The longest time an event loop didn't come round."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self._tick())
        try:
            yield
        finally:
            task.cancel()

    async def _tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last)
            last = now


async def _compare(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    options = EngineOptions(folder=folder, threads=args.threads, spinning=args.spinning)
    target = Target(
        name="device",
        tier="device",
        provider="device",
        model=folder,
        options={"spinning": args.spinning}
        | ({"threads": args.threads} if args.threads is not None else {}),
    )
    device = build(target)
    assert isinstance(device, Device)
    bare, control = Bare(options), Bare(options)
    try:
        await _through(device, STORY, 4)
        for loop in (bare, control):
            loop.run(STORY, 4)
        prompts = [STORY, *[await _prompt_of(device, length) for length in LENGTHS]]
        decode = await _decode(args, device, bare, control)
        first = [await _first_token(args, device, bare, control, prompt) for prompt in prompts]
        link = DeviceLink(options)
        for found, prompt in zip(first, prompts, strict=True):
            found.update(await _added(args, link, prompt))
        await link.aclose()
        gaps = await _gaps(args, device, prompts[-1])
        health = await device.health()
        peak = {
            "worker_bytes": peak_bytes(str(health.pid)) if health else None,
            "bare_bytes": bare.peak_bytes,
            "client_bytes": peak_bytes("self"),
        }
        info = asdict(device.info) if device.info else None
    finally:
        bare.close()
        control.close()
        await device.aclose()
    return {
        "engine": info,
        "decode": decode,
        "first_token": first,
        "loop_gap": gaps,
        "peak": peak,
        "limits": LIMITS,
        "holds": {
            "decode_ratio": decode["ratio"] >= LIMITS["decode_ratio"],
            "first_token_ms": all(f["later_ms"] <= LIMITS["first_token_ms"] for f in first),
            "loop_gap_ms": gaps["longest_ms"] < LIMITS["loop_gap_ms"],
        },
    }


async def _prompt_of(device: Device, tokens: int) -> str:
    """A user's text whose whole prompt has about that many tokens."""
    words = 1
    while True:
        prompt = FILLER * words
        count = await device.count_tokens((Message(role="user", content=prompt),))
        assert count is not None, "the worker is up"
        if count >= tokens:
            return prompt
        words += max(1, (tokens - count) // 40)


async def _decode(
    args: argparse.Namespace, device: Device, bare: Bare, control: Bare
) -> dict[str, Any]:
    rounds = await _rounds(
        args.rounds,
        {
            "worker": lambda: _through(device, STORY, args.tokens),
            "bare": lambda: _alone(bare, STORY, args.tokens),
            "control": lambda: _alone(control, STORY, args.tokens),
        },
    )
    ratios = [
        r["worker"].tokens_per_s
        / statistics.fmean((r["bare"].tokens_per_s, r["control"].tokens_per_s))
        for r in rounds
    ]
    control_ratios = [r["control"].tokens_per_s / r["bare"].tokens_per_s for r in rounds]
    return {
        "tokens": rounds[0]["worker"].tokens,
        "worker_tokens_per_s": statistics.median(r["worker"].tokens_per_s for r in rounds),
        "bare_tokens_per_s": statistics.median(r["bare"].tokens_per_s for r in rounds),
        "ratio": statistics.median(ratios),
        "ratio_interval": _interval(ratios),
        "control_ratio": statistics.median(control_ratios),
        "control_ratio_interval": _interval(control_ratios),
        "ratios": ratios,
    }


async def _first_token(
    args: argparse.Namespace, device: Device, bare: Bare, control: Bare, prompt: str
) -> dict[str, Any]:
    ms = _ttft_ms(
        await _rounds(
            args.reads,
            {
                "worker": lambda: _through(device, prompt, 1),
                "bare": lambda: _alone(bare, prompt, 1),
                "control": lambda: _alone(control, prompt, 1),
            },
        )
    )
    whole = _ttft_ms(
        await _rounds(
            args.rounds,
            {
                "worker": lambda: _through(device, prompt, 1),
                "at_once": lambda: _alone(control, prompt, 1, WHOLE),
            },
        )
    )
    both = [statistics.fmean(pair) for pair in zip(ms["bare"], ms["control"], strict=True)]
    later = _differences(ms["worker"], both)
    control_later = _differences(ms["control"], ms["bare"])
    than_at_once = _differences(whole["worker"], whole["at_once"])
    return {
        "prompt_tokens": await device.count_tokens((Message(role="user", content=prompt),)),
        "worker_ms": statistics.median(ms["worker"]),
        "bare_ms": statistics.median(ms["bare"]),
        "bare_at_once_ms": statistics.median(whole["at_once"]),
        "later_ms": statistics.median(later),
        "later_interval_ms": _interval(later),
        "control_later_ms": statistics.median(control_later),
        "control_later_interval_ms": _interval(control_later),
        "later_than_at_once_ms": statistics.median(than_at_once),
        "later_than_at_once_interval_ms": _interval(than_at_once),
        "all_later_ms": later,
    }


def _ttft_ms(rounds: list[dict[str, Run]]) -> dict[str, list[float]]:
    return {who: [r[who].ttft_s * 1e3 for r in rounds] for who in rounds[0]}


async def _added(args: argparse.Namespace, link: DeviceLink, prompt: str) -> dict[str, Any]:
    """What the process adds to the first token: all of the wait but the engine's own part."""
    job = Job(messages=(Message(role="user", content=prompt),), max_output_tokens=1)
    added = []
    for _ in range(args.rounds):
        began, first = time.perf_counter(), 0.0
        async for reply in link.run(job):
            if isinstance(reply, wire.Token):
                first = first or time.perf_counter()
            else:
                added.append((first - began - reply.prefill_s) * 1e3)
    return {"added_ms": statistics.median(added), "added_longest_ms": max(added)}


async def _rounds(
    number: int, runners: dict[str, Callable[[], Awaitable[Run]]]
) -> list[dict[str, Run]]:
    """Everyone once a round; who begins changes from round to round."""
    names, rounds = list(runners), []
    for n in range(number):
        turn = n % len(names)
        rounds.append({name: await runners[name]() for name in names[turn:] + names[:turn]})
    return rounds


async def _alone(bare: Bare, prompt: str, tokens: int, chunk: int = CHUNK) -> Run:
    return bare.run(prompt, tokens, chunk)


def _differences(some: list[float], others: list[float]) -> list[float]:
    return [a - b for a, b in zip(some, others, strict=True)]


def _interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


async def _gaps(args: argparse.Namespace, device: Device, prompt: str) -> dict[str, Any]:
    """While a long prompt is read, and, to compare, while nothing happens for as long."""
    longest, idle = [], []
    for _ in range(args.rounds):
        gaps = Gaps()
        with gaps.watched():
            run = await _through(device, prompt, 1)
        longest.append(gaps.longest_s * 1e3)
        gaps = Gaps()
        with gaps.watched():
            await asyncio.sleep(run.ttft_s)
        idle.append(gaps.longest_s * 1e3)
    return {
        "longest_ms": max(longest),
        "median_ms": statistics.median(longest),
        "idle_longest_ms": max(idle),
        "idle_median_ms": statistics.median(idle),
        "all_ms": longest,
    }


def _text(figures: dict[str, Any]) -> str:
    engine, decode, gaps = figures["engine"], figures["decode"], figures["loop_gap"]
    lines = [
        f"model        {engine['model']}, {engine['engine']}, {engine['device']}",
        f"decode       worker {decode['worker_tokens_per_s']:.1f}, bare "
        f"{decode['bare_tokens_per_s']:.1f} tokens/s, ratio {decode['ratio']:.3f} "
        f"({_between(decode['ratio_interval'], '.3f')}); two bare loops "
        f"{decode['control_ratio']:.3f} ({_between(decode['control_ratio_interval'], '.3f')})",
    ]
    lines += [
        f"first token  {first['prompt_tokens']} prompt tokens: worker {first['worker_ms']:.1f}, "
        f"bare {first['bare_ms']:.1f} ms, {first['later_ms']:+.1f} "
        f"({_between(first['later_interval_ms'], '+.1f')}); two bare loops "
        f"{first['control_later_ms']:+.1f} "
        f"({_between(first['control_later_interval_ms'], '+.1f')}); than read at once "
        f"{first['later_than_at_once_ms']:+.1f} "
        f"({_between(first['later_than_at_once_interval_ms'], '+.1f')}); "
        f"the process adds {first['added_ms']:.1f}, at most {first['added_longest_ms']:.1f}"
        for first in figures["first_token"]
    ]
    lines.append(
        f"loop gap     the longest of each run: median {gaps['median_ms']:.1f}, most "
        f"{gaps['longest_ms']:.1f} ms (idle: {gaps['idle_median_ms']:.1f}, "
        f"{gaps['idle_longest_ms']:.1f} ms)"
    )
    for who, size in figures["peak"].items():
        if size is not None:
            lines.append(f"peak memory  {who.removesuffix('_bytes')} {size / 1e6:.0f} MB")
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


def _between(interval: tuple[float, float], form: str) -> str:
    return f"{interval[0]:{form}} to {interval[1]:{form}}"


if __name__ == "__main__":
    sys.exit(main())
