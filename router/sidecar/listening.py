"""Where a server listens: an address of this machine, or a Unix socket of this user.

Kept apart from all that answers: the supervisor of several workers listens and does no more.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError

BACKLOG = 2048


def on_terminal() -> bool:
    """Whether somebody at a terminal sees what this process says, or could type."""
    return any(os.isatty(number) for number in (0, 2))


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
        found.listen(BACKLOG)
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
    found.listen(BACKLOG)
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
