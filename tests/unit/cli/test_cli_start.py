"""What a command does not need it does not wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from router.cli import app as cli

LOADED = """
import sys
from router.cli.app import main
sys.argv = ["firsthop", *{said!r}]
try:
    main()
except SystemExit as ended:
    code = ended.code
print("LOADED", code, *sorted(name for name in sys.modules if name.startswith("router.")))
"""


def loaded(*said: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(said=said)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    _, code, *names = done.stdout.splitlines()[-1].split()
    return int(code), {name.removeprefix("router.") for name in names}


def test_serve_imports_no_other_command() -> None:
    code, names = loaded("serve", "--help")
    assert code == 0
    commands = {f"cli.{place.partition(':')[0]}" for place in cli.COMMANDS.values()}
    assert names & commands == {"cli.serve"}


def test_a_server_starts_without_what_only_some_requests_need() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, router.sidecar.server; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    later = {"router.ledger.report", "router.policy.cases", "router.policy.selftest"}
    assert not later & set(done.stdout.split())


def test_a_word_that_is_no_command_is_held_against_them_all() -> None:
    code, names = loaded("serv")
    assert code == 2
    assert {"cli.serve", "cli.doctor"} <= names


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_alone_is_what_it_is_among_the_others(name: str) -> None:
    runner = CliRunner()
    alone = runner.invoke(cli.built(name), [name, "--help"], prog_name="firsthop")
    among = runner.invoke(cli.app, [name, "--help"], prog_name="firsthop")

    assert (alone.exit_code, among.exit_code) == (0, 0)
    assert alone.output == among.output
