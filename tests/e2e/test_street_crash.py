"""A thousand requests, killed in the middle: the ledger agrees with what was really served."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from support.effort import times

from router.ledger.report import Report

DRIVER = Path(__file__).parent.parent / "support" / "street_driver.py"
REQUESTS = 1000


def config(folder: Path) -> Path:
    """A priced device that is sometimes unsure and a priced cloud that sometimes fails."""

    def target(
        tier: str, steps: list[dict[str, object]], usd: tuple[str, str]
    ) -> dict[str, object]:
        price = {"input_usd_per_1m": usd[0], "output_usd_per_1m": usd[1]}
        return {
            "tier": tier,
            "provider": "scripted",
            "model": tier,
            "price": f"line-{tier}",
            "options": {"steps": steps, "served_log": str(folder / "served.jsonl"), "price": price},
        }

    delay = {"ttft_s": 0.002, "tpot_s": 0.001}
    device = [
        {"match": "sure", "text": "yes it is so", "mean_logprob": -0.1, **delay},
        {"text": "perhaps it is", "mean_logprob": -3, **delay},
    ]
    cloud = [
        {"text": "the cloud has an answer", **delay},
        {"fail": {"kind": "unavailable"}, **delay},
        {"text": "the cloud has another", **delay},
    ]
    prices = [
        {
            "id": f"line-{tier}",
            "provider": "scripted",
            "model": tier,
            "input_usd_per_1m": usd[0],
            "output_usd_per_1m": usd[1],
            "source": "this test",
            "checked": "2026-11-22",
            "valid_from": "2024-01-01",
        }
        for tier, usd in (("device", ("1.5", "3")), ("cloud-fast", ("20", "70")))
    ]
    (folder / "prices.yaml").write_text(json.dumps({"prices": prices}, indent=1))
    made = {
        "version": 1,
        "policy": "balanced",
        "prices": "prices.yaml",
        "ledger": {"folder": str(folder / "ledger")},
        "targets": {
            "device": target("device", device, ("1.5", "3")),
            "cloud": target("cloud-fast", cloud, ("20", "70")),
        },
    }
    path = folder / "firsthop.yaml"
    path.write_text(json.dumps(made, indent=1))
    return path


def served(folder: Path) -> dict[str, Decimal]:
    """What the script says it served, by attempt."""
    log = folder / "served.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    lines = [line for line in lines if line.endswith("\n")]  # the last may be under way
    rows = [json.loads(line) for line in lines]
    found = {row["attempt_id"]: Decimal(row["charge_usd"]) for row in rows}
    assert len(found) == len(rows), "the script served an attempt twice"
    return found


@pytest.mark.parametrize("seed", range(times(2)))
def test_the_ledger_agrees_with_what_was_served_after_a_kill(tmp_path: Path, seed: int) -> None:
    path = config(tmp_path)
    command = [sys.executable, str(DRIVER), str(path), str(REQUESTS)]
    killed_after = random.Random(seed).randint(REQUESTS // 4, REQUESTS)
    first = subprocess.Popen(command)
    try:
        until = time.monotonic() + 60
        while len(served(tmp_path)) < killed_after and first.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert first.poll() is None, "the run ended before it could be killed"
    finally:
        first.kill()
        first.wait()
    subprocess.run(command, check=True, timeout=120)

    charged = served(tmp_path)
    with Report.open(tmp_path / "ledger") as report:
        rows = [report.request(row.decision_id) for row in report.recent(10 * REQUESTS)]
    attempts = [attempt for row in rows for hop in row.hops for attempt in hop.attempts]
    by_id = {attempt.attempt_id: attempt for attempt in attempts}

    assert len(by_id) == len(attempts)
    assert set(charged) <= set(by_id)
    assert {a.status for a in attempts} == {"finished", "interrupted"}
    assert all(a.cost_usd is None for a in attempts if a.status == "interrupted")
    good = [a for a in attempts if a.status == "finished" and a.error_kind is None]
    assert sum(a.cost_usd or 0 for a in good) == sum(charged[a.attempt_id] for a in good)
    interrupted = [row for row in rows if row.request.status == "interrupted"]
    assert interrupted
    assert all(row.request.cost_usd is None for row in interrupted)
