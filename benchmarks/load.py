"""Many requests at once through the sidecar, a tenth of whose clients leave in the middle.

    python benchmarks/load.py [--requests 10000] [--at-once 200] [--seed 7] [--json FILE]

Plain answers, streams, calls of tools and errors, mixed, in three dialects; clouds and device play
a script. Each request has a connection of its own, and of what comes back every byte is read. At
the end the ledger is held against what the clients saw and against the targets' own account of what
they served. Seconds are a client's, from connecting to the last byte, with all the others waiting
beside it and with this process, which makes them, on the same processors: what is said of a machine
that is too small for its load, not of the door.

Exits with 1 if a request was lost, answered wrongly, or booked otherwise than it went.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from common import conditions, parser, write
from door import PATHS, Heard, exchange, read, request, served

from router.ledger.report import Report, RequestRow

POLICY = """\
policy: plain
summary: Keep what the device is sure of.
tiers: [device, cloud]
accept:
  - id: sure-enough
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
"""
PRICES = {"device": ("0", "0"), "cloud": ("1", "2"), "sick": ("1", "2")}
WORDS = "a few words of the cloud and some more of them"
CALL = {"id": "c1", "name": "weather", "arguments": '{"city": "Oslo"}'}
DEVICE = [
    {"match": "capital", "text": "The capital is Paris.", "mean_logprob": -0.1},
    {"text": "a DROPPED draft", "mean_logprob": -3.0},
]
CLOUD = [
    {"match": "refused", "fail": {"kind": "refused"}},
    {"match": "weather", "tool_calls": [CALL], "ttft_s": 0.01},
    {"text": WORDS, "ttft_s": 0.03, "tpot_s": 0.004},
]
SICK = [{"fail": {"kind": "unavailable"}}]
KINDS = {
    "kept": ("The capital?", "auto", (200, "The capital is Paris.")),
    "escalated": ("Some words.", "auto", (200, WORDS)),
    "cloud": ("Some words.", "cloud", (200, WORDS)),
    "tools": ("The weather?", "auto", (200, "weather")),
    "refused": ("It is refused.", "cloud", (400, "refused_by_target")),
    "sick": ("Some words.", "sick", (503, "")),
    "nobody": ("Some words.", "nobody", (404, "model_not_found")),
}
"""What is asked, of which model, and the status and text, or code, that comes of it."""
BOOKED = {200: "answered", 400: "no_answer", 503: "no_answer"}


@dataclass(slots=True)
class One:
    """One request, and what came of it.

    Attributes:
        leaves_s: Its client goes after so long. None: it stays.
        late: Nothing came in half a minute.
        took_s: None: it left, or nobody was there.
    """

    number: int
    kind: str
    dialect: str
    stream: bool
    leaves_s: float | None
    heard: Heard = field(default_factory=Heard)
    late: bool = False
    took_s: float | None = None

    @property
    def user(self) -> str:
        return f"u{self.number}"

    async def ask(self, port: int) -> None:
        text, model, _ = KINDS[self.kind]
        tools = self.kind == "tools"
        sent = request(
            self.dialect, text, model=model, stream=self.stream, user=self.user, tools=tools
        )
        began = time.perf_counter()
        try:
            async with asyncio.timeout(30 if self.leaves_s is None else self.leaves_s):
                await exchange(port, sent, self.heard)
                self.took_s = time.perf_counter() - began
        except TimeoutError:
            self.late = self.leaves_s is None
        except OSError:
            pass  # nothing, or half an answer: `fault` tells

    def fault(self) -> str | None:
        """What is wrong with what came. A client that left has no wishes."""
        if self.leaves_s is not None and not self.heard.whole:
            return None
        if self.late or not self.heard.whole:
            return "no answer"
        status, wanted = KINDS[self.kind][2]
        if (status, self.dialect) == (503, "messages"):
            status = 529  # what that dialect calls it
        reply = read(self.dialect, self.heard.raw)
        if (reply.status, reply.ended) != (status, True):
            return f"status {reply.status}, ended {reply.ended}: {reply.raw[-300:]!r}"
        if status == 200 and self.kind == "tools":
            wrong = b"Oslo" not in reply.raw
        elif status == 200:
            wrong = reply.text != wanted or reply.error is not None
        else:
            wrong = wanted not in (reply.error or "")
        return (
            f"it says {reply.text or reply.error!r}" if wrong or b"DROPPED" in reply.raw else None
        )


def mixed(count: int, seed: int) -> list[One]:
    """Requests of every kind and dialect, a tenth of which are left in the middle."""
    dice = random.Random(seed)
    weights = {"kept": 3, "escalated": 3, "cloud": 2, "tools": 2}
    kinds = dice.choices(list(KINDS), [weights.get(kind, 0.5) for kind in KINDS], k=count)
    return [
        One(
            number,
            kind,
            dice.choice(list(PATHS)),
            dice.random() < 0.5,
            dice.uniform(0.0, 0.3) if dice.random() < 0.1 else None,
        )
        for number, kind in enumerate(kinds)
    ]


def configured(folder: Path) -> str:
    """A config with its policy and its prices beside it."""
    (folder / "plain.yaml").write_text(POLICY)
    steps = {"device": DEVICE, "cloud": CLOUD, "sick": SICK}
    targets: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for name, said in steps.items():
        per_1m = dict(zip(("input_usd_per_1m", "output_usd_per_1m"), PRICES[name], strict=True))
        options = {"price": per_1m, "steps": said, "served_log": str(folder / "served.jsonl")}
        model = f"{name}-model"
        tier = "device" if name == "device" else "cloud"
        targets[name] = {"tier": tier, "provider": "scripted", "model": model, "attempts": 1}
        targets[name]["options"] = options
        line = {"id": name, "provider": "scripted", "model": model, **per_1m}
        line |= {"source": "none", "checked": "2026-11-22", "valid_from": "2024-01-01"}
        lines.append(line if float(PRICES[name][0]) else {**line, "basis": "stand-in"})
    # JSON is YAML too.
    (folder / "prices.yaml").write_text(json.dumps({"prices": lines}))
    config: dict[str, Any] = {"version": 1, "policy": "./plain.yaml", "targets": targets}
    config |= {"prices": "./prices.yaml", "ledger": {"folder": str(folder / "ledger")}}
    return json.dumps(config)


async def ask_all(port: int, asked: Sequence[One], at_once: int, pid: int) -> list[float]:
    """Ask them all. Returns: the server's memory in MB at the end of each tenth of them."""
    turn = asyncio.Semaphore(at_once)
    server = psutil.Process(pid)
    done = 0
    memory: list[float] = []

    async def one(this: One) -> None:
        nonlocal done
        async with turn:
            await this.ask(port)
        done += 1
        if done * 10 // len(asked) > len(memory):
            memory.append(server.memory_info().rss / 1e6)

    await asyncio.gather(*(one(this) for this in asked))
    return memory


