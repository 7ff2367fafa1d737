"""`firsthop serve`: the street behind an OpenAI-shaped HTTP door, for any app in any language."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import ConfigOption, PolicyOption, pairs

if TYPE_CHECKING:
    from ..sidecar.orders import Plan

DEFAULT_PORT = 8787


class LogFormat(StrEnum):
    """For people, or for machines."""

    TEXT = "text"
    JSON = "json"


def serve(
    config: ConfigOption = None,
    policy: PolicyOption = None,
    host: Annotated[
        str, typer.Option(help="An address to listen on; any but loopback asks for keys.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 takes any that is free.", min=0, max=65535)
    ] = DEFAULT_PORT,
    uds: Annotated[
        Path | None, typer.Option(help="Listen on a Unix socket instead.", metavar="PATH")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Answer only who shows a key of this file; see `firsthop keys`.", metavar="FILE"
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name that clients may call this server by.", metavar="NAME"),
    ] = None,
    targets: Annotated[
        bool, typer.Option(help="Whether `model` may name a target; guards hold all the same.")
    ] = True,
    alias: Annotated[
        list[str] | None,
        typer.Option(help="Another name for a model: NAME=auto, a policy or a target."),
    ] = None,
    max_body_mb: Annotated[int, typer.Option(help="Largest request body, MiB.", min=1)] = 32,
    max_concurrent: Annotated[
        int, typer.Option(help="Most requests that are answered at once.", min=1)
    ] = 256,
    heartbeat: Annotated[
        float, typer.Option(help="Seconds after which a stream that waits gets a comment.", min=0.1)
    ] = 10.0,
    grace: Annotated[
        int, typer.Option(help="Seconds that running requests get when told to stop.", min=0)
    ] = 20,
    access_log: Annotated[
        str | None,
        typer.Option(
            help="Write a line of JSON for each request; - is standard output.", metavar="FILE"
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="How this process's own log is written.")
    ] = LogFormat.TEXT,
    workers: Annotated[
        int, typer.Option(help="Processes that answer; more than one not on Windows.", min=1)
    ] = 1,
    hung_after: Annotated[
        float,
        typer.Option(
            help="Of several workers, one whose event loop stands still for so many seconds is "
            "replaced.",
            min=3,
        ),
    ] = 30.0,
    otel: Annotated[
        bool, typer.Option("--otel", help="Send traces over OTLP, as OTEL_... variables say.")
    ] = False,
) -> None:
    """Answer OpenAI's chat completions over HTTP: on this machine, or to who shows a key."""
    from ..sidecar import loglines
    from ..sidecar.listening import listen, on_loopback, unix_socket
    from ..sidecar.orders import Plan
    from ..sidecar.settings import LOOPBACK

    json = log_format is LogFormat.JSON
    loglines.begin(json=json)
    near = uds is not None or on_loopback(host)
    asked = _keys(keys, near=near)
    names = frozenset(name.lower() for name in allow_host or ())
    # Where a key is asked for on any address, a probe or a balancer may call it by any name.
    anything = uds is not None or (not near and not names)
    with ExitStack() as stack:
        opened = listen(host, port, keys=asked is not None) if uds is None else unix_socket(uds)
        listening = stack.enter_context(opened)
        plan = Plan(
            config=config,
            policy=policy,
            where=f"http://{_shown(listening.getsockname())}/v1" if uds is None else str(uds),
            keys=None if asked is None else str(asked),
            hosts=None if anything else sorted(LOOPBACK | names),
            targets=targets,
            aliases=pairs(alias or [], option="--alias"),
            max_body_bytes=max_body_mb * 1024 * 1024,
            max_concurrent=max_concurrent,
            beat_s=heartbeat,
            grace_s=float(grace),
            access_log=access_log,
            json_log=json,
            otel=otel,
        )
        if workers > 1:
            _supervise(plan, workers, listening, hung_after)
        else:
            _answer(plan, listening)


def _answer(plan: Plan, listening: socket.socket) -> None:
    from ..sidecar.plan import run

    run(plan, listening, lambda policy: _say(plan, policy))


def _supervise(plan: Plan, workers: int, listening: socket.socket, hung_s: float) -> None:
    from ..sidecar.supervisor import Supervisor

    def say(policy: str) -> None:
        _say(plan, f"{policy}; {workers} workers")

    code = Supervisor(plan, workers, listening, say, hung_s).run()
    if code:
        raise typer.Exit(code)


def _say(plan: Plan, policy: str) -> None:
    typer.echo(f"firsthop answers at {plan.where}; policy {policy}", err=True)


def _keys(given: Path | None, *, near: bool) -> Path | None:
    """The file of keys that are asked for. None: none; away from this machine the socket then
    refuses."""
    if given is not None or near:
        return given
    from ..sidecar import keyfile

    found = keyfile.default_path()
    return found if found.exists() else None


def _shown(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
