"""The commands, and the door where errors become a message and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import RouterError
from . import (
    ask,
    calibrate,
    demo,
    doctor,
    evaluate,
    explain,
    init,
    keys,
    ledger,
    models,
    policy,
    prices,
    serve,
    signals,
    status,
)
from .exits import Exit, causes_of, code_of

app = typer.Typer(
    name="firsthop",
    help="Answer on this device first; go on to a cloud only when that is worth its price.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ask")(ask.ask)
app.command("explain")(explain.explain)
app.add_typer(policy.app, name="policy")
app.command("signals")(signals.signals)
app.add_typer(ledger.app, name="ledger")
app.add_typer(models.app, name="models")
app.command("eval")(evaluate.evaluate)
app.command("prices")(prices.prices)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("calibrate")(calibrate.calibrate)
app.command("status")(status.status)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"firsthop {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    del version  # its callback has seen to it


def main() -> None:
    """Run the command line and exit with its code."""
    _streams()
    try:
        try:
            app(prog_name="firsthop")
        finally:
            sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
    except RouterError as error:
        print(f"firsthop: {error}", file=sys.stderr)
        for cause in causes_of(error):
            print(f"  {cause}", file=sys.stderr)
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        print("firsthop: interrupted", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        _forget_output()
        if not isinstance(error, BrokenPipeError):
            print(f"firsthop: {error}", file=sys.stderr)
        sys.exit(Exit.FAILED)


def _streams() -> None:
    """A stream the shell has closed leads nowhere; a letter it has no code for becomes a mark."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    """Let what can't be written go, or Python complains of it once more as it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
