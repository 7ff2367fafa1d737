"""A transport over aiohttp: for what goes through a proxy, and under Azure's own client.

The way without a proxy is `openai_lean.py`'s. Imported by nobody until such a target is called.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import msgspec

from ..errors import HopError
from .endpoint import Endpoint
from .transport import (
    Reply,
    connection_error,
    cut_error,
    no_connection_in,
    not_http,
    proxy_error,
)

_PLAIN_BYTES = 1 << 20  # more at once would hold up the event loop, and aiohttp warns of it


class Connecting:
    """How long the connection of one call took. What aiohttp is told to note it in.

    Attributes:
        took_s: None: it has not been made yet, or was there already.
    """

    __slots__ = ("began", "took_s")

    def __init__(self) -> None:
        self.began = 0.0
        self.took_s: float | None = None


async def _begins(_: aiohttp.ClientSession, call: Any, __: object) -> None:
    call.trace_request_ctx.began = time.perf_counter()


async def _is_made(_: aiohttp.ClientSession, call: Any, __: object) -> None:
    noted: Connecting = call.trace_request_ctx
    noted.took_s = time.perf_counter() - noted.began


class AiohttpTransport:
    """A `Transport` over one aiohttp session."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def post(
        self, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        return self.send("POST", self._endpoint.chat_url, headers, msgspec.json.encode(body))

    @asynccontextmanager
    async def send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> AsyncIterator[Reply]:
        """As `post`, for any other call to the same host. Raises `HopError` and nothing else."""
        if self._session is None:
            self._session = self._new_session()
        connecting = Connecting()
        try:
            response = await self._session.request(
                method,
                url,
                data=data if data is None or len(data) <= _PLAIN_BYTES else BytesIO(data),
                headers=headers,
                proxy=self._endpoint.proxy,
                allow_redirects=False,
                trace_request_ctx=connecting,
            )
        except (aiohttp.ClientError, OSError) as exc:  # a TimeoutError is an OSError
            raise self._failed(exc) from exc
        stream = response.content

        async def read() -> bytes:
            try:
                return await stream.readany()
            except (aiohttp.ClientError, OSError) as exc:
                raise cut_error(exc, self._endpoint.host) from exc

        try:
            yield Reply(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                read=read,
                connect_s=connecting.took_s or 0.0,
            )
        finally:
            # Back into the pool when the body has ended, cut off at once when it has not.
            response.close()

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _new_session(self) -> aiohttp.ClientSession:
        watch = aiohttp.TraceConfig()
        watch.on_connection_create_start.append(_begins)
        watch.on_connection_create_end.append(_is_made)
        return aiohttp.ClientSession(
            # How many calls may run at once is decided before a provider is asked.
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[watch],
            # The whole call has one deadline, kept by the provider; here is only the way there.
            timeout=aiohttp.ClientTimeout(total=None, connect=self._endpoint.connect_timeout_s),
        )

    def _failed(self, error: Exception) -> HopError:
        """What a failure before the answer's head means."""
        host = self._endpoint.host
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return no_connection_in(self._endpoint.connect_timeout_s, host)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return proxy_error(f"HTTP {error.status}", host, retryable=error.status != 407)
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return proxy_error("it can't be reached", host, cause=error)
        if isinstance(error, aiohttp.ClientResponseError):
            return not_http(error, host)
        connected = not isinstance(error, aiohttp.ClientConnectorError)
        return connection_error(error, host, connected=connected)
