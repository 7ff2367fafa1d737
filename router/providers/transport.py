"""What stands between a chat-completions provider and an HTTP library.

A transport sends one JSON body to one endpoint and gives back the answer's status, headers and
bytes. It judges nothing: what status, headers and bytes mean is said once, for all transports.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import BadWire, HopError, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer whose head is here and whose body is still coming.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; of a repeated header the last.
        read: The next bytes of the body, content encoding undone; empty at the end.
            Raises `HopError` when the body breaks off.
    """

    status: int
    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes]]


class Transport(Protocol):
    """One connection pool to one endpoint, made on the running loop at the first call."""

    def post(
        self, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        """Send `body` as JSON. Leaving the context before the body has ended cuts the connection.

        Redirects are answers like any other: never followed. Raises `HopError` and nothing else.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and all it was raised from, groups opened."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def connection_error(error: BaseException, host: str, *, broken_http: bool = False) -> HopError:
    """What a failure before the answer's head means, read from its causes.

    Args:
        error: As the HTTP library raised it.
        host: To name it.
        broken_http: The library says that what came was not HTTP.
    """
    for one in causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return Unavailable(
                f"the certificate of {host} is not trusted ({one.verify_message}); "
                "if a company proxy or a private authority signs it, name its PEM file in `ca_file`",
                retryable=False,
            )
    for one in causes(error):
        if isinstance(one, ssl.SSLError):
            reason = (one.reason or "handshake failed").replace("_", " ").lower()
            return Unavailable(f"no TLS connection to {host}: {reason}")
        if isinstance(one, socket.gaierror):
            return Unavailable(f"the name {host} can't be resolved; check base_url and the network")
        if isinstance(one, ConnectionRefusedError):
            return Unavailable(f"{host} refuses connections; is the server running?")
    if broken_http:
        return BadWire(f"{host} doesn't speak HTTP as it should")
    return Unavailable(f"the connection to {host} failed ({type(error).__name__})")


def cut_error(error: BaseException, host: str) -> HopError:
    """What a failure in the middle of the body means."""
    return BadWire(f"{host} cut the answer off in the middle ({type(error).__name__})")
