"""What booking costs: CPU on the caller's side for each line, and rows a second into the tables.

    python benchmarks/ledger.py [--requests 5000] [--json FILE]

A request here is one device hop that is deferred and one cloud hop that answers: two `begin`, two
`end`, one `close_request` with a trace of eight steps. The caller's side is measured with the
ledger's thread held back, so that the two don't blur; then both run together.

`loop_us_per_request` and `thread_us_per_request` are of the other usual request: one hop, one
attempt, a trace of four steps of the policy's own kind, the result going out with the end. The
first is the median over pieces of 100 requests. All are warm: one request right after another.
In an app, with other work between, caches are cold and each costs more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.hops import Attempt, Cause, Hop, HopStatus, Outcome
from router.ledger import Began, Closed, Ledger
from router.policy.explain import PolicyTrace
from router.policy.predicates import Test
from router.policy.trace import Check, Note, Taken
from router.types import Usage

REVISION = "1146a941c0de4f00"
PIECE = 100


class Trace:
    def lines(self, hops: tuple[Hop, ...]) -> list[str]:
        return []

    def as_json(self) -> list[dict[str, Any]]:
        step = {"kind": "accept", "id": "sure-enough", "holds": False, "signal": "draft.confidence"}
        return [{**step, "value": 0.48, "op": "gte", "wants": 0.62} for _ in range(8)]


def began(decision_id: str, hop: int) -> Began:
    cause: Cause = "escalation" if hop else "start"
    return Began(
        decision_id=decision_id,
        hop=hop,
        attempt_id=f"{decision_id}-{hop}-1",
        number=1,
        started_at=1_780_000_000.25,
        policy="balanced",
        policy_revision=REVISION,
        target="cloud-fast" if hop else "device",
        tier="cloud-fast" if hop else "device",
        provider="azure_ai" if hop else "device",
        model="gpt-5.6-luna" if hop else "phi-3.5-mini",
        cause=cause,
        because="draft.confidence 0.48 >= 0.62 fails" if hop else "the policy begins here",
        label="public",
        tags={"team": "search"},
    )


def attempt(decision_id: str, hop: int) -> Attempt:
    return Attempt(
        attempt_id=f"{decision_id}-{hop}-1",
        number=1,
        started_at=1_780_000_000.25,
        total_s=1.25,
        ttft_s=0.21,
        tpot_s=0.043,
        usage=Usage(input_tokens=41, output_tokens=25),
        cost_usd=Decimal("0.0000382") if hop else Decimal(0),
        price="azure_ai/gpt-5.6-luna@2026-08-21" if hop else "device/*@2024-01-01",
        model_served="gpt-5.6-luna-2026-06-01" if hop else "phi-3.5-mini",
        request_id="req-0123456789abcdef",
        finish="stop",
    )


def closed(decision_id: str) -> Closed:
    hops = []
    for index in (0, 1):
        began_ = began(decision_id, index)
        status: HopStatus = "answered" if index else "deferred"
        attempt_ = attempt(decision_id, index)
        hops.append(
            Hop(
                index=index,
                target=began_.target,
                tier=began_.tier,
                provider=began_.provider,
                model=began_.model,
                cause=began_.cause,
                because=began_.because,
                status=status,
                left="accepted" if index else "draft.confidence 0.48 >= 0.62 fails",
                attempts=(attempt_,),
                total_s=1.25,
                cost_usd=attempt_.cost_usd,
                signals={"draft.confidence": 0.48, "draft.finish": "stop", "prompt.tokens": 41},
            )
        )
    outcome = Outcome(
        decision_id=decision_id,
        started_at=1_780_000_000.0,
        policy="balanced",
        policy_revision=REVISION,
        status="answered",
        answered_by=1,
        hops=tuple(hops),
        flags=(),
        ttfb_s=1.9,
        total_s=2.6,
        cost_usd=Decimal("0.0000382"),
        trace=Trace(),
    )
    return Closed(outcome=outcome, label="public", tags={"team": "search"})


def of_one_hop(decision_id: str) -> tuple[Began, Attempt, Closed]:
    """A request that one cloud answered, as the shipped policies trace it."""
    began_, attempt_ = began(decision_id, 0), attempt(decision_id, 0)
    label, finish = "request.label", "draft.finish"
    before, after = {label: "public"}, {label: "public", finish: "stop"}
    private = Test(label, "in", ("pii", "secret"))
    finished = Test(finish, "in", ("stop", "tool_calls"))
    trace = PolicyTrace(
        (
            Check("guard", "private-is-refused", False, "", private, before),
            Note("tier cloud-strong skipped: no target serves it"),
            Taken(0, "start", "the first tier", commits=True),
            Check("accept", "finished", True, "", finished, after),
        )
    )
    two = closed(decision_id)
    last = replace(two.outcome.hops[1], index=0, cause="start", attempts=(attempt_,))
    outcome = replace(two.outcome, answered_by=0, hops=(last,), trace=trace, signals=before)
    return began_, attempt_, replace(two, outcome=outcome)


def one_hop(folder: Path, requests: int, number: int) -> dict[str, float]:
    """CPU microseconds of a whole request: on the caller's side, and to take it in."""
    ledger = Ledger.open(folder, batch_s=3600.0)
    made = [of_one_hop(f"01JD{number:04d}{i:018d}") for i in range(requests)]
    pieces = []
    for first in range(0, requests, PIECE):
        piece = made[first : first + PIECE]
        start = time.thread_time()
        for intent, result, request in piece:
            ledger.begin(intent)
            ledger.end(intent.decision_id, 0, result, more_follows=True)
            ledger.close_request(request)
        pieces.append((time.thread_time() - start) / len(piece) * 1e6)
    cpu = time.process_time()
    if not ledger.flush(600.0):
        raise SystemExit("the tables did not take everything")
    thread = (time.process_time() - cpu) / requests * 1e6
    ledger.close()
    return {"loop_us_per_request": statistics.median(pieces), "thread_us_per_request": thread}


