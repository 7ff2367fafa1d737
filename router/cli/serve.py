"""`firsthop serve`: the street behind an OpenAI-shaped HTTP door, for any app in any language."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, PolicyOption, pairs

DEFAULT_PORT = 8787


def serve(
    config: ConfigOption = None,
    policy: PolicyOption = None,
    host: Annotated[str, typer.Option(help="A loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 takes any that is free.", min=0, max=65535)
    ] = DEFAULT_PORT,
    uds: Annotated[
        Path | None, typer.Option(help="Listen on a Unix socket instead.", metavar="PATH")
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
) -> None:
    """Answer OpenAI's chat completions over HTTP, on this machine only."""
    from ..compose import Router
    from ..sidecar.server import listen, serve, unix_socket
    from ..sidecar.settings import LOOPBACK, Settings

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    names = frozenset(name.lower() for name in allow_host or ())
    settings = Settings(
        hosts=LOOPBACK | names if uds is None else None,
        targets=targets,
        aliases=pairs(alias or [], option="--alias"),
        max_body_bytes=max_body_mb * 1024 * 1024,
        max_concurrent=max_concurrent,
        beat_s=heartbeat,
        grace_s=float(grace),
    )
    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port) if uds is None else unix_socket(uds))
        router = Router.of(config, policy)
        where = f"http://{_shown(listening.getsockname())}/v1" if uds is None else str(uds)
        said = f"firsthop answers at {where}; policy {router.watched.policy.name}"
        serve(router, settings, [listening], lambda: typer.echo(said, err=True))


def _shown(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
