"""The command as a shell sees it: what goes to which stream, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "firsthop"]


def firsthop(
    *words: str, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], input=stdin, cwd=cwd, capture_output=True, text=True, check=False
    )


def ask(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return firsthop("ask", "--config", "scripted", *words, stdin=stdin)


def test_only_the_answer_goes_to_standard_output() -> None:
    done = ask("the capital of France?", "--explain")

    assert done.returncode == 0
    assert done.stdout == "The capital of France is Paris.\n"
    assert "sure-enough" in done.stderr


def test_the_question_may_come_from_standard_input() -> None:
    assert ask("-", stdin="the capital of France?").stdout == "The capital of France is Paris.\n"


def test_json_is_one_object_with_hops_and_trace() -> None:
    found = json.loads(ask("hm?", "--json").stdout)

    assert found["status"] == "answered"
    assert [hop["cause"] for hop in found["hops"]] == ["start", "escalation"]
    assert found["hops"][0]["signals"]["draft.mean_logprob"] == -1.4
    assert any(entry.get("id") == "sure-enough" for entry in found["trace"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("hm?", "--policy", "balancd"), 2, "did you mean 'balanced'?"),
        (("hm?", "--config", "scriptd"), 2, "did you mean 'scripted'?"),
        (("hm?", "--tag", "x"), 2, "NAME=VALUE"),
        (("hm?", "--label", "hush"), 2, "hush"),
        (("hm?", "--label", "pii", "--target", "cloud"), 3, "private-stays-home"),
        (("hm?", "--max-cost", "lots"), 2, "no amount of dollars"),
        (("  ",), 2, "nothing was asked"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    words: tuple[str, ...], code: int, says: str
) -> None:
    done = ask(*words)

    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def write(folder: Path, steps: str, *, policy: str = "device-only") -> Path:
    path = folder / "firsthop.yaml"
    path.write_text(
        f"version: 1\npolicy: {policy}\ntargets:\n  device:\n    tier: device\n"
        f"    provider: scripted\n    model: script\n    options:\n      steps: [{steps}]\n"
    )
    return path


def test_no_answer_names_what_each_target_said(tmp_path: Path) -> None:
    config = write(tmp_path, "{fail: {kind: gone, message: it was turned off}}")
    done = firsthop("ask", "hm?", "--config", str(config))

    assert done.returncode == 1
    assert "it was turned off" in done.stderr


def test_a_deadline_without_an_answer_is_a_limit(tmp_path: Path) -> None:
    config = write(tmp_path, "{hang: true}")
    done = firsthop("ask", "hm?", "--config", str(config), "--deadline", "0.3")

    assert done.returncode == 4
    assert "deadline_s" in done.stderr


def test_a_config_in_the_working_folder_is_found(tmp_path: Path) -> None:
    write(tmp_path, "{text: from here}")

    assert firsthop("ask", "hm?", cwd=tmp_path).stdout == "from here\n"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
def test_ctrl_c_ends_with_130_and_books_the_request(tmp_path: Path) -> None:
    config = write(tmp_path, "{hang: true}")
    going = subprocess.Popen(
        [*COMMAND, "ask", "hm?", "--config", str(config)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    journal = Path(os.environ["FIRSTHOP_HOME"]) / "ledger" / "journal"
    until = time.monotonic() + 20
    while not any(f.stat().st_size for f in journal.glob("*.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.02)
    going.send_signal(signal.SIGINT)
    _, said = going.communicate(timeout=20)

    assert going.returncode == 130
    assert "Traceback" not in said
    rows = json.loads(firsthop("ledger", "--json", "--config", str(config)).stdout)
    assert [row["status"] for row in rows] == ["cancelled"]


def test_the_ledger_shows_the_last_requests_and_one_in_full() -> None:
    ask("hm?", "--tag", "team=search")
    listed = firsthop("ledger", "--config", "scripted")
    decision = listed.stdout.splitlines()[1].split()[0]
    shown = firsthop("ledger", "show", decision[:12], "--config", "scripted")
    totals = firsthop("ledger", "totals", "--config", "scripted")

    assert "device > cloud" in listed.stdout
    assert "sure-enough does not hold" in shown.stdout
    assert "draft.mean_logprob = -1.4" in shown.stdout
    assert "deferral rate 100.0%" in totals.stdout
    assert "\x1b[" not in listed.stdout + shown.stdout + totals.stdout


def test_an_unknown_decision_is_an_error() -> None:
    done = firsthop("ledger", "show", "01JB7QNOSUCH", "--config", "scripted")

    assert done.returncode == 1
    assert "no request" in done.stderr


def test_doctor_says_what_is_there_and_what_is_not() -> None:
    done = firsthop("doctor", "--config", "scripted")

    assert done.returncode == 0
    assert "balanced@" in done.stdout
    assert "cloud-strong" in done.stdout

    findings = json.loads(firsthop("doctor", "--json").stdout)
    skipped = {f["what"]: f["says"] for f in findings if "left out" in f["says"]}
    assert "AZURE_AI_ENDPOINT" in skipped["azure"]
    assert "NVIDIA_API_KEY" in skipped["nim"]


def test_a_broken_config_names_file_line_and_field(tmp_path: Path) -> None:
    path = write(tmp_path, "{text: x}")
    path.write_text(path.read_text().replace("tier: device", "teir: device"))
    done = firsthop("ask", "hm?", "--config", str(path))

    assert done.returncode == 2
    assert "firsthop.yaml:5" in done.stderr
    assert "targets.device.teir" in done.stderr
    assert "did you mean 'tier'?" in done.stderr


def test_models_that_are_not_here_say_how_to_get_them() -> None:
    done = firsthop("models", "path", "phi-3.5-min")

    assert done.returncode == 1
    assert "phi-3.5-mini" in done.stderr


def test_the_models_list_is_plain_and_has_both() -> None:
    done = firsthop("models", "list")

    assert done.returncode == 0
    assert "phi-3.5-mini" in done.stdout
    assert "smollm2-135m" in done.stdout
    assert "\x1b[" not in done.stdout


def test_help_names_every_command() -> None:
    help_text = firsthop("--help").stdout

    for command in ("ask", "ledger", "models", "doctor", "demo"):
        assert command in help_text