async def at_rest(port: int) -> None:
    """Wait until nothing is in flight any more. Raises: TimeoutError."""
    get = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    async with asyncio.timeout(20):
        while True:
            said = (await exchange(port, get)).raw.partition(b"\r\n\r\n")[2]
            targets = json.loads(said)["targets"].values()
            if not any(target["in_flight"] for target in targets):
                return
            await asyncio.sleep(0.05)


def ledger_faults(folder: Path, asked: Sequence[One], rows: Sequence[RequestRow]) -> list[str]:
    """What the ledger says otherwise than the clients, or than the targets."""
    times = Counter(row.tags["user"] for row in rows)
    wrong = [f"{user} is booked {n} times" for user, n in times.items() if n > 1]
    status = {row.tags["user"]: row.status for row in rows}
    for one in asked:
        left = one.leaves_s is not None and not one.heard.whole
        wanted = BOOKED.get(KINDS[one.kind][2][0])
        found = status.get(one.user)
        if found != wanted and not (left and found in (None, "cancelled")):
            wrong.append(f"{one.user} {one.kind} is booked as {found}, left: {left}")
    with closing(sqlite3.connect(folder / "ledger" / "ledger.sqlite3")) as database:
        read_attempts = "SELECT attempt_id, output_tokens, cost_usd, status FROM attempts"
        booked = {row[0]: row[1:] for row in database.execute(read_attempts)}
    log = folder / "served.jsonl"
    for line in log.read_text().splitlines():
        account = json.loads(line)
        tokens, cost, state = booked.pop(account["attempt_id"], (None, None, "not booked"))
        same = cost is not None and Decimal(cost) == Decimal(account["charge_usd"])
        if state != "finished" or not (same and tokens == account["usage"]["output_tokens"]):
            wrong.append(f"served, and booked as {state}, {tokens} tokens, {cost}: {account}")
    wrong += [f"{name} is still running" for name, (_, _, s) in booked.items() if s == "running"]
    return wrong


def figures_of(asked: Sequence[One], rows: Sequence[RequestRow], took_s: float) -> dict[str, Any]:
    times: dict[str, list[float]] = {}
    for one in asked:
        if one.took_s is not None and one.leaves_s is None:
            times.setdefault("all", []).append(one.took_s)
            times.setdefault("streams" if one.stream else "whole", []).append(one.took_s)
    left = sum(one.leaves_s is not None and not one.heard.whole for one in asked)
    found: dict[str, Any] = {"requests": len(asked), "left_in_the_middle": left}
    found["booked"] = dict(Counter(row.status for row in rows))
    found["per_s"] = len(asked) / took_s
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=100)
        found[f"{name}_s"] = {"p50": cuts[49], "p99": cuts[98], "most": max(values)}
    return found


def run(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    asked = mixed(args.requests, args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, configured(folder)) as (process, port):
            began = time.perf_counter()
            memory = asyncio.run(ask_all(port, asked, args.at_once, process.pid))
            took_s = time.perf_counter() - began
            asyncio.run(at_rest(port))
            with Report.open(folder / "ledger") as report:
                rows = report.recent(2 * args.requests)
            wrong = ledger_faults(folder, asked, rows)
    answers = [
        f"{one.user} {one.dialect} {one.kind}: {one.fault()}" for one in asked if one.fault()
    ]
    figures = figures_of(asked, rows, took_s)
    figures |= {"lost_or_wrong": len(answers), "booked_wrongly": len(wrong)}
    figures["memory_mb_by_tenth"] = [round(mb, 1) for mb in memory]
    return figures, [*answers, *wrong]


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--requests", type=int, default=10_000)
    made.add_argument("--at-once", type=int, default=200)
    made.add_argument("--seed", type=int, default=7)
    args = made.parse_args()
    said = conditions("uvicorn")
    figures, wrong = run(args)
    print(json.dumps(figures, indent=2))
    write(args.json, said, figures)
    for line in wrong[:50]:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
