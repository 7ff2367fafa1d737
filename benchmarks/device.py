"""What the worker process costs: the device through it, against the bare loop in the same run.

    python benchmarks/device.py --model smollm2-135m --json device.json

The bare loop is a process of its own that does nothing but drive ONNX Runtime GenAI with the same
session options and compute the same statistics of every token. The two take turns, so that what
else happens on the machine hits both; ratios and differences are taken pair by pair, and their
medians are what counts. Through the worker means through the provider: `Device.stream`, its chunks
and all, in an event loop that also ticks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from router.device.engine import EngineOptions
from router.models import Store
from router.providers.base import Target
from router.providers.device import Device, build
from router.types import Ask, Message

STORY = "Write a long story about a lighthouse, an old dog and the sea."
FILLER = "The quick brown fox jumps over the lazy dog. "
LONG_TOKENS = 900
TICK_S = 0.001
LIMITS = {"decode_ratio": 0.95, "first_token_ms": 15.0, "loop_gap_ms": 25.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One answer.

    Attributes:
        ttft_s: From asking to the first token.
        tokens_per_s: Of the tokens after the first.
    """

    ttft_s: float
    tokens_per_s: float
    tokens: int


def main() -> int:
    args = _arguments()
    if args.bare:
        return _bare(EngineOptions(**json.loads(args.bare)))
    folder = str(Store().find(args.model).path)
    report = asyncio.run(_compare(args, folder))
    print(_text(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(report["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--pairs", type=int, default=9, help="repetitions of each pair")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--spinning", action="store_true")
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    return parser.parse_args()


# The bare loop: a process that reads a job a line and writes a result a line.


def _bare(options: EngineOptions) -> int:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from router.device.logits import RowReader
    from router.device.runtime import load_model

    model, tokenizer = load_model(Path(options.folder), options, None)
    reader = RowReader()
    for line in sys.stdin:
        prompt, tokens, chunk = json.loads(line)
        run = _bare_run(model, tokenizer, reader, prompt, tokens, chunk)
        print(json.dumps({**asdict(run), "peak_bytes": _peak_bytes("self")}), flush=True)
    return 0


def _bare_run(model: Any, tokenizer: Any, reader: Any, prompt: str, tokens: int, chunk: int) -> Run:
    from router.device.runtime import make_generator

    began = time.perf_counter()
    messages = json.dumps([{"role": "user", "content": prompt}])
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, add_generation_prompt=True))
    generator = make_generator(model, len(ids) + tokens, None, None)
    stream = tokenizer.create_stream()
    for start in range(0, len(ids), chunk or len(ids)):
        generator.append_tokens(ids[start : start + (chunk or len(ids))])
    times: list[float] = []
    while not generator.is_done():
        row = generator.get_logits().ravel()
        generator.generate_next_token()
        token = int(generator.get_next_tokens()[0])
        reader(row, token)
        stream.decode(token)
        times.append(time.perf_counter())
    return _run(began, times)


def _run(began: float, times: list[float]) -> Run:
    return Run(
        ttft_s=times[0] - began,
        tokens_per_s=(len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0,
        tokens=len(times),
    )


class Bare:
    """Our end of the bare loop's process."""

    def __init__(self, options: EngineOptions) -> None:
        command = [sys.executable, __file__, "--bare", json.dumps(asdict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.peak_bytes: int | None = None

    def run(self, prompt: str, tokens: int, chunk: int) -> Run:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([prompt, tokens, chunk]) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        self.peak_bytes = said.pop("peak_bytes")
        return Run(**said)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# Through the worker.


async def _through(device: Device, prompt: str, tokens: int) -> Run:
    ask = Ask(
        attempt_id="benchmark",
        messages=(Message(role="user", content=prompt),),
        max_output_tokens=tokens,
    )
    began = time.perf_counter()
    times = [time.perf_counter() async for chunk in device.stream(ask) if chunk.tokens]
    return _run(began, times)


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
        long = await _long_prompt(device)
        bare.run(STORY, 4, 0)
        decode = await _decode_pairs(args, device, bare)
        first = await _first_token_pairs(args, device, bare, long)
        gaps = await _gaps(args, device, long)
        health = await device.health()
        peak = {
            "worker_bytes": _peak_bytes(str(health.pid)) if health else None,
            "bare_bytes": bare.peak_bytes,
            "client_bytes": _peak_bytes("self"),
        }
        info = asdict(device.info) if device.info else None
    finally:
        bare.close()
        await device.aclose()
    medians = {
        "decode_ratio": decode["ratio"]["median"],
        "first_token_ms": first["later_ms"]["median"],
        "loop_gap_ms": gaps["longest_ms"],
    }
    return {
        "command": " ".join([Path(sys.executable).name, *sys.argv]),
        "conditions": _conditions(args),
        "engine": info,
        "decode": decode,
        "first_token": first,
        "loop_gap": gaps,
        "peak": peak,
        "limits": LIMITS,
        "holds": {
            "decode_ratio": medians["decode_ratio"] >= LIMITS["decode_ratio"],
            "first_token_ms": medians["first_token_ms"] <= LIMITS["first_token_ms"],
            "loop_gap_ms": medians["loop_gap_ms"] < LIMITS["loop_gap_ms"],
        },
    }
