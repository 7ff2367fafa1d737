"""`firsthop init`: from nothing to a config that works, by questions or by flags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .init_steps import Wishes, run

_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Where to write the config.", metavar="FILE")
]
_Force = Annotated[bool, typer.Option("--force", help="Replace a config that is there.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; flags say it all.")]
_Device = Annotated[
    str | None,
    typer.Option(
        help="What answers first: a model's name, SERVER/MODEL (ollama, lmstudio, foundry), none.",
        metavar="WORD",
    ),
]
_Server = Annotated[
    list[str] | None,
    typer.Option("--server", help="A local server's address, if unusual.", metavar="NAME=URL"),
]
_Pull = Annotated[bool, typer.Option("--pull", help="Fetch the device's model if it isn't here.")]
_Provider = Annotated[
    str | None, typer.Option(help="Who goes on: a provider's name, or none.", metavar="NAME")
]
_Endpoint = Annotated[str | None, typer.Option(help="The cloud's address.", metavar="URL")]
_Model = Annotated[
    str | None, typer.Option(help="The cloud's model; on Azure the deployment.", metavar="NAME")
]
_KeyEnv = Annotated[
    str | None, typer.Option("--key-env", help="The key is in this variable.", metavar="NAME")
]
_KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="The key is in this file.", metavar="FILE")
]
_KeyRing = Annotated[
    str | None,
    typer.Option("--key-keyring", help="The key is in the keyring.", metavar="SERVICE/USER"),
]
_KeyStdin = Annotated[
    bool,
    typer.Option("--key-stdin", help="Read the key from standard input and put it there."),
]
_NoKey = Annotated[bool, typer.Option("--no-key", help="The cloud needs no key.")]
_Price = Annotated[
    str | None,
    typer.Option(help="A price line's id, a model that has one, or own-box.", metavar="WORD"),
]
_Usd = Annotated[
    str | None,
    typer.Option("--usd-per-1m", help="Dollars per million tokens.", metavar="IN/OUT"),
]
_Policy = Annotated[
    str | None, typer.Option("--policy", "-p", help="A policy's name or path.", metavar="NAME")
]
_NoCall = Annotated[
    bool, typer.Option("--no-call", help="Write the config without asking the targets for a word.")
]


def init(
    out: _Out = Path("firsthop.yaml"),
    force: _Force = False,
    yes: _Yes = False,
    device: _Device = None,
    server: _Server = None,
    pull: _Pull = False,
    provider: _Provider = None,
    endpoint: _Endpoint = None,
    model: _Model = None,
    key_env: _KeyEnv = None,
    key_file: _KeyFile = None,
    key_keyring: _KeyRing = None,
    key_stdin: _KeyStdin = False,
    no_key: _NoKey = False,
    price: _Price = None,
    usd_per_1m: _Usd = None,
    policy: _Policy = None,
    no_call: _NoCall = False,
) -> None:
    """Write a config for this machine: find local models, ask for a cloud, try both, write.

    On a terminal it asks for what no flag says. There is no flag for the key itself, which would
    stay in the shell's history.
    """
    asking = not yes and not key_stdin and sys.stdin.isatty() and sys.stdout.isatty()
    if sum(map(bool, (key_env, key_file, key_keyring, no_key))) > 1:
        raise ConfigError("say one place for the key only", field="--key-env")
    wishes = Wishes(
        out=out,
        force=force,
        device=device,
        servers=tuple(server or ()),
        pull=pull,
        provider=provider,
        endpoint=endpoint,
        model=model,
        key_env=key_env,
        key_file=key_file,
        key_keyring=key_keyring,
        key_stdin=key_stdin,
        no_key=no_key,
        price=price,
        usd_per_1m=usd_per_1m,
        policy=policy,
        call=not no_call,
        asking=asking,
    )
    try:
        run(wishes)
    except typer.Abort:
        typer.echo("", err=True)
        raise KeyboardInterrupt from None  # as Ctrl-C ends every command
