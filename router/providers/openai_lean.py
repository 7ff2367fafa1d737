"""The lean transport: one POST over a connection of ours, and the bytes as they come.

It takes a small part of the processor time that the same call takes through the SDK, which is why a
server with many callers prefers it. Where a proxy is on the way the call goes over aiohttp, which
knows how to speak with one. Imported by nobody until a lean target is called.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from ..clock import Clock
from .endpoint import Endpoint
from .narrow_call import Call
from .narrow_pool import Pool
from .narrow_request import Heads, origin_of
from .transport import Reply

if TYPE_CHECKING:
    from .openai_aiohttp import AiohttpTransport


class LeanTransport:
    """A `Transport`. Belongs to the event loop of its first call."""

    def __init__(
        self, endpoint: Endpoint, tls: ssl.SSLContext, *, clock: Clock | None = None
    ) -> None:
        """Imports what its calls need, which takes a moment; touches no network.

        Args:
            endpoint: Where calls go.
            tls: What to trust.
            clock: For the age of connections that wait.
        """
        self._chat_url = endpoint.chat_url
        self._proxied: AiohttpTransport | None = None
        if endpoint.proxy is not None:
            from . import openai_aiohttp

            self._proxied = openai_aiohttp.AiohttpTransport(endpoint, tls)
        origin = origin_of(endpoint.base_url)
        self._heads = Heads(origin)
        self._pool = Pool(
            origin,
            tls,
            name=endpoint.host,
            connect_timeout_s=endpoint.connect_timeout_s,
            clock=clock,
        )

    def post(
        self, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        return self.send("POST", self._chat_url, headers, msgspec.json.encode(body))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> AbstractAsyncContextManager[Reply]:
        """As `post`, for any other call to the same host. Raises `HopError` and nothing else."""
        if self._proxied is not None:
            return self._proxied.send(method, url, headers, data)
        return Call(self._pool, self._heads, method, url, headers, data)

    async def aclose(self) -> None:
        await self._pool.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()
