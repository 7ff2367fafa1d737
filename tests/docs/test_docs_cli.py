"""docs/cli.md has every command, and its exit codes are the code's; each option has its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from router.cli.app import app
from router.cli.exits import Exit

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")
PAGES = PAGE + (DOCS / "models.md").read_text(encoding="utf-8")
OF_THE_LIBRARY = ("--help", "--version", "--install-completion", "--show-completion")


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(app), "firsthop"))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "firsthop"])
def test_every_command_is_documented(name: str) -> None:
    top = "`" + " ".join(name.split()[:2])
    word = name.rsplit(maxsplit=1)[-1]

    assert top in PAGE
    assert re.search(rf"`(firsthop )?([a-z]+ )?{word}\b", PAGE)


OPTIONS = sorted(
    {
        option
        for name, command in COMMANDS.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in OF_THE_LIBRARY
    }
)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_documented(option: str) -> None:
    assert re.search(rf"{option}\b", PAGES)


def test_the_exit_codes_are_those_of_the_table() -> None:
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == [str(code.value) for code in Exit]
