"""`firsthop signals`: what a policy can speak of, as a table or one signal's card."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ..document import nearest
from ..errors import ConfigError
from ..signals.catalogue import CATALOGUE, FAMILIES, Signal, find_signal
from ..signals.render import card, cost, values
from .options import JsonOption
from .screen import table

NameArgument = Annotated[
    str | None,
    typer.Argument(help="One signal, such as prompt.tokens. All of them when left out."),
]


def signals(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Show what a policy can speak of: every signal, or one in full."""
    found = [*CATALOGUE.values(), *FAMILIES.values()] if name is None else [_one(name)]
    if as_json:
        plain = [asdict(signal) for signal in found]
        typer.echo(json.dumps(plain if name is None else plain[0], indent=2, ensure_ascii=False))
    elif name is not None:
        for heading, text in card(found[0]):
            typer.echo(f"{heading:<12} {text}")
    else:
        columns = ("signal", "can be", "unknown", "µs", "says")
        table(None, columns, [_line(signal) for signal in found], right="µs")


def _one(name: str) -> Signal:
    found = FAMILIES.get(name) or find_signal(name)
    if found is None:
        hint = nearest(name, (*CATALOGUE, *FAMILIES))
        raise ConfigError(
            f"there is no signal {name!r}",
            field="NAME",
            hint=hint or "`firsthop signals` lists them",
        )
    return found


def _line(signal: Signal) -> tuple[str, ...]:
    can_be = values(signal).replace("`", "")
    return (
        signal.name,
        can_be if len(can_be) <= 40 else f"one of {len(signal.words)} words",
        "yes" if signal.may_be_unknown else "no",
        cost(signal),
        signal.summary,
    )
