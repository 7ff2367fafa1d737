"""`firsthop serve`: the street behind an OpenAI-shaped HTTP door, for any app in any language."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..clock import SystemClock
from ..errors import ConfigError
from .options import ConfigOption, PolicyOption, pairs

if TYPE_CHECKING:
    from ..sidecar.after import Observer
    from ..sidecar.callers import Callers

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
    otel: Annotated[
        bool, typer.Option("--otel", help="Send traces over OTLP, as OTEL_... variables say.")
    ] = False,
) -> None:
    """Answer OpenAI's chat completions over HTTP: on this machine, or to who shows a key."""
    from ..compose import Router
    from ..sidecar.logs import AccessLog
    from ..sidecar.server import listen, on_loopback, serve, unix_socket
    from ..sidecar.settings import LOOPBACK, Settings

    _begin_log(log_format)
    near = uds is not None or on_loopback(host)
    callers = _callers(keys, near=near)
    names = frozenset(name.lower() for name in allow_host or ())
    # Where a key is asked for on any address, a probe or a balancer may call it by any name.
    anything = uds is not None or (not near and not names)
    settings = Settings(
        hosts=None if anything else LOOPBACK | names,
        targets=targets,
        aliases=pairs(alias or [], option="--alias"),
        max_body_bytes=max_body_mb * 1024 * 1024,
        max_concurrent=max_concurrent,
        beat_s=heartbeat,
        grace_s=float(grace),
    )
    with ExitStack() as stack:
        opened = listen(host, port, keys=callers is not None) if uds is None else unix_socket(uds)
        listening = stack.enter_context(opened)
        router = Router.of(config, policy)
        observers: list[Observer] = [] if access_log is None else [AccessLog(access_log)]
        if otel:
            observers.append(_traces())
        where = f"http://{_shown(listening.getsockname())}/v1" if uds is None else str(uds)
        said = f"firsthop answers at {where}; policy {router.watched.policy.name}"
        announce = partial(typer.echo, said, err=True)
        serve(router, settings, [listening], announce, callers, observers)


def _begin_log(written: LogFormat) -> None:
    from ..sidecar.logs import JsonLines, TextLines

    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines() if written is LogFormat.JSON else TextLines())


def _callers(given: Path | None, *, near: bool) -> Callers | None:
    """Whose keys are asked for. None: nobody's; away from this machine the socket then refuses."""
    from ..sidecar import keyfile
    from ..sidecar.callers import Callers

    path = given
    if path is None and not near and keyfile.default_path().exists():
        path = keyfile.default_path()
    return None if path is None else Callers(path, SystemClock())


def _traces() -> Observer:
    try:
        from ..sidecar import otel
    except ImportError as exc:
        hint = "pip install 'firsthop[otel]'"
        raise ConfigError("`--otel` needs OpenTelemetry", hint=hint) from exc
    return otel.build()


def _shown(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
