"""OpenAI's embeddings: texts go out, and the answer's bytes come back as they came.

A target whose options say ``embeddings: MODEL`` has them at its own address, beside its chats. They
always go over the lean wire: there is nothing in the answer that a client library would add to.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from ..clock import Clock, SystemClock
from ..errors import BadWire, HopError
from ..types import Ask, Chunk, Usage
from .base import Dialect, Target
from .endpoint import find_endpoint, key_headers
from .http_call import Caller
from .openai_errors import http_error
from .openai_lean import LeanTransport

ROUTE = "/embeddings"

_MOST_BYTES = 128 * 1024 * 1024


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Answer(msgspec.Struct):
    """What is looked at of an answer; the rest goes through unread."""

    data: list[msgspec.Raw]
    model: str | None = None
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Answer)


class Embeddings:
    """The way to one target's embeddings. Made without touching the network."""

    def __init__(self, target: Target, dialect: Dialect, *, clock: Clock | None = None) -> None:
        """`target.model` makes the embeddings. Raises: ConfigError."""
        self.target = target
        self.clock = clock or SystemClock()
        self.dialect = dialect
        self.endpoint = find_endpoint(target, dialect, route=ROUTE)
        self.caller: Caller[LeanTransport] = Caller(target, self.endpoint, self._transport)

    def asked(self, fields: Mapping[str, Any]) -> EmbeddingsCall:
        """A provider for one request, which sends `fields` of the body along."""
        return EmbeddingsCall(self, fields)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.caller.aclose()

    def _transport(self, tls: ssl.SSLContext) -> LeanTransport:
        return LeanTransport(self.endpoint, tls)


class EmbeddingsCall:
    """A `Provider` for one request: each message of its ask is one text.

    Attributes:
        body: The answer as it came. None: it has not come.
    """

    def __init__(self, way: Embeddings, fields: Mapping[str, Any]) -> None:
        self._way = way
        self._fields = fields
        self.body: bytes | None = None

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """Yield one chunk, which says how many there are and what was counted.

        Raises `HopError` and nothing else.
        """
        way = self._way
        texts = [message.content for message in ask.messages]
        body = {"model": way.target.model, "input": texts, **self._fields}
        try:
            headers = {
                "accept": "application/json",
                "content-type": "application/json",
                "user-agent": "firsthop",
                **way.dialect.headers,
                "x-client-request-id": ask.attempt_id,
                **key_headers(way.target, way.dialect),
            }
            deadline = way.caller.deadline()
            async with way.caller.call(lambda wire: wire.post(body, headers), deadline) as answer:
                if answer.status != 200:
                    said = await answer.start()
                    wall_s = way.clock.wall()
                    raise http_error(answer.status, answer.headers, said, wall_s=wall_s)
                raw = await answer.whole(_MOST_BYTES)
            found = _read(raw, len(texts))
        except HopError as exc:
            way.caller.seal(exc)
            raise
        self.body = raw
        counted = None if found.usage is None else found.usage.prompt_tokens
        yield Chunk(
            text=f"[embeddings: {len(texts)}]",
            finish="stop",
            model=found.model,
            usage=None if counted is None else Usage(input_tokens=counted, output_tokens=0),
            request_id=answer.headers.get("x-request-id"),
            transit=answer.transit,
        )

    async def aclose(self) -> None:
        """Its connections belong to `Embeddings`."""


def _read(raw: bytes, wanted: int) -> _Answer:
    try:
        found: _Answer = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BadWire("answered with something that is no list of embeddings") from exc
    if len(found.data) != wanted:
        raise BadWire(f"answered with {len(found.data)} embeddings for {wanted} texts")
    return found
