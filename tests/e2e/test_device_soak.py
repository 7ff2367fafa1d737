"""Many short requests to one worker: `benchmarks/device_soak.py` with a tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.effort import SOAK
from support.tiny_phi3 import build_tiny_phi3

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "device_soak.py"
REQUESTS = 10_000 if SOAK else 300


@pytest.mark.timeout(3600 if SOAK else 120)
def test_nothing_grows_and_nothing_is_left_after_many_short_requests(tmp_path: Path) -> None:
    model = build_tiny_phi3(tmp_path / "phi3")
    report = tmp_path / "soak.json"

    options = ["--model", model, "--requests", str(REQUESTS), "--json", report, "--keep-mb", "4"]
    ran = subprocess.run(
        [sys.executable, SCRIPT, *options],
        capture_output=True,
        text=True,
        timeout=3500 if SOAK else 100,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(report.read_text())["figures"]
    assert figures["requests"] == REQUESTS
    assert all(count > REQUESTS // 50 for count in figures["kinds"].values())
    assert figures["memory_growth"] <= 1.05
    assert len(figures["looks"]) >= 20
