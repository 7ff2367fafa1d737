"""The router among clouds that fail: `benchmarks/chaos.py` with a short seed, or a long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.effort import SOAK

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
REQUESTS = 5000 if SOAK else 400


@pytest.mark.parametrize(
    "death",
    [["--death", "refuse"], ["--death", "silent", *([] if SOAK else ["--first-act"])]],
    ids=["refuses", "falls silent"],
)
def test_no_promise_breaks_while_clouds_fail_and_one_dies(death: list[str], tmp_path: Path) -> None:
    report = tmp_path / "chaos.json"

    options = ["--requests", str(REQUESTS), "--seed", "11", *death, "--json", str(report)]
    ran = subprocess.run(
        [sys.executable, str(CHAOS), *options],
        capture_output=True,
        text=True,
        timeout=1000,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    acts = json.loads(report.read_text())["figures"]["acts"]
    act = acts["one healthy"]
    assert act["requests"] >= REQUESTS
    assert act["answered_share"] >= 0.99
    assert act["failed_upstream_share"] > 0.05  # a breaker keeps many of the bad calls away
    assert len(act["failures_by_kind"]) > 15
    assert act["counts"]["arrived"] == act["counts"]["upstream requests"]
    # Dead halfway: from there on the second target is asked first.
    assert act["requests_by_target"]["b"] > REQUESTS / 3
    assert "--first-act" in death or {"none healthy", "401", "410", "429 daily"} <= set(acts)
