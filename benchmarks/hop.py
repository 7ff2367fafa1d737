"""What a hop costs: processor time of a call through the whole street, against the bare library.

    python benchmarks/hop.py --json hop.json

The street is all of it: policy, signals, walk, price, and a ledger on disk with its thread, by the
shipped policy `cloud-only` and one target. Bare is the least that is honest with the same library:
one client kept alive, the same request, every chunk read as JSON, text and usage taken out:
`openai.AsyncOpenAI` for the transport `sdk`, aiohttp and `json` for `lean`. The cloud is
`hop_server.py`, in a process of its own.

Counted is the processor time of this process, all threads, what the ledger's thread has left to do
included. Contenders take turns in an order that rotates; differences and ratios are taken round by
round, their medians count, with a 95 % interval by bootstrap. A second bare loop, equal to the
first, shows what the machine can resolve.

The router always asks for a stream, since a draft has to be read as it comes. A plain answer is
therefore compared with both: a bare call that reads the same stream, which is judged, and one that
asks for no stream, which is told.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import openai
from common import conditions, parser, write
from hop_server import MODEL, texts

from router import AsyncRouter

LIMITS = {"sdk_ratio": 1.15, "lean_ms": 0.06}
SETTLE_S = 0.7  # for the ledger's thread, which gathers lines for 0.5 s
SYSTEM = "You are a helpful assistant of a shop. Answer briefly, in plain words, and be polite. "
Call = Callable[[], Awaitable[str]]


def messages() -> list[dict[str, str]]:
    """Ten turns of some 2.4 kB, as the gateway benchmarks send them."""
    turns = [{"role": "system", "content": SYSTEM * 3}]
    for number in range(4):
        turns.append(
            {"role": "user", "content": f"Question {number}: " + "where is my order? " * 8}
        )
        turns.append({"role": "assistant", "content": f"Answer {number}: " + "it is here. " * 14})
    return [*turns, {"role": "user", "content": "Thank you. And when will it be delivered to me?"}]


class Bare:
    """Both libraries by themselves."""

    def __init__(self, base_url: str) -> None:
        self.sdk = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)
        self.session = aiohttp.ClientSession()
        self.url = f"{base_url}/chat/completions"

    async def aclose(self) -> None:
        await self.sdk.close()
        await self.session.close()

    async def sdk_streamed(self) -> str:
        stream = await self.sdk.chat.completions.create(
            model=MODEL,
            messages=messages(),  # type: ignore[arg-type]
            max_tokens=1024,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, usage = [], None
        async for chunk in stream:
            if chunk.choices:
                text.append(chunk.choices[0].delta.content or "")
            usage = chunk.usage or usage
        assert usage is not None
        return "".join(text)

    async def sdk_plain(self) -> str:
        answer = await self.sdk.chat.completions.create(
            model=MODEL,
            messages=messages(),  # type: ignore[arg-type]
            max_tokens=1024,
        )
        return answer.choices[0].message.content or ""

    async def lean_streamed(self) -> str:
        body = self._body() | {"stream": True, "stream_options": {"include_usage": True}}
        text, usage = [], None
        async with self.session.post(self.url, json=body) as response:
            async for line in response.content:
                data = line.removeprefix(b"data: ").strip()
                if not data or data == b"[DONE]":
                    continue
                chunk = json.loads(data)
                if chunk["choices"]:
                    text.append(chunk["choices"][0]["delta"].get("content") or "")
                usage = chunk.get("usage") or usage
        assert usage is not None
        return "".join(text)

    async def lean_plain(self) -> str:
        async with self.session.post(self.url, json=self._body()) as response:
            answer = await response.json()
        text: str = answer["choices"][0]["message"]["content"]
        return text

    def _body(self) -> dict[str, Any]:
        return {"model": MODEL, "messages": messages(), "max_tokens": 1024}


def config(folder: Path, base_url: str, transport: str) -> Path:
    target = {
        "tier": "cloud-fast",
        "provider": "openai_compatible",
        "model": MODEL,
        "base_url": base_url,
        "price": "own-box",
        "transport": transport,
    }
    path = folder / f"{transport}.yaml"
    ledger = {"folder": str(folder / transport)}
    made = {"version": 1, "policy": "cloud-only", "targets": {"cloud": target}, "ledger": ledger}
    path.write_text(json.dumps(made))
    return path


def of_street(router: AsyncRouter, *, stream: bool) -> Call:
    async def streamed() -> str:
        text = []
        async with router.stream(messages()) as pieces:
            async for piece in pieces:
                text.append(piece)
        assert pieces.answer.hops[0].last.usage.output_tokens is not None
        return "".join(text)

    async def plain() -> str:
        return (await router.ask(messages())).text

    return streamed if stream else plain


async def measured(call: Call, args: argparse.Namespace, wanted: str) -> tuple[float, float]:
    """Milliseconds of processor time of one call: of all threads, and of this one."""
    gc.collect()
    process, thread = time.process_time(), time.thread_time()
    for _ in range(args.calls // args.at_once):
        for text in await asyncio.gather(*(call() for _ in range(args.at_once))):
            assert text == wanted
    thread = time.thread_time() - thread
    await asyncio.sleep(SETTLE_S)
    each = 1e3 / (args.calls // args.at_once * args.at_once)
    return (time.process_time() - process) * each, thread * each


async def compare(args: argparse.Namespace, base_url: str, folder: Path) -> dict[str, Any]:
    wanted, bare, found = "".join(texts(args.chunks)), Bare(base_url), {}
    try:
        for transport in ("lean", "sdk"):
            async with AsyncRouter(config(folder, base_url, transport)) as router:
                calls: dict[str, Call] = {
                    "street streamed": of_street(router, stream=True),
                    "street plain": of_street(router, stream=False),
                    "bare streamed": getattr(bare, f"{transport}_streamed"),
                    "bare streamed again": getattr(bare, f"{transport}_streamed"),
                    "bare plain": getattr(bare, f"{transport}_plain"),
                }
                for call in calls.values():
                    assert await call() == wanted
                found[transport] = figures(await rounds(calls, args, wanted))
    finally:
        await bare.aclose()
    return found


async def rounds(
    calls: dict[str, Call], args: argparse.Namespace, wanted: str
) -> dict[str, list[tuple[float, float]]]:
    """Everyone once a round; who begins changes from round to round."""
    names = list(calls)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(args.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(await measured(calls[name], args, wanted))
    return times


def figures(times: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    def against(one: str, other: str) -> dict[str, Any]:
        pairs = [(a[0], b[0]) for a, b in zip(times[one], times[other], strict=True)]
        more, ratio = [a - b for a, b in pairs], [a / b for a, b in pairs]
        return {
            "more_ms": statistics.median(more),
            "more_ms_interval": interval(more),
            "ratio": statistics.median(ratio),
            "ratio_interval": interval(ratio),
        }

    return {
        "cpu_ms": {n: statistics.median(t[0] for t in got) for n, got in times.items()},
        "fastest_ms": {n: min(t[0] for t in got) for n, got in times.items()},
        "loop_thread_ms": {n: statistics.median(t[1] for t in got) for n, got in times.items()},
        "streamed": against("street streamed", "bare streamed"),
        "plain": against("street plain", "bare streamed"),
        "plain against no stream": against("street plain", "bare plain"),
        "equal bare loops": against("bare streamed again", "bare streamed"),
        "rounds": times,
    }


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


def main() -> int:
    args = _arguments()
    said = conditions("aiohttp", "openai", "msgspec", "numpy")
    beside = str(Path(__file__).with_name("hop_server.py"))
    server = subprocess.Popen(
        [sys.executable, beside, str(args.chunks), str(args.apart_ms)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(compare(args, base_url, Path(folder)))
    finally:
        server.communicate("")
    found["holds"] = {
        **{f"sdk {k}": found["sdk"][k]["ratio"] <= LIMITS["sdk_ratio"] for k in KINDS},
        **{f"lean {k}": found["lean"][k]["more_ms"] <= LIMITS["lean_ms"] for k in KINDS},
    }
    print(_text(found))
    settings = {n: getattr(args, n) for n in ("rounds", "calls", "chunks", "at_once", "apart_ms")}
    write(args.json, said, {**found, "limits": LIMITS, "settings": settings})
    return 0 if all(found["holds"].values()) else 1


KINDS = ("streamed", "plain")


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0] if __doc__ else None)
    made.add_argument("--rounds", type=int, default=25)
    made.add_argument("--calls", type=int, default=100, help="calls of a round, for each contender")
    made.add_argument("--chunks", type=int, default=20, help="events with text in an answer")
    made.add_argument("--apart-ms", type=float, default=0.0, help="between the events")
    made.add_argument("--at-once", type=int, default=1, help="calls under way at a time")
    return made.parse_args()


def _text(found: dict[str, Any]) -> str:
    lines = []
    for transport in ("lean", "sdk"):
        one = found[transport]
        for name, ms in one["cpu_ms"].items():
            thread, fastest = one["loop_thread_ms"][name], one["fastest_ms"][name]
            lines.append(
                f"{transport:5} {name:20} {ms:7.3f} ms a call, {thread:.3f} of it in the event "
                f"loop's thread; fastest round {fastest:.3f}"
            )
        for kind in (*KINDS, "plain against no stream", "equal bare loops"):
            told = one[kind]
            more, ratio = told["more_ms_interval"], told["ratio_interval"]
            lines.append(
                f"{transport:5} {kind:24} {told['more_ms']:+.3f} ms ({more[0]:+.3f} to "
                f"{more[1]:+.3f}), ratio {told['ratio']:.3f} ({ratio[0]:.3f} to {ratio[1]:.3f})"
            )
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in found["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
