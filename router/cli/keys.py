"""`firsthop keys`: who may ask a sidecar, with which policies, label, dollars and rate."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import ConfigError
from ..policy.document import dollars
from ..types import Label
from .options import JsonOption, LabelWord
from .screen import table

if TYPE_CHECKING:
    from ..sidecar.keyfile import Entry

app = typer.Typer(help="API keys of `firsthop serve`.", no_args_is_help=True)

FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="Where the keys lie, if not in the usual place.", metavar="FILE"),
]
NameArgument = Annotated[str, typer.Argument(help="What the key is called.", metavar="NAME")]


@app.command()
def add(
    name: NameArgument,
    tenant: Annotated[
        str | None, typer.Option(help="Whose requests its are; otherwise NAME's own.")
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(help="What `model` may say, with commas; `auto` is the first of them."),
    ] = None,
    label_floor: Annotated[
        LabelWord | None, typer.Option(help="The least private that its requests are.")
    ] = None,
    day_usd: Annotated[
        str | None, typer.Option(help="Most dollars a day, such as 5 or 0.50.", metavar="USD")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(help="Most requests in a while, such as 60/min or 5/s.")
    ] = None,
    observer: Annotated[
        bool, typer.Option("--observer", help="It reads metrics and decisions, and asks nothing.")
    ] = False,
    file: FileOption = None,
) -> None:
    """Make a key and print it, this once: only its digest is kept."""
    from ..sidecar import keyfile

    path = file or keyfile.default_path()
    try:
        most = None if day_usd is None else dollars(day_usd)
    except ValueError as exc:
        raise ConfigError(str(exc), field="--day-usd") from exc
    words = [word.strip() for word in (policies or "").split(",")]
    key = keyfile.add(
        path,
        name,
        now_s=time.time(),
        tenant=tenant,
        policies=[word for word in words if word],
        label_floor=None if label_floor is None else cast(Label, label_floor.value),
        day_usd=most,
        rate=rate,
        observer=observer,
    )
    typer.echo(key)
    typer.echo(f"kept as a digest in {path}; the key itself is shown only now", err=True)


@app.command("list")
def list_(file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show every key's name and rights."""
    from ..sidecar import keyfile

    found = keyfile.read(file or keyfile.default_path()).keys
    if as_json:
        typer.echo(json.dumps([_plain(entry) for entry in found], indent=2))
        return
    table(
        None,
        ("name", "tenant", "policies", "label floor", "a day", "rate", "made"),
        [_row(entry) for entry in found],
    )


@app.command()
def revoke(name: NameArgument, file: FileOption = None) -> None:
    """Take a key away; a server that runs notices within a second or so."""
    from ..sidecar import keyfile

    path = file or keyfile.default_path()
    keyfile.revoke(path, name)
    typer.echo(f"{name} is revoked in {path}", err=True)


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "tenant": entry.tenant,
        "policies": list(entry.policies),
        "label_floor": entry.label_floor,
        "day_usd": None if entry.day_usd is None else format(entry.day_usd, "f"),
        "rate": entry.rate,
        "observer": entry.observer,
        "made_at": entry.made_at,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    policies = "observes" if entry.observer else ", ".join(entry.policies) or "any"
    usd = "-" if entry.day_usd is None else f"${entry.day_usd:f}"
    floor = entry.label_floor or "-"
    return entry.name, entry.tenant, policies, floor, usd, entry.rate or "-", entry.made_at[:10]
