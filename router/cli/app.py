"""The commands, and the door where errors become a message and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import __version__
from ..errors import RouterError
from .exits import Exit, causes_of, code_of

if TYPE_CHECKING:
    app: typer.Typer

COMMANDS = {
    "ask": "ask:ask",
    "explain": "explain:explain",
    "policy": "policy:app",
    "signals": "signals:signals",
    "ledger": "ledger:app",
    "models": "models:app",
    "eval": "evaluate:evaluate",
    "prices": "prices:prices",
    "init": "init:init",
    "serve": "serve:serve",
    "keys": "keys:app",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
    "calibrate": "calibrate:calibrate",
    "status": "status:status",
}
"""Each command's module here, and what it is in it, in the order of the help."""


_OBJECTS = 100_000
"""Objects that may come to stay before the youngest are looked through for cycles: what is imported
stays, and to look at Python's own pace, every 700, takes a tenth of a command's start."""


def built(*names: str) -> typer.Typer:
    """The command line with these commands; their modules are imported now, and no others.

    Whoever asks for one command does not wait for what the others need.
    """
    found = typer.Typer(
        name="firsthop",
        help="Answer on this device first; go on to a cloud only when that is worth its price.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    found.callback()(_root)
    for name in names:
        module, _, place = COMMANDS[name].partition(":")
        command = getattr(importlib.import_module(f".{module}", __package__), place)
        if isinstance(command, typer.Typer):
            found.add_typer(command, name=name)
        else:
            found.command(name)(command)
    return found


def __getattr__(name: str) -> Any:
    """`app`: the command line with all its commands."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return built(*COMMANDS)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"firsthop {__version__}")
        raise typer.Exit


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
    gc.set_threshold(_OBJECTS)
    # A pydantic plugin has no business here, and to look for one reads every package's metadata.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        try:
            one = sys.argv[1:2]
            built(*(one if one and one[0] in COMMANDS else COMMANDS))(prog_name="firsthop")
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
