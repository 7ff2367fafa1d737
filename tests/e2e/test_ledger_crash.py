"""Real processes, really killed: what the script served is in the ledger, once, to the cent.

Three seeds as a rule, many under `make soak`.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from support.effort import times

DRIVER = Path(__file__).parents[1] / "support" / "ledger_driver.py"
REQUESTS = 1000
THREADS = 4
SEEDS = range(times(3))


def started(*args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(DRIVER), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """Let it end by itself. Returns what it printed."""
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def served_by(log: Path) -> dict[str, int]:
    """Picodollars by attempt, as the script wrote them down."""
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    assert len({e["attempt_id"] for e in entries}) == len(entries)
    return {e["attempt_id"]: e["pico_usd"] for e in entries}


def wait_until_served(log: Path, lines: int, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 60
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < lines):
        assert time.monotonic() < give_up
        time.sleep(0.002)


@dataclass(frozen=True)
class Found:
    """What stands in the tables."""

    attempts: list[tuple[str, str, str | None, int | None]]
    requests: Counter[str]
    hops: Counter[str]
    labels: Counter[str]
    torn: int
    journals: int


def tables(folder: Path) -> Found:
    db = sqlite3.connect(folder / "ledger.sqlite3")
    try:
        return Found(
            attempts=db.execute(
                "SELECT attempt_id, status, cost_usd, cost_pico_usd FROM attempts"
            ).fetchall(),
            requests=Counter(dict(db.execute("SELECT status, COUNT(*) FROM requests GROUP BY 1"))),
            hops=Counter(dict(db.execute("SELECT status, COUNT(*) FROM hops GROUP BY 1"))),
            labels=Counter(id for (id,) in db.execute("SELECT decision_id FROM labels")),
            torn=db.execute("SELECT COUNT(*) FROM torn").fetchone()[0],
            journals=db.execute("SELECT COUNT(*) FROM journals").fetchone()[0],
        )
    finally:
        db.close()


def check(folder: Path, log: Path, *, kills: int) -> Found:
    """The promise: each served attempt has exactly one row; finished dollars are the script's."""
    found = tables(folder)
    served = served_by(log)
    rows = Counter(attempt_id for attempt_id, *_ in found.attempts)
    assert [a for a in served if rows[a] != 1] == []
    assert max(rows.values()) == 1
    finished = {a: (usd, pico) for a, status, usd, pico in found.attempts if status == "finished"}
    cut = {a: (usd, pico) for a, status, usd, pico in found.attempts if status == "interrupted"}
    assert len(finished) + len(cut) == len(found.attempts)
    assert set(finished) <= set(served)
    for attempt_id, (usd, pico) in finished.items():
        assert Decimal(usd or "NaN") == Decimal(served[attempt_id]).scaleb(-12)
        assert pico == served[attempt_id]
    assert set(cut.values()) <= {(None, None)}, "what was cut off cost an unknown amount"
    assert len(cut) <= THREADS * kills
    assert found.requests["interrupted"] <= THREADS * kills
    assert found.requests["running"] == found.hops["running"] == 0
    assert set(found.labels.values()) <= {1}
    # Linux stops a killed process's `write` at a page's border too: of the one line that was being
    # written, of an attempt nobody was served, a piece may be left. It is noted and costs no other.
    assert found.torn <= kills
    assert found.journals == 0
    assert list((folder / "journal").iterdir()) == []
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thousand_requests_killed_in_the_middle_and_restarted(tmp_path: Path, seed: int) -> None:
    folder, log = tmp_path / "ledger", tmp_path / "served.jsonl"
    dice = random.Random(seed)
    first, kills = 0, 0
    for stop in sorted(dice.sample(range(1, 2800), 2)):
        process = started("book", folder, log, first, REQUESTS, seed)
        wait_until_served(log, stop, process)
        kills += process.poll() is None
        killed(process)
        # Those that were under way are never asked again: their names are in the ledger already.
        begun = max((int(a[1:7]) for a in served_by(log)), default=first)
        first = begun + THREADS
    process = started("book", folder, log, first, REQUESTS, seed)
    assert ended(process) == "done\n"
    found = check(folder, log, kills=kills)
    assert found.requests["answered"] >= REQUESTS - kills * 2 * THREADS


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_finishes_a_dead_run_may_be_killed_too(tmp_path: Path, seed: int) -> None:
    folder, log = tmp_path / "ledger", tmp_path / "served.jsonl"
    dice = random.Random(seed)
    process = started("book", folder, log, 0, 400, seed)
    wait_until_served(log, dice.randrange(300, 700), process)
    killed(process)
    for _ in range(4):
        reader = started("read", folder)
        time.sleep(dice.uniform(0.05, 0.35))  # from its start to past its end
        killed(reader)
    ended(started("read", folder))
    check(folder, log, kills=1)


def test_processes_share_a_folder_while_one_is_killed_and_others_read(tmp_path: Path) -> None:
    folder, log = tmp_path / "ledger", tmp_path / "served.jsonl"
    writers = [started("book", folder, log, n * 1000, n * 1000 + 150, 7) for n in range(3)]
    wait_until_served(log, 200, writers[0])
    killed(writers[0])
    for _ in range(3):
        ended(started("read", folder))
    for writer in writers[1:]:
        ended(writer)
    ended(started("read", folder))
    found = check(folder, log, kills=1)
    assert found.requests["answered"] >= 300


def test_a_clean_end_leaves_nothing_interrupted(tmp_path: Path) -> None:
    folder, log = tmp_path / "ledger", tmp_path / "served.jsonl"
    ended(started("book", folder, log, 0, 100, 3))
    found = check(folder, log, kills=0)
    assert found.requests == Counter(answered=100)
    assert sum(found.labels.values()) == 10


def test_both_sides_of_a_fork_book_and_neither_takes_the_other_for_dead(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    folder = tmp_path / "ledger"
    ended(started("fork", folder))
    found = tables(folder)
    assert {a: status for a, status, *_ in found.attempts} == {
        "parent-0-1": "finished",
        "child-1-0-1": "finished",
        "child-2-0-1": "interrupted",
    }
    assert found.requests == Counter(answered=2, interrupted=1)
    assert list((folder / "journal").iterdir()) == []


def test_a_child_that_lives_on_does_not_keep_its_parent_s_run_alive(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    folder = tmp_path / "ledger"
    process = started("orphan", folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.wait(timeout=60)

    ended(started("read", folder))
    found = tables(folder)
    assert {a: status for a, status, *_ in found.attempts} == {
        "parent-0-1": "interrupted",
        "child-0-1": "running",
    }

    process.communicate(timeout=60)
    assert {a: status for a, status, *_ in tables(folder).attempts} == {
        "parent-0-1": "interrupted",
        "child-0-1": "finished",
    }
