"""The SDK transport: the same POST through the official `openai` client.

The client brings its connection pool and its HTTP library, in the version the application has
installed (2.x on httpx, 3.x on httpx2). Three things it would do are left to us: retries, which
have one owner here; redirects, which would take the key along; and headers, to which it adds what
it knows of the machine and what the environment says: an organisation's id meant for OpenAI has no
business at another host. The answer is taken as bytes: the client's own reader has no limits, and
hides whether the end mark came.

Imported by nobody until such a target is called: the import alone takes half a second and more.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from importlib import import_module
from typing import Any

import anyio
import openai

from ..errors import HopError
from .endpoint import Endpoint
from .transport import (
    ERROR_BODY_BYTES,
    ERROR_BODY_S,
    Reply,
    connection_error,
    cut_error,
    no_connection_in,
    not_http,
    proxy_error,
)

# Everything else on a request comes from us.
_PLAIN_HEADERS = frozenset({"host", "accept-encoding", "connection", "content-length"})

# Headers of the call that is being sent, and what its connection is reported to; the hook that
# needs them is told the request only.
_OURS: ContextVar[tuple[Mapping[str, str], _Connecting]] = ContextVar("_OURS")

# The HTTP library under the installed SDK, httpx or httpx2: the names used are the same in both.
_HTTP: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[-2].__module__.split(".")[0])

# What may come out of reading a body; httpx2 lets some errors of the layer below through.
_READ_ERRORS: tuple[type[Exception], ...] = (_HTTP.HTTPError, OSError, anyio.EndOfStream)


class _OtherStatus(openai.OpenAIError):
    """Carries an answer other than 200 past the SDK, which would read the whole of its body.

    It is of the SDK's own kind because the SDK lets that kind through unchanged.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply = reply


class _Connecting:
    """How long the connection of one call took: what the HTTP library is told to report to.

    Attributes:
        took_s: 0 while none had to be made.
    """

    __slots__ = ("_began", "took_s")

    def __init__(self) -> None:
        self._began = 0.0
        self.took_s = 0.0

    async def __call__(self, event: str, _: object) -> None:
        if event.endswith("connect_tcp.started"):
            self._began = time.perf_counter()
        elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.took_s = time.perf_counter() - self._began


class SdkTransport:
    """A `Transport` over one `openai.AsyncOpenAI`."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._client: openai.AsyncOpenAI | None = None

    @asynccontextmanager
    async def post(self, body: dict[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        if self._client is None:
            self._client = self._new_client()
        connecting = _Connecting()
        async with AsyncExitStack() as stack:
            token = _OURS.set((headers, connecting))
            try:
                response: Any = await self._client.post(
                    self._endpoint.chat_url,
                    cast_to=_HTTP.Response,
                    body=body,
                    stream=True,
                    stream_cls=openai.AsyncStream[Any],
                )
            except _OtherStatus as exc:
                reply = replace(exc.reply, connect_s=connecting.took_s)
            except openai.APIConnectionError as exc:
                raise self._failed(exc) from exc
            else:
                stack.push_async_callback(response.aclose)
                pieces = response.aiter_bytes()
                stack.push_async_callback(pieces.aclose)  # else it is left to the collector
                reply = self._reply(response, pieces, connecting.took_s)
            finally:
                _OURS.reset(token)
            yield reply

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _reply(self, response: Any, pieces: Any, connect_s: float) -> Reply:
        async def read() -> bytes:
            try:
                piece: bytes = await anext(pieces, b"")
            except _READ_ERRORS as exc:
                raise cut_error(exc, self._endpoint.host) from exc
            return piece

        return Reply(
            status=response.status_code,
            headers=dict(response.headers),
            read=read,
            connect_s=connect_s,
        )

    def _new_client(self) -> openai.AsyncOpenAI:
        timeout = openai.Timeout(None, connect=self._endpoint.connect_timeout_s)
        return openai.AsyncOpenAI(
            api_key="not sent: the key goes by a header of ours",
            base_url=self._endpoint.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                proxy=self._endpoint.proxy,
                verify=self._tls,
                trust_env=False,
                follow_redirects=False,
                timeout=timeout,
                event_hooks={"request": [_send_only_ours], "response": [_stop_other_status]},
            ),
        )

    def _failed(self, error: openai.APIConnectionError) -> HopError:
        """What a failure before the answer's head means."""
        host = self._endpoint.host
        cause = error.__cause__ or error
        if isinstance(cause, _HTTP.ConnectTimeout):
            return no_connection_in(self._endpoint.connect_timeout_s, host)
        if isinstance(cause, _HTTP.ProxyError):
            return proxy_error(cause, host, retryable=not str(cause).startswith("407"), cause=cause)
        if isinstance(cause, _HTTP.RemoteProtocolError) and "disconnected" not in str(cause):
            return not_http(cause, host)
        connected = not isinstance(cause, _HTTP.ConnectError)
        return connection_error(cause, host, connected=connected)


async def _send_only_ours(request: Any) -> None:
    """Replace the headers the SDK put together, keeping those that belong to the connection.

    The library is asked to report on the connection, which is the only way to hear of it.
    """
    kept = {name: value for name, value in request.headers.items() if name in _PLAIN_HEADERS}
    ours, connecting = _OURS.get()
    request.headers = _HTTP.Headers({**kept, **ours})
    request.extensions = {**request.extensions, "trace": connecting}


async def _stop_other_status(response: Any) -> None:
    """Take an answer that is no stream out of the SDK's hands, with a bounded part of its body."""
    if response.status_code == 200:
        return
    body = bytearray()
    with suppress(*_READ_ERRORS):  # TimeoutError among them; the status says enough
        async with asyncio.timeout(ERROR_BODY_S):
            async with aclosing(response.aiter_bytes()) as pieces_of_it:
                async for piece in pieces_of_it:
                    body += piece
                    if len(body) >= ERROR_BODY_BYTES:
                        break
    pieces = iter([bytes(body)])

    async def read() -> bytes:
        return next(pieces, b"")

    raise _OtherStatus(
        Reply(status=response.status_code, headers=dict(response.headers), read=read)
    )
