"""What a server is to be, as the command line says it, and a process that is it.

Comes in: a `Plan`, which one process or several workers are started with, and a socket. Goes out:
answers, until a signal ends it.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from pathlib import Path

from ..clock import SystemClock
from ..compose import Router
from ..drive.toolloops import ToolLoops
from ..errors import ConfigError
from .after import Observer
from .board import Board
from .callers import Callers
from .logs import AccessLog
from .orders import Plan
from .seats import SharedSeats
from .server import serve
from .settings import Settings
from .shared import Shared, SharedLoops, SharedPurse

_OBJECTS = 50_000
"""Objects that may come to stay before the youngest are looked through."""


def run(
    plan: Plan,
    listening: socket.socket,
    announce: Callable[[str], None],
    board: Board | None = None,
) -> None:
    """Answer what comes over a socket; see `server.serve`.

    Args:
        announce: Is told the policy's name when requests are answered.
        board: What this worker shares with the others. None: there are none.

    Raises: ConfigError, LedgerError.
    """
    clock = SystemClock()
    callers = None
    if plan.keys is not None:
        tallies = None if board is None else Shared(clock, board)
        callers = Callers(Path(plan.keys), clock, tallies)
    router = Router.of(plan.config, plan.policy, clock)
    if board is not None:
        router.senses.purse = SharedPurse(clock, board, "policies")
        router.senses.loops = ToolLoops(kept=SharedLoops(board, router.targets))
        for name, live in router.targets.items():
            if live.way.max_in_flight is not None:
                live.way.seats = SharedSeats(board, name, live.way.max_in_flight)
    observers: list[Observer] = []
    if plan.access_log is not None:
        observers.append(AccessLog(plan.access_log))
    if plan.otel:
        observers.append(_traces())

    def ready() -> None:
        _spare_the_collector()
        if board is not None:
            board.up()
        announce(router.watched.policy.name)

    serve(router, _settings(plan), [listening], ready, callers, observers, board)


def _spare_the_collector() -> None:
    """Look for cycles seldom, and never in what was loaded before the first request.

    A request leaves none behind, and with dozens under way at once Python's own pace, every 700
    objects, would have it walk through all of them again and again.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, 20, 50)


def _settings(plan: Plan) -> Settings:
    return Settings(
        hosts=None if plan.hosts is None else frozenset(plan.hosts),
        targets=plan.targets,
        aliases=plan.aliases,
        max_body_bytes=plan.max_body_bytes,
        max_concurrent=plan.max_concurrent,
        beat_s=plan.beat_s,
        grace_s=plan.grace_s,
    )


def _traces() -> Observer:
    try:
        from . import otel
    except ImportError as exc:
        hint = "pip install 'firsthop[otel]'"
        raise ConfigError("`--otel` needs OpenTelemetry", hint=hint) from exc
    return otel.build()
