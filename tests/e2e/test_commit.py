"""No byte of a dropped draft on the socket: `benchmarks/commit.py` with 60 requests, or 500."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.effort import SOAK

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_no_byte_of_a_dropped_draft_is_seen_and_early_policies_speak_early(tmp_path: Path) -> None:
    report = tmp_path / "commit.json"
    count = 500 if SOAK else 60
    script = [sys.executable, str(BENCHMARKS / "commit.py"), "--requests", str(count)]

    ran = subprocess.run(
        [*script, "--json", str(report)], capture_output=True, text=True, timeout=300, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(report.read_text())["figures"]
    assert figures["faults"] == 0
    assert figures["answered"] + figures["cut_after_commit"] + figures["failed"] == count
    assert figures["dropped_drafts"] > count / 2
    assert len(figures["by_dialect"]) == 3
    early, held = figures["kept"]["early"], figures["kept"]["held"]
    for measure in ("by_client_time", "by_ledger_tokens"):
        assert early[measure]["before_last_quarter_share"] >= 0.3
        assert held[measure]["before_last_quarter_share"] == 0


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import commit

    return commit


def test_one_stray_byte_or_a_lost_word_would_be_told(commit: Any) -> None:
    dice = random.Random(1)
    question = commit.questions(1, commit.made(dice), dice)[0]
    question = replace(question, policy="racing")
    wrote = question.drafts["fast"].text
    request = SimpleNamespace(answered_by=1, path=("device", "fast"), flags=())
    row = SimpleNamespace(request=request)

    def told(raw: bytes, *texts: str, ended: bool = True) -> list[str]:
        reply = commit.Reply(raw, 200, texts, ended=ended, error=None)
        return list(commit.faults(question, reply, row))

    assert told(wrote.encode(), wrote) == []
    assert told(wrote.encode() + "\u03b1".encode()[:1], wrote)
    assert told(wrote.encode() + b"\\u03b4", wrote)
    assert told(wrote.encode(), wrote[:-1])
    assert told(wrote.encode(), wrote, ended=False)