def cpu_us(call: Callable[..., None], each: Sequence[tuple[Any, ...]]) -> float:
    """Mean CPU microseconds of this thread for one call."""
    start = time.thread_time()
    for arguments in each:
        call(*arguments)
    return (time.thread_time() - start) / len(each) * 1e6


def one_round(folder: Path, requests: int, number: int) -> dict[str, float]:
    """CPU microseconds a line, then rows (five a request) a second of taking the same lines in."""
    ledger = Ledger.open(folder, batch_s=3600.0)
    ids = [f"01JB{number:04d}{i:018d}" for i in range(requests)]
    figures = {
        "begin_us": cpu_us(ledger.begin, [(began(i, hop),) for i in ids for hop in (0, 1)]),
        "end_us": cpu_us(ledger.end, [(i, hop, attempt(i, hop)) for i in ids for hop in (0, 1)]),
        "close_us": cpu_us(ledger.close_request, [(closed(i),) for i in ids]),
    }
    start, cpu = time.perf_counter(), time.process_time()
    if not ledger.flush(600.0):
        raise SystemExit("the tables did not take everything")
    figures["rows_per_s"] = 5 * requests / (time.perf_counter() - start)
    figures["intake_cpu_us_per_request"] = (time.process_time() - cpu) / requests * 1e6
    ledger.close()
    return figures


def together(folder: Path, requests: int) -> dict[str, float]:
    """Wall time of a line while the thread is at work, which is what a request feels."""
    ledger = Ledger.open(folder)
    waits = []
    for i in range(requests):
        decision_id = f"01JC{i:022d}"
        for hop in (0, 1):
            intent, result = began(decision_id, hop), attempt(decision_id, hop)
            start = time.perf_counter()
            ledger.begin(intent)
            ledger.end(decision_id, hop, result)
            waits.append((time.perf_counter() - start) / 2)
        request = closed(decision_id)
        ledger.close_request(request)
        time.sleep(0.0005)  # about two thousand requests a second at most
    ledger.close()
    waits.sort()
    return {
        "line_wall_us_p50": waits[len(waits) // 2] * 1e6,
        "line_wall_us_p99": waits[len(waits) * 99 // 100] * 1e6,
        "line_wall_us_max": waits[-1] * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rounds = [
            one_round(Path(temporary) / "apart", options.requests, number)
            | one_hop(Path(temporary) / "one-hop", options.requests, number)
            for number in range(options.rounds)
        ]
        figures = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
        figures |= together(Path(temporary) / "together", options.requests)
    report = {
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        **{name: round(value, 2) for name, value in figures.items()},
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
