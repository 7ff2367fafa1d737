"""The same POST through the official `azure-ai-inference` client, for the dialect that is its own.

The client is given our connection pool and one policy of ours in place of all of its own: it would
retry, follow redirects, add headers that say what machine this is, and log. The answer is taken as
bytes, as from the other official client: the client's own reader has no limits, and hides whether
the end mark came.

Imported by nobody until such a target is called.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import msgspec
from azure.ai.inference.aio import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport

from .endpoint import Endpoint
from .openai_aiohttp import AiohttpTransport, Connecting
from .transport import Reply, cut_error


class AzureSdkTransport(AiohttpTransport):
    """A `Transport` over one `ChatCompletionsClient` on an aiohttp pool of ours."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, api_version: str) -> None:
        super().__init__(endpoint, tls)
        self._api_version = api_version
        self._client: ChatCompletionsClient | None = None

    @asynccontextmanager
    async def post(self, body: dict[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        if self._client is None:
            self._client = self._new_client()
        came: list[aiohttp.ClientResponse] = []
        connecting = Connecting()
        try:
            await self._client.complete(
                BytesIO(msgspec.json.encode(body)),
                stream=True,
                our_headers=headers,
                came=came,
                proxy=self._endpoint.proxy,
                connection_timeout=self._endpoint.connect_timeout_s,
                read_timeout=None,
                trace_request_ctx=connecting,
            )
        except _OtherStatus:
            pass
        except (AzureError, aiohttp.ClientError, OSError) as exc:
            raise self._failed(_cause(exc)) from exc
        (response,) = came

        async def read() -> bytes:
            try:
                return await response.content.readany()
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
            response.close()

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await super().aclose()

    def _new_client(self) -> ChatCompletionsClient:
        if self._session is None:
            self._session = self._new_session()
        return ChatCompletionsClient(
            self._endpoint.base_url,
            AzureKeyCredential("not sent: the key goes by a header of ours"),
            api_version=self._api_version,
            policies=[_OnlyOurs()],
            transport=AioHttpTransport(session=self._session, session_owner=False),
        )


class _OtherStatus(Exception):
    """Carries an answer other than 200 past the client, which would read the whole of its body."""


class _OnlyOurs(AsyncHTTPPolicy[Any, Any]):
    """Sends our headers and no others, and keeps the answer for us."""

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        options = request.context.options
        headers, came = options.pop("our_headers"), options.pop("came")
        request.http_request.headers.clear()
        request.http_request.headers.update(headers)
        response = await self.next.send(request)
        came.append(response.http_response.internal_response)
        if response.http_response.status_code != 200:
            raise _OtherStatus
        return response


def _cause(error: Exception) -> Exception:
    """What the HTTP library raised, under the client's own error."""
    cause = error.__cause__
    return cause if isinstance(error, AzureError) and isinstance(cause, Exception) else error
