"""A process to be killed: books requests whose attempts are served by an independent script.

    python ledger_driver.py book FOLDER SERVED FIRST LAST SEED
    python ledger_driver.py read FOLDER
    python ledger_driver.py fork FOLDER
    python ledger_driver.py orphan FOLDER

`book` walks requests FIRST to LAST on four threads; every second one lets its results go out with
the line that follows. What was served is written to SERVED by one
append each, in the script's own arithmetic: whole picodollars, no price line, no `Decimal`. Then
it prints "done" and waits to be killed, or for its input to end. `read` takes in and finishes
whatever lies in FOLDER, once. `fork` books on both sides of a fork. `orphan` forks a child and is
gone at once itself, with an attempt under way; the child books, prints "ready", and waits for its
input to end.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.booking import attempt, began, closed, hop

from router.hops import Attempt, Hop
from router.ledger import Ledger, PriceLine, Report
from router.ledger.pricing import cost
from router.types import Usage

THREADS = 4
INPUT_PICO, OUTPUT_PICO = 200_000, 1_200_000
LINE = PriceLine(
    id="scripted/script@2026-01-01",
    provider="scripted",
    model="script",
    input_usd_per_1m=Decimal("0.20"),
    output_usd_per_1m=Decimal("1.20"),
    source="the script",
    checked=date(2026, 1, 1),
    valid_from=date(2026, 1, 1),
)


class Script:
    """Serves attempts and keeps its own book of what each one cost."""

    def __init__(self, served: Path) -> None:
        self.fd = os.open(
            served, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        )

    def serve(self, attempt_id: str, dice: random.Random) -> Usage:
        given, made = dice.randrange(1, 4000), dice.randrange(1, 900)
        pico = given * INPUT_PICO + made * OUTPUT_PICO
        line = json.dumps({"attempt_id": attempt_id, "pico_usd": pico}) + "\n"
        os.write(self.fd, line.encode())
        return Usage(input_tokens=given, output_tokens=made)


def walk(ledger: Ledger, script: Script, number: int, seed: int) -> None:
    """One request: one to three hops, each with up to three attempts, the last one well."""
    dice = random.Random(seed * 1_000_003 + number)
    name = f"r{number:06d}"
    hops: list[Hop] = []
    for index in range(dice.randrange(1, 4)):
        tries: list[Attempt] = []
        for count in range(1, dice.choice((1, 1, 2, 3)) + 1):
            start = began(name, index, count)
            ledger.begin(start)
            usage = script.serve(start.attempt_id, dice)
            paid = cost(LINE, usage)
            tries.append(
                attempt(name, index, count, cost_usd=str(paid), usage=usage, price=LINE.id)
            )
            ledger.end(name, index, tries[-1], more_follows=number % 2 == 0)
        hops.append(hop(name, index, attempts=tuple(tries)))
    ledger.close_request(closed(name, *hops))
    if number % 10 == 0:
        ledger.feedback(name, good=True)


def book(folder: Path, served: Path, first: int, last: int, seed: int) -> None:
    # Even seeds take in at once and rotate often, so that a kill meets every step of both; odd
    # ones leave everything in the journal.
    ledger = Ledger.open(folder, batch_s=3600.0 * (seed % 2), rotate_bytes=30_000)
    script = Script(served)
    with ThreadPoolExecutor(THREADS) as pool:
        for result in [pool.submit(walk, ledger, script, n, seed) for n in range(first, last)]:
            result.result()
    print("done", flush=True)
    sys.stdin.read()
    ledger.close()


def read(folder: Path) -> None:
    with Report.open(folder) as report:
        print(report.totals().requests, flush=True)


def fork(folder: Path) -> None:
    if sys.platform == "win32":
        raise SystemExit("there is no fork here")
    ledger = Ledger.open(folder, batch_s=0.0)
    ledger.begin(began("parent"))
    before = threading.active_count()
    child = os.fork()
    if child == 0:
        ledger.begin(began("child-1"))
        ledger.end("child-1", 0, attempt("child-1"))
        ledger.close_request(closed("child-1", hop("child-1")))
        ledger.begin(began("child-2"))
        ledger.feedback("child-1", good=True)
        ledger.flush()
        os._exit(0 if before == 2 else 1)
    _, status = os.waitpid(child, 0)
    # The child is dead and its run can be finished; the parent's is not.
    read(folder)
    ledger.end("parent", 0, attempt("parent"))
    ledger.close_request(closed("parent", hop("parent")))
    ledger.close()
    raise SystemExit(os.waitstatus_to_exitcode(status))


def orphan(folder: Path) -> None:
    if sys.platform == "win32":
        raise SystemExit("there is no fork here")
    ledger = Ledger.open(folder)
    ledger.begin(began("parent"))
    if os.fork() == 0:
        ledger.begin(began("child"))
        print("ready", flush=True)
        sys.stdin.read()
        ledger.end("child", 0, attempt("child"))
        ledger.close()
    os._exit(0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["book", folder, served, first, last, seed]:
            book(Path(folder), Path(served), int(first), int(last), int(seed))
        case ["read", folder]:
            read(Path(folder))
        case ["fork", folder]:
            fork(Path(folder))
        case ["orphan", folder]:
            orphan(Path(folder))
        case other:
            raise SystemExit(f"can't do {other}")
