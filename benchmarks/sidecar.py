"""What one request through the sidecar costs in processor time, in all of its processes' threads.

    python benchmarks/sidecar.py [--requests 2000] [--at-once 8] [--workers 1] [--json FILE]

`firsthop serve` runs with a policy, limits, prices and a ledger before a cloud that answers at once
(`hop_server.py`), over the lean transport. Three figures: a request that the door turns away (the
floor: HTTP and routing), a whole answer, and one more event of a stream whose events come 5 ms
apart. The load comes from this process, whose time is not counted. Seconds are the server's own
user and system time; on a machine that does other work too they are larger, so compare figures of
one run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from common import conditions, parser, write

FEW, MANY, APART_MS = 4, 200, 5
CONFIG = """\
version: 1
policy: ./one.yaml
ledger: {{folder: ./ledger}}
targets:
  cloud:
    tier: cloud-fast
    provider: openai_compatible
    transport: lean
    model: hop-model
    base_url: {url}
    price: own-box
"""
POLICY = """\
policy: one
summary: One cloud, with a guard, a requirement and limits.
tiers: [cloud-fast]
guards:
  - id: private-is-refused
    when: {request.label: {in: [pii, secret]}}
    forbid: request
accept:
  - id: finished
    on: [cloud-fast]
    require: {draft.finish: {in: [stop, tool_calls]}}
limits: {hops: 3, deadline_s: 60, cost_usd: "0.05"}
"""


def body(*, stream: bool) -> bytes:
    """Some 2.5 KB: a system prompt and nine turns."""
    turn = "Summarise the log of unit 17 and list what must be replaced before the inspection. " * 3
    turns = [{"role": ("user", "assistant")[i % 2], "content": turn} for i in range(9)]
    system = {"role": "system", "content": "Answer briefly."}
    return json.dumps({"model": "auto", "stream": stream, "messages": [system, *turns]}).encode()


class Client(asyncio.Protocol):
    """Sends one request after another on a kept connection; reads no more than where each ends."""

    def __init__(self, request: bytes, end: bytes, count: int) -> None:
        self.request, self.end, self.left = request, end, count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.got.endswith(self.end):
            return
        self.got = b""
        self.left -= 1
        if self.left:
            self.transport.write(self.request)
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError(self.got[:300]))


async def load(port: int, path: str, raw: bytes, end: bytes, args: argparse.Namespace) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(raw)}\r\n\r\n"
    each = args.requests // args.at_once
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Client(head.encode() + raw, end, each), "127.0.0.1", port
        )
        for _ in range(args.at_once)
    ]
    await asyncio.gather(*(client.done for _, client in made))


def parts(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The server's processes: itself, then its workers if it has some."""
    own = psutil.Process(process.pid)
    return [own, *own.children()]


def cpu_s(process: subprocess.Popen[str]) -> float:
    spent = [part.cpu_times() for part in parts(process)]
    return float(sum(one.user + one.system for one in spent))


def server(folder: Path, url: str, workers: int) -> tuple[subprocess.Popen[str], int]:
    (folder / "one.yaml").write_text(POLICY)
    (folder / "c.yaml").write_text(CONFIG.format(url=url))
    command = [sys.executable, "-m", "router", "serve", "-c", str(folder / "c.yaml"), "--port", "0"]
    if workers > 1:
        command += ["--workers", str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    return process, int(process.stderr.readline().partition("127.0.0.1:")[2].partition("/")[0])


def cloud(chunks: int, apart_ms: int) -> tuple[subprocess.Popen[str], str]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("hop_server.py")),
        str(chunks),
        str(apart_ms),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


def measured(
    chunks: int, apart_ms: int, kinds: dict[str, Any], args: argparse.Namespace
) -> dict[str, float]:
    """Seconds of processor time a request, by kind; and from start to the first answer."""
    found: dict[str, float] = {}
    upstream, url = cloud(chunks, apart_ms)
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        sidecar, port = server(Path(name), url, args.workers)
        try:
            for kind, (path, raw, end) in kinds.items():
                once = argparse.Namespace(requests=1, at_once=1)
                asyncio.run(load(port, path, raw, end, once))
                found.setdefault("first_answer_s", time.perf_counter() - began)
                asyncio.run(load(port, path, raw, end, args))
                before, began_load = cpu_s(sidecar), time.perf_counter()
                asyncio.run(load(port, path, raw, end, args))
                found[f"{kind}_s"] = time.perf_counter() - began_load
                time.sleep(0.6)  # the ledger's thread works a little later
                found[kind] = (cpu_s(sidecar) - before) / (
                    args.requests // args.at_once * args.at_once
                )
            resident = [part.memory_info().rss / 1e6 for part in parts(sidecar)]
            found["memory_mb"] = max(resident)
            found["memory_of_all_mb"] = sum(resident)
        finally:
            sidecar.terminate()
            sidecar.wait()
            for process in (sidecar, upstream):
                process.kill()
                process.wait()
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--requests", type=int, default=2000)
    made.add_argument("--at-once", type=int, default=8)
    made.add_argument("--workers", type=int, default=1)
    args = made.parse_args()
    said = conditions("uvicorn", "httptools", "msgspec")
    chat, done = "/v1/chat/completions", b"data: [DONE]\n\n\r\n0\r\n\r\n"
    whole = {
        "whole": (chat, body(stream=False), b"}"),
        "turned_away": ("/v1/embeddings", body(stream=False), b"}"),
    }
    few = measured(FEW, 0, whole, args)
    per_s = args.requests / few["whole_s"]
    streamed = {"streamed": (chat, body(stream=True), done)}
    args.requests = args.at_once * 5  # they take a second each
    short = measured(FEW, APART_MS, streamed, args)
    long = measured(MANY, APART_MS, streamed, args)
    figures = {
        "turned_away_ms": few["turned_away"] * 1e3,
        "whole_ms": few["whole"] * 1e3,
        "event_us": (long["streamed"] - short["streamed"]) / (MANY - FEW) * 1e6,
        "first_answer_s": few["first_answer_s"],
        "memory_mb": few["memory_mb"],
        "memory_of_all_mb": few["memory_of_all_mb"],
        "whole_per_s": per_s,
    }
    for name, value in figures.items():
        print(f"{name:16} {value:.3f}")
    write(args.json, said, figures)


if __name__ == "__main__":
    main()
