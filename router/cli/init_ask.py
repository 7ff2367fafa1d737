"""The questions `firsthop init` puts to a person, and what their answers mean.

Each gives back what a flag would have said, so that both ways lead to the same plan. A key is
asked for without showing it, and is never printed.
"""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import typer

from .. import config as configs
from .. import providers
from ..configfile import variable_name
from ..errors import ConfigError, ModelError
from ..keys import InEnv, InFile, InKeyring, keyring_usable
from ..models import Store
from ..redaction import remember
from .init_plan import NAMES, NEEDS_ENDPOINT, KeyPlan
from .init_servers import Server, Silent
from .screen import megabytes, say

_CLOUDS = (
    ("azure_ai", "Azure AI: your resource's address, a deployment, a key"),
    ("nvidia_nim", "NVIDIA NIM: hosted (a trial), or a container of your own"),
    ("openai_compatible", "any other server that speaks OpenAI's chat wire"),
    ("none", "none: everything stays on this device"),
)
_EXAMPLES = {
    "azure_ai": "https://my-resource.openai.azure.com/openai/v1/",
    "nvidia_nim": "empty for NVIDIA's own; http://127.0.0.1:8000/v1 for a container",
    "openai_compatible": "https://api.openai.com/v1",
}


def choose(question: str, options: Sequence[tuple[str, str]], default: int = 1) -> str:
    """Let one be picked by its number. Returns its word."""
    typer.echo(f"\n{question}")
    wide = max(len(word) for word, _ in options)
    for number, (word, says) in enumerate(options, 1):
        say(f"  {number}  {word:<{wide}}  {says}", indent=wide + 7)
    while True:
        picked = typer.prompt("Number", default=str(default)).strip()
        if picked.isdecimal() and 1 <= int(picked) <= len(options):
            return options[int(picked) - 1][0]
        typer.echo(f"  a number from 1 to {len(options)} is wanted")


def device(found: Sequence[Server | Silent], store: Store) -> str:
    """What answers first: a model of the store, ``SERVER/MODEL``, or ``none``."""
    here = {one.name for one in store.list()}
    options: list[tuple[str, str]] = []
    for name, model in store.catalogue.items():
        size = "here" if name in here else "not here yet"
        if name not in here and model.download_bytes is not None:
            size += f", {megabytes(model.download_bytes)}"
        options.append((name, f"{size}; {model.summary}"))
    options += [(name, "here; your own") for name in sorted(here - set(store.catalogue))]
    for server in found:
        if isinstance(server, Server):
            says = f"served by {server.title} at {server.url}"
            options += [(f"{server.kind}/{model}", says) for model in server.models]
    options.append(("none", "nothing: every question goes to a cloud"))
    return choose("What answers first, on this device?", options)


def pull(name: str, store: Store) -> bool:
    """Whether to fetch a model that isn't here, with its size."""
    typer.echo(f"\n{name} is not on this disk yet; asking for its size ...")
    try:
        size = megabytes(store.pull_bytes(name))
    except ModelError as error:
        typer.echo(f"  its size can't be asked for now: {str(error).partition('. ')[0]}")
        size = "size unknown"
    return typer.confirm(f"Fetch it now ({size})?", default=True)


def cloud(before: str | None) -> str:
    """Which provider goes on where the device isn't sure."""
    words = [word for word, _ in _CLOUDS]
    default = words.index(before) + 1 if before in words else 1
    return choose("Who goes on when the device isn't sure?", _CLOUDS, default)


def endpoint(provider: str, before: str | None, check: Callable[[str | None], None]) -> str | None:
    """The address; asked again until `check`, which raises ConfigError, has nothing to say."""
    typer.echo(f"\nIts address, such as {_EXAMPLES.get(provider, 'https://...')}")
    while True:
        given = typer.prompt("Address", default=before or "", show_default=bool(before)).strip()
        if not given and provider in NEEDS_ENDPOINT:
            continue
        try:
            check(given or None)
        except ConfigError as error:
            typer.echo(f"  {error.message}" + (f" ({error.hint})" if error.hint else ""))
            continue
        return given or None


