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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [("ask", "hm?", "--config", "scripted"), ("models", "list"), ("--version",)]
)
def test_a_full_disk_under_the_output_is_told_without_a_traceback(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert done.stderr.startswith("firsthop: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_who_leaves_is_no_reason_for_a_traceback() -> None:
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "models", "list"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_end)

    assert (done.returncode, done.stderr) == (1, "")


def test_a_letter_the_pipe_has_no_code_for_ends_nothing(tmp_path: Path) -> None:
    config = write(tmp_path, '{text: "caf\\u00e9 \\u263a"}')
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = [*COMMAND, "ask", "hm?", "--config", str(config)]
    plain = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    exact = subprocess.run(
        [*words, "--json"], env=environ, capture_output=True, text=True, check=False
    )

    assert (plain.returncode, plain.stdout) == (0, "caf? ?\n")
    assert json.loads(exact.stdout)["text"] == "caf\u00e9 \u263a"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_standard_input_that_is_no_text_is_refused(errors: str) -> None:
    done = subprocess.run(
        [*COMMAND, "ask", "-", "--config", "scripted"],
        input=b"\xff\xfe",
        env={**os.environ, "PYTHONIOENCODING": f"utf-8:{errors}"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"text" in done.stderr


def test_a_report_that_could_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    done = firsthop("models", "accept", "smollm2-135m", "--out", str(tmp_path / "no" / "a.json"))

    assert done.returncode == 2
    assert "--out" in done.stderr


def test_doctor_names_a_ledger_that_cannot_be_written_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    config = write(tmp_path, "{text: x}")
    config.write_text(config.read_text() + "ledger: {folder: file/ledger}\n")
    done = firsthop("doctor", "--config", str(config), "--json")
    states = {f["what"]: f["state"] for f in json.loads(done.stdout)}

    assert done.returncode == 1
    assert states == {
        "firsthop": "ok", "config": "ok", "ledger": "fail", "policy": "ok", "device": "ok"
    }  # fmt: skip


def test_doctor_says_why_a_dollar_limit_cannot_be_kept(tmp_path: Path) -> None:
    config = write(tmp_path, "{text: x}", policy="balanced")
    text = config.read_text().replace("provider: scripted", "provider: openai_compatible")
    config.write_text(text.partition("    options:")[0] + "    base_url: http://127.0.0.1:9/v1\n")
    done = firsthop("doctor", "--config", str(config))

    assert done.returncode == 1
    assert "no price is known" in done.stdout


def test_doctor_says_that_an_accelerator_is_not_there(tmp_path: Path) -> None:
    config = write(tmp_path, "{text: x}")
    text = config.read_text().replace("provider: scripted", "provider: device")
    config.write_text(text.partition("    options:")[0] + "    options: {accelerator: cuda}\n")
    done = firsthop("doctor", "--config", str(config))

    assert "warn  device                accelerator cuda is not in this build" in done.stdout
    assert "fail  device" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_id_is_broken_by_the_table_whatever_the_terminals_width(width: int) -> None:
    import pty

    decision = json.loads(ask("hm?", "--json").stdout)["decision_id"]
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(width), "LINES": "24", "TERM": "xterm"}
    words = [*COMMAND, "ledger", "--config", "scripted"]
    done = subprocess.run(words, env=environ, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)

    assert done.returncode == 0
    assert decision in shown
    assert "device > cloud" in shown
