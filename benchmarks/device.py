"""What the worker process costs: the device through it, against the bare loop in the same run.

    python benchmarks/device.py --model smollm2-135m --json device.json

The bare loop is `bare_loop.py`, in a process of its own; through the worker means through the
provider, `Device.stream`. The two take turns, so that what else happens on the machine hits both;
ratios and differences are taken pair by pair, and their medians are what counts. Beside it stands
what the first token costs a bare loop that reads the whole prompt at once and can't be cancelled.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from bare_loop import Bare, Run, peak_bytes, run_of
from common import conditions, parser, write

from router.device.engine import EngineOptions
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
    made.add_argument("--pairs", type=int, default=9, help="repetitions of each pair")
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
    bare = Bare(options)
    try:
        await _through(device, STORY, 4)
        bare.run(STORY, 4)
        prompts = [STORY, *[await _prompt_of(device, length) for length in LENGTHS]]
        decode = await _decode_pairs(args, device, bare)
        first = [await _first_token_pairs(args, device, bare, prompt) for prompt in prompts]
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


async def _decode_pairs(args: argparse.Namespace, device: Device, bare: Bare) -> dict[str, Any]:
    pairs = []
    for number in range(args.pairs):
        pairs.append(await _pair(device, bare, STORY, args.tokens, worker_first=number % 2 == 0))
    return {
        "tokens": pairs[0][0].tokens,
        "worker_tokens_per_s": statistics.median(w.tokens_per_s for w, _ in pairs),
        "bare_tokens_per_s": statistics.median(b.tokens_per_s for _, b in pairs),
        "ratio": statistics.median(w.tokens_per_s / b.tokens_per_s for w, b in pairs),
        "ratios": [w.tokens_per_s / b.tokens_per_s for w, b in pairs],
    }


async def _first_token_pairs(
    args: argparse.Namespace, device: Device, bare: Bare, prompt: str
) -> dict[str, Any]:
    pairs, whole = [], []
    for number in range(args.pairs):
        pairs.append(await _pair(device, bare, prompt, 1, worker_first=number % 2 == 0))
        whole.append(bare.run(prompt, 1, WHOLE))
    return {
        "prompt_tokens": await device.count_tokens((Message(role="user", content=prompt),)),
        "worker_ms": statistics.median(w.ttft_s * 1e3 for w, _ in pairs),
        "bare_ms": statistics.median(b.ttft_s * 1e3 for _, b in pairs),
        "later_ms": statistics.median((w.ttft_s - b.ttft_s) * 1e3 for w, b in pairs),
        "quickest_later_ms": 1e3
        * (min(w.ttft_s for w, _ in pairs) - min(b.ttft_s for _, b in pairs)),
        "bare_at_once_ms": statistics.median(b.ttft_s * 1e3 for b in whole),
        "later_than_at_once_ms": statistics.median(
            (w.ttft_s - b.ttft_s) * 1e3 for (w, _), b in zip(pairs, whole, strict=True)
        ),
        "all_later_ms": [(w.ttft_s - b.ttft_s) * 1e3 for w, b in pairs],
    }


async def _pair(
    device: Device, bare: Bare, prompt: str, tokens: int, *, worker_first: bool
) -> tuple[Run, Run]:
    if worker_first:
        return await _through(device, prompt, tokens), bare.run(prompt, tokens)
    alone = bare.run(prompt, tokens)
    return await _through(device, prompt, tokens), alone


async def _gaps(args: argparse.Namespace, device: Device, prompt: str) -> dict[str, Any]:
    """While a long prompt is read, and, to compare, while nothing happens for as long."""
    longest, idle = [], []
    for _ in range(args.pairs):
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
        f"decode       worker {decode['worker_tokens_per_s']:.1f}, "
        f"bare {decode['bare_tokens_per_s']:.1f} tokens/s, ratio {decode['ratio']:.3f}",
    ]
    lines += [
        f"first token  {first['prompt_tokens']} prompt tokens: worker {first['worker_ms']:.1f}, "
        f"bare {first['bare_ms']:.1f} ms, {first['later_ms']:+.1f} ms, "
        f"quickest {first['quickest_later_ms']:+.1f} ms "
        f"(than read at once: {first['later_than_at_once_ms']:+.1f} ms)"
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


if __name__ == "__main__":
    sys.exit(main())
