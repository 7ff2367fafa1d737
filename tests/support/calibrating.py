"""`firsthop` in a folder of its own with a scripted device and cloud, for tests of calibrating."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from router.calibration.labelled import Labelled
from router.cli.app import main

CONFIG = """\
version: 1
policy: balanced
ledger: {folder: ledger, keep_text: true}
targets:
  device:
    tier: device
    provider: scripted
    model: tiny
    options:
      steps:
        - {match: odd, text: "#### 6", mean_logprob: -1.5}
        - {text: "#### 5", mean_logprob: -0.1}
  cloud:
    tier: cloud-fast
    provider: scripted
    model: large
    options:
      steps: [{text: "#### 5"}]
prices: own.yaml
"""
PRICES = """\
prices:
  - {id: ours, provider: scripted, model: large, input_usd_per_1m: "1", output_usd_per_1m: "1",
     source: us, checked: 2026-01-01, valid_from: 2026-01-01}
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def firsthop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """The command in this process, in a folder of its own with a config."""
    (tmp_path / "firsthop.yaml").write_text(CONFIG)
    (tmp_path / "own.yaml").write_text(PRICES)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["firsthop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return run


def write(path: Path, rows: list[Labelled]) -> Path:
    """Rows as a file: their drafts say nothing, their log-probabilities much."""
    path.write_text(
        "".join(
            json.dumps(
                {
                    "prompt": row.key,
                    "draft": "an answer",
                    "logprobs": list(row.logprobs),
                    "right": row.right,
                    "strong_right": row.strong_right,
                    "task": row.task,
                    "language": row.language,
                    "cost": row.cost_usd,
                }
            )
            + "\n"
            for row in rows
        )
    )
    return path
