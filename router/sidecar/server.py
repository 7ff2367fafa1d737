"""The sidecar under uvicorn: a socket of this machine, signals, and an end in good order."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ..compose import Router
from ..errors import ConfigError
from .after import Observer
from .app import App
from .board import Board
from .callers import Callers
from .listening import BACKLOG, on_terminal
from .settings import Settings

log = logging.getLogger("firsthop.sidecar")


def serve(
    router: Router,
    settings: Settings,
    sockets: list[socket.socket],
    announce: Callable[[], None] = lambda: None,
    callers: Callers | None = None,
    observers: Sequence[Observer] = (),
    board: Board | None = None,
) -> None:
    """Answer until SIGTERM or Ctrl-C; then let what runs end within its grace, and close.

    Ctrl-C is told by KeyboardInterrupt afterwards, as Python does. SIGHUP, where there is one,
    reads again what can be read again: see `App.reload`.

    Args:
        announce: Called when requests are answered, and a signal ends it in good order.
        callers: Who may ask. None: anybody who gets here.
        observers: Told of every request that is over.
        board: What this worker shares with others. None: there are none.

    Raises: ConfigError, when uvicorn is not installed, or an alias is for nothing.
    """
    try:
        import uvicorn

        from .http import bounded
        from .quiet import QuietServer
    except ImportError as exc:
        raise ConfigError("`serve` needs uvicorn", hint="pip install 'firsthop[sidecar]'") from exc
    app = App(router, settings, announce, callers, observers, board)
    config = uvicorn.Config(
        app,
        http=bounded(settings.max_head_bytes, settings.head_s, settings.unread_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.grace_s),
        backlog=BACKLOG,
    )
    server = QuietServer(config)

    def stop(number: int, frame: object) -> None:
        """Before uvicorn heeds signals itself, and when it raises them again after its end."""
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with _on_hangup(app.reload, server):
            server.run(sockets=sockets)
    finally:
        signal.signal(signal.SIGTERM, before)


class Stoppable(Protocol):
    """A server as uvicorn has it."""

    should_exit: bool


@contextlib.contextmanager
def _on_hangup(reload: Callable[[], None], server: Stoppable) -> Iterator[None]:
    """Call `reload` on a thread of its own for each SIGHUP, which would end a process else.

    It still does when the terminal that the server was started from is gone.
    """
    if sys.platform == "win32":
        yield
        return
    had_terminal = on_terminal()

    def again(number: int, frame: object) -> None:
        if had_terminal and not on_terminal():
            server.should_exit = True
        else:
            threading.Thread(target=reload, name="firsthop-reload", daemon=True).start()

    before = signal.signal(signal.SIGHUP, again)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
