"""Looking at an endpoint: a few small GETs over httpx, apart from the calls that make answers.

Each look has connections of its own and leaves none behind. Where it goes, what is trusted and
which proxy is taken is the endpoint's word, as for every call; redirects are not followed.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..errors import HopError
from .base import Target
from .endpoint import Endpoint
from .http_call import Caller
from .transport import (
    Reply,
    connection_error,
    cut_error,
    no_connection_in,
    not_http,
    proxy_error,
)

if TYPE_CHECKING:
    import httpx

LOOK_S = 10.0
"""Longest one GET may take, its connection included."""
_LONGEST_BODY = 16_000_000


@dataclass(frozen=True, slots=True)
class Got:
    """What one GET brought.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Whole for a 200, else its beginning.
        wall_s: This machine's time when it was sent, in seconds since 1970.
        took_s: Seconds until the body was here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    wall_s: float
    took_s: float

    def json(self) -> Any:
        """The body's value. None: it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def clock_ahead_s(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the server's. None: not told."""
        try:
            then = parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return None
        # A date is cut to whole seconds, so half of one is missing on average.
        return self.wall_s + self.took_s / 2 - (then + 0.5)


class Look:
    """One look; see `looking`."""

    def __init__(self, caller: Caller[_Pool], clock: Clock) -> None:
        self._caller = caller
        self._clock = clock

    async def get(self, url: str, headers: Mapping[str, str]) -> Got:
        """One GET. Raises: HopError, without secrets."""
        clock = self._clock
        wall_s = began = 0.0

        def send(pool: _Pool) -> AbstractAsyncContextManager[Reply]:
            nonlocal wall_s, began  # now, for the pool's libraries are loaded
            wall_s, began = clock.wall(), clock.now()
            return pool.get(url, headers)

        try:
            async with self._caller.call(send, self._caller.deadline()) as answer:
                whole = answer.status == 200
                body = await (answer.whole(_LONGEST_BODY) if whole else answer.start())
                return Got(answer.status, answer.headers, body, wall_s, clock.now() - began)
        except HopError as error:
            self._caller.seal(error)
            raise

    def sealed(self, error: HopError) -> HopError:
        """`error`, without secrets."""
        self._caller.seal(error)
        return error


@asynccontextmanager
async def looking(
    target: Target, endpoint: Endpoint, *, clock: Clock, most_s: float = LOOK_S
) -> AsyncIterator[Look]:
    """A look at `endpoint`, each GET at most `most_s` and no longer than a call of the target."""
    brief = replace(target, timeout_s=min(target.timeout_s, most_s))
    caller = Caller(brief, endpoint, lambda tls: _Pool(endpoint, tls))
    try:
        yield Look(caller, clock)
    finally:
        await caller.aclose()


class _Pool:
    """One httpx client."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext) -> None:
        """Made in a thread, for httpx takes a moment to import."""
        import httpx

        self._endpoint = endpoint
        self._errors: tuple[type[Exception], ...] = (httpx.HTTPError, OSError)
        self._client = httpx.AsyncClient(
            verify=tls,
            proxy=endpoint.proxy,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=endpoint.connect_timeout_s),
        )

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """One GET, as a transport's `post`."""
        request = self._client.build_request(
            "GET", url, headers={"user-agent": "firsthop", "accept": "application/json", **headers}
        )
        try:
            response = await self._client.send(request, stream=True)
        except self._errors as exc:
            raise self._failed(exc) from exc
        try:
            yield self._reply(response)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    def _reply(self, response: httpx.Response) -> Reply:
        pieces = response.aiter_bytes()

        async def read() -> bytes:
            try:
                return await anext(pieces, b"")
            except self._errors as exc:
                raise cut_error(exc, self._endpoint.host) from exc

        return Reply(status=response.status_code, headers=dict(response.headers), read=read)

    def _failed(self, error: Exception) -> HopError:
        """What a failure before the answer's head means."""
        import httpx

        host = self._endpoint.host
        if isinstance(error, httpx.ConnectTimeout):
            return no_connection_in(self._endpoint.connect_timeout_s, host)
        if isinstance(error, httpx.ProxyError):
            return proxy_error(error, host, retryable=not str(error).startswith("407"))
        if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
            return not_http(error, host)
        return connection_error(error, host, connected=not isinstance(error, httpx.ConnectError))
