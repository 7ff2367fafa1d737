"""Who may come in at all: by Host, Origin and what a browser says of where a request comes from.

A server on loopback is within reach of every web page that its user opens. A page can send requests
to 127.0.0.1, and by DNS rebinding even read what comes back; but it can't hide its Origin, nor the
name it called us by. There is no CORS: no page is meant to call this.
"""

from __future__ import annotations

from functools import lru_cache

from .exchange import Exchange
from .wire.failure import refuse

_ONCE = frozenset(
    (
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    )
)


def check(exchange: Exchange) -> None:
    """Let a request pass that comes from a program on this machine. Raises: Refusal."""
    headers = exchange.headers
    if len(headers) != len(exchange.lines):
        _only_once(exchange)
    hosts = exchange.settings.hosts
    if hosts is not None:
        bare = _bare(headers.get(b"host", b""))
        if bare not in hosts:
            raise refuse(
                421,
                f"this server is not {bare!r}; `firsthop serve --allow-host` lets a name in",
                "wrong_host",
                close=True,
            )
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b""):
        raise refuse(403, "no web page may call this server", "wrong_origin", close=True)
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise refuse(403, "no web page may call this server", "wrong_origin", close=True)


@lru_cache(maxsize=64)
def _bare(said: bytes) -> str:
    """A host without its port."""
    host = said.decode("ascii", "replace").lower()
    name, sign, port = host.rpartition(":")
    return name if sign and port.isdecimal() else host


def _only_once(exchange: Exchange) -> None:
    seen: set[bytes] = set()
    for name, _ in exchange.lines:
        if name in seen and name in _ONCE:
            raise refuse(
                400, f"header {name.decode()} was sent twice", "duplicate_header", close=True
            )
        seen.add(name)
