"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ..errors import ConfigError
from ..types import LABELS

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", "-c", help="A config's path, or the name of a shipped one.", metavar="FILE"
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option("--policy", "-p", help="A policy's name or path.", metavar="NAME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

LabelWord = StrEnum("LabelWord", {word: word for word in LABELS})  # type: ignore[misc]


def pairs(words: list[str], option: str = "--tag") -> dict[str, str]:
    """``["team=search"]`` as a mapping. Raises ConfigError for a word without ``=``."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise ConfigError(f"{word!r} is no pair", field=option, hint="write it NAME=VALUE")
        found[name] = value
    return found