def model(provider: str, before: str | None) -> str:
    """The model's name; on Azure the deployment's."""
    word = "Deployment (its name, in its own case)" if provider == "azure_ai" else "Model"
    given: str = typer.prompt(word, default=before, show_default=bool(before))
    return given.strip()


def key(
    provider: str, name: str, wrong: Callable[[str], str | None], *, needed: bool
) -> KeyPlan | None:
    """Where the key lies, and the key if it is to be put there now.

    Args:
        wrong: Says what is wrong with a key. None: nothing.
        needed: It has to be there now, for the target will be called.
    """
    dialect = providers.dialect(provider)
    names = dialect.key_env if dialect and dialect.key_env else ("FIRSTHOP_API_KEY",)
    variable = next((n for n in names if os.environ.get(n)), names[0])
    state = "is set" if os.environ.get(variable) else "is not set now"
    options = [
        ("variable", f"in an environment variable ({variable} {state})"),
        ("file", "type it now; kept in a file that only you can read"),
    ]
    if keyring_usable():
        options.append(("keyring", "type it now; kept in the system's keyring"))
    options.append(("none", "there is no key"))
    while True:
        picked = choose("Where is its key?", options, 1 if state == "is set" else 2)
        if picked == "none":
            return None
        if picked != "variable":
            break
        try:
            plan = from_env(typer.prompt("Variable", default=variable).strip(), os.environ)
        except ConfigError as error:
            typer.echo(f"  it {error.message}")
            continue
        if plan.value is not None or not needed:
            return plan
        typer.echo("  it is not set here; set it and begin anew, or choose another place")
    place = InKeyring("firsthop", name) if picked == "keyring" else InFile(key_file(name))
    return KeyPlan(place=place, value=_typed(wrong), new=True)


def _typed(wrong: Callable[[str], str | None]) -> str:
    """A key, typed or pasted. Raises ConfigError where it would show."""
    while True:
        try:
            with warnings.catch_warnings(action="error", category=getpass.GetPassWarning):
                # Not the prompt of typer: it asks before it has turned the echo off.
                typed = getpass.getpass("Key (not shown): ").strip()
        except getpass.GetPassWarning as exc:
            raise ConfigError(
                "this terminal would show the key", hint="pipe it in, with --key-stdin"
            ) from exc
        except EOFError:
            raise typer.Abort from None
        if not typed:
            continue
        remember(typed)
        problem = wrong(typed)
        if problem is None:
            return typed
        typer.echo(f"  {problem}")


def from_env(name: str, environ: Mapping[str, str]) -> KeyPlan:
    """A key that lies in a variable, set or not. Raises: ConfigError for what is no name."""
    try:
        variable_name(name)
    except ValueError as exc:
        raise ConfigError(str(exc), field="--key-env") from exc
    value = environ.get(name) or None
    remember(value)
    return KeyPlan(place=InEnv(name, environ), value=value)


def key_file(name: str) -> Path:
    """A place for a new key file: in the user's own folder, where no repository takes it along."""
    folder = configs.home() / "keys"
    names = [f"{name}.key", *(f"{name}-{n}.key" for n in range(2, 100))]
    return next(folder / n for n in names if not (folder / n).exists())


def target_name(provider: str) -> str:
    """What the target is called in the config."""
    return NAMES.get(provider, "cloud")


def dollars(model_name: str) -> str:
    """What a model costs, as a flag would say it."""
    typer.echo(f"\nNo price is known for {model_name}, and the policy has a limit in dollars.")
    given: str = typer.prompt("Dollars per million tokens, in/out, such as 0.15/0.60")
    return given.strip()


def after_failure() -> str:
    """What to do when the call failed."""
    return choose(
        "It did not answer. What now?",
        (
            ("again", "change address, model or key"),
            ("keep", "write the config all the same"),
            ("stop", "leave everything as it was"),
        ),
    )
