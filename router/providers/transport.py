"""What stands between a chat-completions provider and an HTTP library.

A transport sends one JSON body to one endpoint and gives back the answer's status, headers and
bytes. It judges nothing: what status, headers and bytes mean is said once, for all transports.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import BadWire, HopError, Unavailable
from ..quick import quick

_NO_ROUTE = frozenset(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT, errno.EADDRNOTAVAIL)
)

# How much of an error's body is read, and how long it may take after its head.
ERROR_BODY_BYTES = 65_536
ERROR_BODY_S = 1.0


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer whose head is here and whose body is still coming.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; of a repeated header the last.
        read: The next bytes of the body, content encoding undone; empty at the end.
            Raises `HopError` when the body breaks off.
        connect_s: As in `types.Transit`.
        over: Whether all of the body has been read, as far as that is known without waiting.
        waiting: Whether the next `read` has bytes at once, likewise.
    """

    status: int
    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes]]
    connect_s: float | None = None
    over: Callable[[], bool] = bool
    waiting: Callable[[], bool] = bool


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


def connection_error(error: BaseException, host: str, *, connected: bool) -> HopError:
    """What a failure before the answer's head means, read from its causes.

    Args:
        error: As the HTTP library raised it.
        host: To name it.
        connected: Whether the request may have been read; if so it may have been charged.
    """
    found = list(causes(error))
    if connected:
        return Unavailable(f"{host} closed the connection without an answer ({_word(error)})")
    for one in found:
        if isinstance(one, ssl.SSLCertVerificationError):
            return Unavailable(
                f"the certificate of {host} is not trusted ({_told(one, 'verify_message')}); "
                "if a private authority signs it, name that authority's PEM file in `ca_file`",
                retryable=False,
                reached=False,
            )
    said = f"the connection to {host} failed ({_word(error)})"
    for one in found:
        if isinstance(one, ssl.SSLError):
            reason = _told(one, "reason").replace("_", " ").lower()
            said = f"no TLS connection to {host}: {reason}"
        elif isinstance(one, socket.gaierror):
            said = f"the name {host} can't be resolved; check base_url and the network"
        elif isinstance(one, ConnectionRefusedError):
            said = f"{host} refuses connections; is the server running?"
    return Unavailable(said, reached=False, no_way=_no_way(found))


def no_connection_in(seconds: float, host: str) -> HopError:
    """The connection itself took too long."""
    return Unavailable(f"no connection to {host} within {seconds:g} s", reached=False, no_way=True)


def proxy_error(
    said: object, host: str, *, retryable: bool = True, cause: BaseException | None = None
) -> HopError:
    """The proxy on the way would not, or could not be reached, which `cause` then says why."""
    return Unavailable(
        f"the proxy on the way to {host} failed: {said}",
        retryable=retryable,
        reached=False,
        no_way=cause is not None and _no_way(list(causes(cause))),
    )


def _no_way(found: list[BaseException]) -> bool:
    """Whether a connection failed on this side of the host: nothing there refused it."""
    return any(
        isinstance(one, socket.gaierror | TimeoutError)
        or (isinstance(one, OSError) and one.errno in _NO_ROUTE)
        for one in found
    )


def not_http(error: BaseException, host: str) -> HopError:
    """What came instead of an answer's head is not HTTP."""
    return BadWire(f"{host} answered something that isn't HTTP ({_word(error)})")


def cut_error(error: BaseException, host: str) -> HopError:
    """What a failure in the middle of the body means."""
    return BadWire(f"the answer of {host} broke off or can't be decoded ({_word(error)})")


def _told(error: ssl.SSLError, field: str) -> str:
    """OpenSSL's word for it; errors that Python raises itself lack the field."""
    return str(getattr(error, field, None) or error)


def _word(error: BaseException) -> str:
    return type(error).__name__
