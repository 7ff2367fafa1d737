"""What a call costs by itself: our connection against aiohttp, without anything of the street.

    python benchmarks/lean_client.py --json lean_client.json

Each contender posts the same body of some 2.5 kB to `hop_server.py`, which runs in a process of its
own, and reads the answer to its end: one that comes whole, and one of many events, each sent by
itself. Ours is `LeanTransport`, and beside it the transport over aiohttp that it replaces; bare is
an aiohttp session with nothing of ours. Counted is this process's time on the processor, system
calls included. Contenders take turns in an order that rotates, and the medians of the rounds count.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from common import conditions, parser, write

from router.providers.base import Dialect, Target
from router.providers.endpoint import find_endpoint
from router.providers.openai_aiohttp import AiohttpTransport
from router.providers.openai_lean import LeanTransport

HEADERS = {
    "accept": "text/event-stream",
    "content-type": "application/json",
    "user-agent": "firsthop",
    "x-client-request-id": "0123456789abcdef",
    "authorization": "Bearer " + "k" * 40,
}
Read = Callable[[bytes], Awaitable[int]]
"""Sends a body, reads the answer to its end, and says how many reads that took."""


def body(*, stream: bool) -> bytes:
    turns = [{"role": "user", "content": f"{number}: " + "where is my order? " * 12}
             for number in range(10)]  # fmt: skip
    return json.dumps({"model": "m", "messages": turns, "stream": stream}).encode()


def contenders(base_url: str) -> tuple[dict[str, Read], Callable[[], Awaitable[None]]]:
    target = Target(name="cloud", tier="x", provider="any", model="m", base_url=base_url)
    endpoint = find_endpoint(target, Dialect(name="any"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours, theirs = LeanTransport(endpoint, tls), AiohttpTransport(endpoint, tls)
    session = aiohttp.ClientSession()
    url = endpoint.chat_url

    def of(way: LeanTransport | AiohttpTransport) -> Read:
        async def read(data: bytes) -> int:
            reads = 1
            async with way.send("POST", url, HEADERS, data) as reply:
                assert reply.status == 200
                while await reply.read():
                    reads += 1
            return reads

        return read

    async def bare(data: bytes) -> int:
        reads = 1
        async with session.post(url, data=data, headers=HEADERS) as response:
            assert response.status == 200
            while await response.content.readany():
                reads += 1
        return reads

    async def close() -> None:
        for one in (ours, theirs):
            await one.aclose()
        await session.close()

    return {"ours": of(ours), "over aiohttp": of(theirs), "bare aiohttp": bare}, close


async def measured(read: Read, data: bytes, args: argparse.Namespace) -> tuple[float, float]:
    """Microseconds of a call, and how many reads it took."""
    gc.collect()
    began, reads = time.process_time(), 0
    for _ in range(args.calls // args.at_once):
        if args.at_once == 1:
            reads += await read(data)
        else:
            reads += sum(await asyncio.gather(*(read(data) for _ in range(args.at_once))))
    made = args.calls // args.at_once * args.at_once
    return (time.process_time() - began) / made * 1e6, reads / made


async def compare(base_url: str, data: bytes, args: argparse.Namespace) -> dict[str, Any]:
    calls, close = contenders(base_url)
    try:
        names = list(calls)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for name in names:
            await measured(calls[name], data, args)
        for number in range(args.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                found[name].append(await measured(calls[name], data, args))
    finally:
        await close()
    return {
        name: {
            "cpu_us": statistics.median(us for us, _ in got),
            "fastest_us": min(us for us, _ in got),
            "reads": statistics.median(reads for _, reads in got),
        }
        for name, got in found.items()
    }


def main() -> int:
    args = _arguments()
    said = conditions("aiohttp", "httptools")
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("hop_server.py")), str(args.chunks), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    figures: dict[str, Any] = {}
    try:
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        for kind, stream in (("plain", False), ("streamed", True)):
            figures[kind] = asyncio.run(compare(base_url, body(stream=stream), args))
    finally:
        server.communicate("")
    for kind, found in figures.items():
        for name, one in found.items():
            print(
                f"{kind:9} {name:13} {one['cpu_us']:7.1f} us a call, fastest round "
                f"{one['fastest_us']:7.1f}; {one['reads']:.1f} reads"
            )
    settings = {name: getattr(args, name) for name in ("rounds", "calls", "chunks", "at_once")}
    write(args.json, said, {**figures, "settings": settings})
    return 0


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0] if __doc__ else None)
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--calls", type=int, default=400, help="calls of a round, for each contender")
    made.add_argument("--chunks", type=int, default=20, help="events with text in an answer")
    made.add_argument("--at-once", type=int, default=1, help="calls under way at a time")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
