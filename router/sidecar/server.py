"""The sidecar under uvicorn: a socket of this machine, signals, and an end in good order."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ..compose import Router
from ..errors import ConfigError
from .after import Observer
from .app import App
from .callers import Callers
from .settings import Settings

log = logging.getLogger("firsthop.sidecar")
_BACKLOG = 2048


def on_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address. Raises: ConfigError, if it is none."""
    return _address(host).is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError as exc:
        raise ConfigError(
            f"{host!r} is no address", field="--host", hint="write 127.0.0.1, ::1 or localhost"
        ) from exc


def listen(host: str, port: int, *, keys: bool = False) -> socket.socket:
    """A socket that listens: on loopback, or anywhere if who calls has to show a key.

    Args:
        port: 0: any that is free.

    Raises: ConfigError, for an address that others could reach without a key, one that this
        machine does not have, or a port that is taken.
    """
    ip = _address(host)
    if not ip.is_loopback and not keys:
        raise ConfigError(
            f"{host} can be reached from other machines, and there are no API keys to ask for",
            field="--host",
            hint="make one: firsthop keys add NAME; or bind to 127.0.0.1 or to a Unix socket",
        )
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((str(ip), port))
        found.listen(_BACKLOG)
    except OSError as exc:
        found.close()
        raise ConfigError(f"can't listen on {host}:{port}: {exc}", field="--port") from exc
    return found


@contextlib.contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A Unix socket that only this user can open; its file goes at the end.

    Raises: ConfigError, where there are none, or something is at `path` that is in use.
    """
    if sys.platform == "win32":
        raise ConfigError("there are no Unix sockets on this system", field="--uds")
    _clear(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        found.bind(str(path))
    except OSError as exc:
        found.close()
        raise ConfigError(f"can't listen on {path}: {exc}", field="--uds") from exc
    finally:
        os.umask(before)
    found.listen(_BACKLOG)
    mark = path.stat().st_ino
    try:
        yield found
    finally:
        found.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == mark:  # not another server's that has taken the place
                path.unlink()


def _clear(path: Path) -> None:
    """Take a socket away that nobody listens on any more. Raises: ConfigError for anything else."""
    if sys.platform == "win32" or not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError(f"{path} is there and is no socket", field="--uds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as exc:
            raise ConfigError(f"{path}: {exc}", field="--uds") from exc
    raise ConfigError(f"another server listens on {path}", field="--uds")


def serve(
    router: Router,
    settings: Settings,
    sockets: list[socket.socket],
    announce: Callable[[], None] = lambda: None,
    callers: Callers | None = None,
    observers: Sequence[Observer] = (),
) -> None:
    """Answer until SIGTERM or Ctrl-C; then let what runs end within its grace, and close.

    Ctrl-C is told by KeyboardInterrupt afterwards, as Python does. SIGHUP, where there is one,
    reads again what can be read again: see `App.reload`.

    Args:
        announce: Called when requests are answered, and a signal ends it in good order.
        callers: Who may ask. None: anybody who gets here.
        observers: Told of every request that is over.

    Raises: ConfigError, when uvicorn is not installed, or an alias is for nothing.
    """
    try:
        import uvicorn

        from .http import bounded
    except ImportError as exc:
        raise ConfigError("`serve` needs uvicorn", hint="pip install 'firsthop[sidecar]'") from exc
    app = App(router, settings, announce, callers, observers)
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
        backlog=_BACKLOG,
    )
    server = uvicorn.Server(config)

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


def _on_terminal() -> bool:
    return any(os.isatty(number) for number in (0, 2))


@contextlib.contextmanager
def _on_hangup(reload: Callable[[], None], server: Stoppable) -> Iterator[None]:
    """Call `reload` on a thread of its own for each SIGHUP, which would end a process else.

    It still does when the terminal that the server was started from is gone.
    """
    if sys.platform == "win32":
        yield
        return
    had_terminal = _on_terminal()

    def again(number: int, frame: object) -> None:
        if had_terminal and not _on_terminal():
            server.should_exit = True
        else:
            threading.Thread(target=reload, name="firsthop-reload", daemon=True).start()

    before = signal.signal(signal.SIGHUP, again)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
