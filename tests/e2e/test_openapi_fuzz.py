"""The running server against its own OpenAPI document, by schemathesis: requests good and bad."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.effort import SOAK
from support.sidecar import serving

SEED = 20260101
RULES = f"""\
hooks = "{(Path(__file__).parents[1] / "support" / "plausible.py").as_posix()}"
[checks]
negative_data_rejection.expected-statuses = ["4xx"]
# Whether well-formed is answerable is the policy's and the targets' to say, and in no schema.
positive_data_acceptance.enabled = false
"""


def explored(folder: Path, *how: str) -> None:
    """Send a server what schemathesis makes up. It fails with its report."""
    rules = folder / "schemathesis.toml"
    rules.write_text(RULES, encoding="utf-8")
    with serving(folder) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli"),
                *("--config-file", str(rules), *how),
                *("--seed", str(SEED), "--no-color"),
                f"http://127.0.0.1:{server.port}/openapi.json",
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            cwd=folder,
        )
        assert server.process.poll() is None
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@pytest.mark.timeout(900)
def test_no_answer_is_a_fault_or_something_the_document_does_not_say(tmp_path: Path) -> None:
    explored(tmp_path, "run", "--max-examples", "200" if SOAK else "10")


if SOAK:

    @pytest.mark.timeout(900)
    def test_nothing_is_found_in_ten_minutes_either(tmp_path: Path) -> None:
        explored(tmp_path, "fuzz", "--max-time", "600")
