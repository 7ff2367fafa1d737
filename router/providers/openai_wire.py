"""The OpenAI chat-completions wire: one `Ask` out, a stream of `Chunk`s back.

Everything that the wire means is said here and in the files it names, once for all services and
for both ways of sending: a service is a `Dialect`, a way of sending is a `Transport`. The answer is
always streamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, aclosing, suppress
from typing import TypeVar

from ..clock import Clock, SystemClock
from ..errors import BadWire, ConfigError, Gone, HopError, TimedOut, Unavailable
from ..types import Ask, Chunk
from .base import Dialect, Target
from .endpoint import find_endpoint, key_headers
from .openai_body import request_body
from .openai_errors import http_error, read_payload, stream_error
from .options import check_options, flag
from .sse import Parser
from .transport import ERROR_BODY_BYTES, ERROR_BODY_S, Reply, Transport, causes

T = TypeVar("T")

ID_HEADERS = ("x-client-request-id",)
AFTER_TEXT_S = 5.0

_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "nvcf-reqid")
_SHORTEST_KEY = 8
_AFTER_END_S = 0.1
_PIECES_AFTER_END = 16


class OpenAIWire:
    """A provider for one target that speaks this wire.

    Made without touching the network; the connection pool appears with the first call and belongs
    to the event loop of that call. Its libraries are imported then too, in a thread: what is never
    called costs nothing. Safe for many calls at once on that loop.

    Two ends are kept apart. An answer that breaks off before its finish reason is `BadWire`. Once
    that has come the text is whole: what breaks off after it, or takes longer than `after_text_s`,
    costs the usage figures at most.

    Attributes:
        endpoint: Where its calls go.
        dialect: How its service speaks.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        *,
        example_url: str | None = None,
        id_headers: tuple[str, ...] = ID_HEADERS,
        more_options: tuple[str, ...] = (),
        clock: Clock | None = None,
        after_text_s: float = AFTER_TEXT_S,
    ) -> None:
        """Check what the config says about `target`.

        Args:
            target: As configured.
            dialect: How its service speaks.
            example_url: An address to show when the target lacks one and the dialect has none.
            id_headers: Headers that carry `Ask.attempt_id`.
            more_options: Options that the caller has looked at itself.
            clock: For dates in answers.
            after_text_s: How long to wait for usage and the end once the text is whole.

        Raises: ConfigError.
        """
        check_options(target, {"logprobs", *more_options})
        if flag(target, "logprobs") and not dialect.logprobs:
            raise ConfigError(
                f"{dialect.name} can't be asked for log-probabilities",
                field=f"targets.{target.name}.options.logprobs",
            )
        self._target = target
        self.dialect = dialect
        self._id_headers = id_headers
        self.endpoint = find_endpoint(target, dialect, example=example_url)
        self._clock = clock or SystemClock()
        self._after_text_s = after_text_s
        self._secrets = _secrets(target.api_key, self.endpoint.proxy)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: Transport | None = None
        self._closed = False

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it comes; usage, where the target sends it, comes last.

        The first chunk may hold no text but only who answers. Raises `HopError` and nothing else.
        Closing the generator cuts the connection. `Target.timeout_s` bounds the whole call.
        """
        try:
            body, headers = request_body(ask, self._target, self.dialect), self._headers(ask)
            transport = await self._ready()
            deadline = asyncio.get_running_loop().time() + self._target.timeout_s
            async with AsyncExitStack() as stack:
                reply = await self._in_time(
                    stack.enter_async_context(transport.post(body, headers)), deadline
                )
                await self._check(reply, deadline)
                async with aclosing(self._read(reply, deadline)) as chunks:
                    async for chunk in chunks:
                        yield chunk
        except HopError as error:
            self._seal(error)
            raise

    async def aclose(self) -> None:
        """Close the connections. Calls after this one fail."""
        self._closed = True
        if self._transport is not None:
            await self._transport.aclose()

    async def _read(self, reply: Reply, deadline: float) -> AsyncGenerator[Chunk, None]:
        """The chunks of an answer that began well."""
        from .openai_chunks import ChunkReader

        request_id = next(
            (reply.headers[n] for n in _REQUEST_ID_HEADERS if n in reply.headers), None
        )
        reader, parser = ChunkReader(request_id), Parser()
        ended = False
        while not (ended or reader.done):
            try:
                piece = await self._in_time(reply.read(), deadline)
            except HopError:
                if not reader.finished:
                    raise
                break
            ended = not piece
            for event in parser.close() if ended else parser.feed(piece):
                chunk = reader.read(event)
                if chunk is not None:
                    yield chunk
            if reader.finished:
                deadline = min(deadline, _in(self._after_text_s))
        last = reader.end()
        if last is not None:
            yield last
        if reader.done and not ended:
            await self._drain(reply)

    async def _drain(self, reply: Reply) -> None:
        """Read to the end of the body, if it is near: only then can the connection serve again."""
        deadline = _in(_AFTER_END_S)
        with suppress(HopError):
            for _ in range(_PIECES_AFTER_END):
                if not await self._in_time(reply.read(), deadline):
                    return

    async def _check(self, reply: Reply, deadline: float) -> None:
        """Raise what an answer that is no stream stands for."""
        if reply.status != 200:
            body = await self._start_of_body(reply, deadline)
            raise http_error(reply.status, reply.headers, body, wall_s=self._clock.wall())
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/event-stream", ""):
            return
        payload = read_payload(await self._start_of_body(reply, deadline), reply.headers)
        if isinstance(payload, dict) and payload.get("error"):
            raise stream_error(payload)
        raise BadWire(
            f"answered with {kind}, not with text/event-stream; does {self.endpoint.chat_url} "
            "speak chat completions?"
        )

    async def _start_of_body(self, reply: Reply, deadline: float) -> bytes:
        """Enough of a short body; what doesn't come in time or breaks off is left out."""
        body = bytearray()
        deadline = min(deadline, _in(ERROR_BODY_S))
        with suppress(HopError):
            while len(body) < ERROR_BODY_BYTES:
                piece = await self._in_time(reply.read(), deadline)
                if not piece:
                    break
                body += piece
        return bytes(body[:ERROR_BODY_BYTES])

    async def _in_time(self, step: Awaitable[T], deadline: float) -> T:
        """Wait for one step, no longer than the call's deadline.

        A timeout around each step, for one around them all would span the points where this
        generator is left, and there it could strike the caller's own code.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await step
        except TimeoutError as exc:
            raise TimedOut(f"no complete answer within {self._target.timeout_s:g} s") from exc

    async def _ready(self) -> Transport:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise Unavailable(
                "its connections belong to another event loop; build a router for each loop",
                retryable=False,
                reached=False,
            )
        if self._transport is None and not self._closed:
            made = await asyncio.to_thread(self._make_transport)
            self._transport = self._transport or made
        if self._transport is None or self._closed:
            raise Unavailable("this provider has been closed", retryable=False, reached=False)
        return self._transport

    def _make_transport(self) -> Transport:
        """Import what a call needs and load what to trust: a second at worst, so in a thread."""
        from . import openai_chunks  # noqa: F401 - imported here for the calls to come

        try:
            tls = self.endpoint.tls()
        except ConfigError as exc:
            raise Unavailable(str(exc), retryable=False, reached=False) from exc
        if self._target.transport == "lean":
            from .openai_lean import LeanTransport

            return LeanTransport(self.endpoint, tls)
        from .openai_sdk import SdkTransport

        return SdkTransport(self.endpoint, tls)

    def _headers(self, ask: Ask) -> dict[str, str]:
        return {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "user-agent": "firsthop",
            **self.dialect.headers,
            **dict.fromkeys(self._id_headers, ask.attempt_id),
            **key_headers(self._target, self.dialect),
        }

    def _seal(self, error: HopError) -> None:
        """Name the target, add what is known of a service that ended, and keep secrets out.

        A server may write the key it was sent into its error text; a library may write the proxy's
        password into its own.
        """
        error.target = self._target.name
        if self.dialect.retired and isinstance(error, Gone | Unavailable):
            error.message += f"; the service ended on {self.dialect.retired}"
            if self.dialect.successors:
                error.message += f", use {self.dialect.successors} instead"
        for secret in self._secrets:
            error.message = error.message.replace(secret, "[secret]")
            error.code = error.code and error.code.replace(secret, "[secret]")
            if any(secret in str(cause) for cause in causes(error)):
                error.__cause__ = error.__context__ = None
        error.args = (error.message,)


def _secrets(key: str | None, proxy: str | None) -> tuple[str, ...]:
    """What no error may show. A key of a few letters guards nothing, and is part of many words."""
    found = [key] if key and len(key) >= _SHORTEST_KEY else []
    credentials, at, _ = (proxy or "").partition("://")[2].rpartition("@")
    return (*found, credentials) if at else tuple(found)


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
