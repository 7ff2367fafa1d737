"""The OpenAI chat-completions wire: one `Ask` out, a stream of `Chunk`s back.

Everything that the wire means is said here and in the files it names, once for all services and
for both ways of sending: a service is a `Dialect`, a way of sending is a `Transport`. The answer is
always asked for as a stream; one that comes whole all the same is taken.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from ..clock import Clock, SystemClock
from ..errors import BadWire, ConfigError, Gone, HopError, Unavailable
from ..types import Ask, Chunk
from .abilities import OPTIONS, beside_text
from .base import Dialect, Target
from .check import Check
from .endpoint import CHAT_ROUTE, find_endpoint, key_headers
from .http_call import Answer, Caller
from .openai_body import request_body
from .openai_errors import http_error, read_payload, stream_error
from .openai_whole import as_stream
from .options import check_options, flag
from .sse import Parser
from .transport import Reply, Transport

if TYPE_CHECKING:
    from .openai_chunks import ChunkReader

ID_HEADERS = ("x-client-request-id",)
AFTER_TEXT_S = 5.0

_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "nvcf-reqid")


class OpenAIWire:
    """A provider for one target that speaks this wire.

    Made without touching the network; the connection pool appears with the first call and belongs
    to the event loop of that call. Its libraries are imported then too, in a thread: what is never
    called costs nothing. Safe for many calls at once on that loop.

    Two ends are kept apart. An answer that breaks off before its finish reason is `BadWire`. Once
    that has come the text is whole: what breaks off after it, or takes longer than `after_text_s`,
    costs the usage figures at most.

    Attributes:
        abilities: What it takes beside text.
        endpoint: Where its calls go.
        address: Host and port of its connections, as in `Endpoint`.
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
        route: str = CHAT_ROUTE,
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
            route: What follows the address in a call.
            clock: For dates in answers.
            after_text_s: How long to wait for usage and the end once the text is whole.

        Raises: ConfigError.
        """
        check_options(target, {"logprobs", *OPTIONS, *more_options})
        if flag(target, "logprobs") and not dialect.logprobs:
            raise ConfigError(
                f"{dialect.name} can't be asked for log-probabilities",
                field=f"targets.{target.name}.options.logprobs",
            )
        self._target = target
        self.dialect = beside_text(target, dialect)
        self.abilities = self.dialect.abilities
        self._id_headers = id_headers
        self._same_headers = {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "user-agent": "firsthop",
            **self.dialect.headers,
        }
        self.endpoint = find_endpoint(target, dialect, example=example_url, route=route)
        self.address = self.endpoint.address
        self._clock = clock or SystemClock()
        self._after_text_s = after_text_s
        self._reads: type[ChunkReader] | None = None  # from the first answer on
        self._caller: Caller[Transport] = Caller(target, self.endpoint, self._make_transport)

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it comes; usage, where the target sends it, comes last.

        The first chunk may hold no text but only how it travelled and who answers; what came with
        the head is one chunk with it. Raises `HopError` and nothing else.
        Closing the generator cuts the connection. `Target.timeout_s` bounds the whole call, unless
        who asks keeps a time that is no longer (`Ask.timed`).
        """
        try:
            body, headers = request_body(ask, self._target, self.dialect), self._headers(ask)
            kept_s = ask.timeout_s if ask.timed else None
            kept = kept_s is not None and kept_s <= self._target.timeout_s
            deadline = None if kept else self._caller.deadline()
            async with self._sent(body, headers, deadline) as sent:
                answer, transit = sent, None
                if not _is_stream(sent):
                    answer = await as_stream(sent)
                    if not _is_stream(answer):
                        await self._refuse(answer)
                if answer.waiting():
                    transit = answer.transit
                else:
                    yield Chunk(transit=answer.transit)
                events, parser, ended = self._reader(answer, ask.logprobs), Parser(), False
                while not (ended or events.done):
                    try:
                        piece = await answer.read()
                    except HopError:
                        if not events.finished:
                            raise
                        break
                    ended, whole = not piece, events.finished
                    if (lines := parser.lines(piece)) is not None:
                        came, error = events.read_lines(lines, transit)
                    else:
                        sse = parser.close() if ended else parser.feed(piece)
                        came, error = events.read(sse, transit)
                    transit = None
                    if came is not None:
                        yield came
                    if error is not None:
                        raise error
                    if events.finished and not (whole or events.done):
                        answer.shorten(self._after_text_s)
                if (last := events.end()) is not None:
                    yield last
                if events.done and not ended:
                    await answer.drain()
        except HopError as exc:
            self._seal(exc)
            raise

    async def check(self) -> Check:
        """Look at its list of models. See `Checkable`."""
        from .openai_check import check_models

        return await check_models(self._target, self.dialect, self.endpoint, clock=self._clock)

    async def aclose(self) -> None:
        """Close the connections. Calls after this one fail."""
        await self._caller.aclose()

    def _post(
        self, way: Transport, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        """The call itself; for one who has to fetch something for it first."""
        return way.post(body, headers)

    def _sent(
        self, body: dict[str, Any], headers: Mapping[str, str], deadline: float | None
    ) -> AbstractAsyncContextManager[Answer]:
        """The answer to one body; for services where more than one exchange leads to it."""
        return self._caller.call(lambda way: self._post(way, body, headers), deadline)

    def _reader(self, answer: Answer, spell: int | None) -> ChunkReader:
        headers = answer.headers
        if self._reads is None:
            from .openai_chunks import ChunkReader

            self._reads = ChunkReader
        for name in _REQUEST_ID_HEADERS:
            if name in headers:
                return self._reads(headers[name], spell)
        return self._reads(None, spell)

    async def _refuse(self, answer: Answer) -> NoReturn:
        """Raise what an answer that is no stream stands for."""
        if answer.status != 200:
            body = await answer.start()
            raise http_error(answer.status, answer.headers, body, wall_s=self._clock.wall())
        kind = _kind(answer)
        payload = read_payload(await answer.start(), answer.headers)
        if isinstance(payload, dict) and payload.get("error"):
            raise stream_error(payload)
        paid = isinstance(payload, dict) and payload.get("usage")
        raise BadWire(
            f"answered with {kind}, not with text/event-stream; does {self.endpoint.chat_url} "
            "speak chat completions?",
            retryable=False if paid else None,
        )

    def _make_transport(self, tls: ssl.SSLContext) -> Transport:
        """Import what a call needs; it takes a moment."""
        from . import openai_chunks  # noqa: F401 - imported here for the calls to come

        if self._target.transport == "lean":
            from .openai_lean import LeanTransport

            return LeanTransport(self.endpoint, tls)
        from .openai_sdk import SdkTransport

        return SdkTransport(self.endpoint, tls)

    def _headers(self, ask: Ask) -> dict[str, str]:
        headers = self._same_headers.copy()
        for name in self._id_headers:
            headers[name] = ask.attempt_id
        headers.update(key_headers(self._target, self.dialect))
        return headers

    def _seal(self, error: HopError) -> None:
        """Name the target, add what is known of a service that ended, and keep secrets out."""
        if self.dialect.retired and isinstance(error, Gone | Unavailable):
            error.message += f"; the service ended on {self.dialect.retired}"
            if self.dialect.successors:
                error.message += f", use {self.dialect.successors} instead"
        self._caller.seal(error)


def _kind(answer: Answer) -> str:
    """The media type of its body, in lower case; empty where it doesn't say."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_stream(answer: Answer) -> bool:
    if answer.status != 200:
        return False
    told = answer.headers.get("content-type")
    return told == "text/event-stream" or _kind(answer) in ("text/event-stream", "")
