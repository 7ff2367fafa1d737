"""Ollama in its own words: ``/api/chat``, a JSON object a line.

What this has over its OpenAI-compatible face: the length of the context can be set, so that no
prompt is cut in silence; thinking is kept apart from text; and an answer says where the model ran.

Status: alive, version 0.40, looked at 2026-11-22. Log-probabilities from 0.12.11 on. Its ``cloud``
models run on Ollama's machines behind the same address; they are off this device.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING

from ..clock import Clock, SystemClock
from ..errors import BadWire, ConfigError, HopError, Incapable, Refused
from ..types import Ability, Ask, Chunk
from .base import Provider, Target, honours
from .check import Check
from .endpoint import find_endpoint, key_headers
from .http_call import Answer, Caller
from .ollama_options import NATIVE, read_options
from .transport import causes

if TYPE_CHECKING:
    from .ollama_chunks import LineReader
    from .openai_lean import LeanTransport

_REFUSES_LONG = (0, 12, 6)
_LONGEST_FACTS = 16_000_000
_LINES = ("application/x-ndjson", "application/json", "")


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    return Ollama(target)


class Ollama:
    """Answers with one model of one Ollama server. See `Provider`.

    Attributes:
        abilities: What the model takes beside text, as the config says.
        here: What is sent stays on this machine. It is a promise: before the first prompt the
            server is asked where the model runs, and a call that would leave is refused.
        address: Host and port of its connections, as in `Endpoint`.
    """

    def __init__(self, target: Target, *, clock: Clock | None = None) -> None:
        """Check what the config says about `target`. Raises: ConfigError."""
        _check_address(target)
        endpoint = find_endpoint(target, NATIVE)
        self._target = target
        self._options = read_options(target, endpoint)
        self._endpoint = endpoint
        self.address = endpoint.address
        self._caller = Caller(target, endpoint, self._pool)
        self._clock = clock or SystemClock()
        self._refuses_long = False  # this, and what follows, is known once the server was asked
        self._runs_here = False
        self._runs_at: str | None = None
        self.here = self._options.here
        self.abilities: frozenset[Ability] = self._options.abilities

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it comes; why it ended and usage come with the last chunk.

        Raises `HopError` and nothing else. Closing the generator cuts the connection, and Ollama
        then stops. `Target.timeout_s` bounds the whole call, loading the model included.
        """
        from .ollama_body import chat_body

        try:
            honours(ask, self.abilities)
            body = chat_body(ask, self._target.model, self._options)
            headers = self._headers()
            deadline = self._caller.deadline()
            try:
                await self._stays_here(headers, deadline)
                await self._fits(ask, headers, deadline)
            except HopError as error:
                error.reached = False  # the server may be, but nothing of the ask
                raise
            async with self._send("POST", "/api/chat", headers, body, deadline) as answer:
                await self._check(answer)
                yield Chunk(transit=answer.transit)
                async with aclosing(self._read(answer, ask.logprobs)) as chunks:
                    async for chunk in chunks:
                        yield chunk
        except HopError as error:
            refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes(error))
            if refused and self._endpoint.proxy is None:
                error.message += "; is Ollama running? `ollama serve` starts it"
            self._caller.seal(error)
            raise

    async def check(self) -> Check:
        """Look at the server and its models. See `Checkable`."""
        from .ollama_check import check_server

        return await check_server(self._target, self._endpoint, here=self.here, clock=self._clock)

    async def aclose(self) -> None:
        """Close the connections. Calls after this one fail."""
        await self._caller.aclose()

    async def _read(self, answer: Answer, spell: int | None) -> AsyncGenerator[Chunk, None]:
        """The chunks of an answer that began well."""
        from .ollama_chunks import LineReader, Lines

        lines, reader = Lines(), LineReader(self._target.model, spell)
        ended = False
        while not (ended or reader.done):
            piece = await answer.read()
            ended = not piece
            for line in lines.close() if ended else lines.feed(piece):
                chunk = reader.read(line)
                self._came_from(reader)
                if chunk is not None:
                    yield chunk
        reader.end()
        if not ended:
            await answer.drain()

    async def _check(self, answer: Answer) -> None:
        """Raise what an answer that is no stream of lines stands for."""
        from .ollama_errors import status_error

        if answer.status != 200:
            raise status_error(
                answer.status,
                answer.headers,
                await answer.start(),
                self._target.model,
                wall_s=self._clock.wall(),
            )
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _LINES:
            raise BadWire(f"answered with {kind}, not with lines of JSON; is it Ollama?")

    async def _stays_here(self, headers: Mapping[str, str], deadline: float) -> None:
        """Keep the promise of `here`: raise before a word of the prompt is sent.

        A cloud model can have any name on a server, so the name alone says too little.
        """
        if not self.here:
            return
        if self._runs_at is None and not self._runs_here:
            from .ollama_facts import asked_about, where

            body = asked_about(self._target.model)
            async with self._send("POST", "/api/show", headers, body, deadline) as answer:
                await self._check(answer)
                self._runs_at = where(await answer.whole(_LONGEST_FACTS))
            self._runs_here = self._runs_at is None
        if self._runs_at is not None:
            raise _elsewhere(self._target.model, self._runs_at, "nothing was sent")

    def _came_from(self, reader: LineReader) -> None:
        """The same once more, for the name may mean another model by now."""
        if self.here and reader.remote_host is not None:
            self._runs_at = reader.remote_host
            raise _elsewhere(
                self._target.model, self._runs_at, "the text has left this device, once"
            )

    async def _fits(self, ask: Ask, headers: Mapping[str, str], deadline: float) -> None:
        """Raise Incapable where a prompt might be cut in silence.

        One that surely fits goes to any version; one that may not, to a version that refuses it
        if it doesn't.
        """
        from .ollama_body import most_tokens
        from .ollama_facts import read_version, version_number

        num_ctx, bound = self._options.num_ctx, most_tokens(ask)
        pictures = any(message.images for message in ask.messages)
        if num_ctx is None or self._refuses_long or (bound <= num_ctx and not pictures):
            return
        async with self._send("GET", "/api/version", headers, None, deadline) as answer:
            await self._check(answer)
            version = read_version(await answer.whole(_LONGEST_FACTS))
        self._refuses_long = version_number(version) >= _REFUSES_LONG
        if not self._refuses_long:
            raise Incapable(
                f"prompt and answer may take up to {bound} tokens, `num_ctx` is {num_ctx}, and "
                f"Ollama {version} would cut them in silence; raise `num_ctx`, or update Ollama "
                f"to {'.'.join(map(str, _REFUSES_LONG))} or later"
            )

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        deadline: float,
    ) -> AbstractAsyncContextManager[Answer]:
        url = self._endpoint.base_url + path
        return self._caller.call(lambda pool: pool.send(method, url, headers, data), deadline)

    def _pool(self, tls: ssl.SSLContext) -> LeanTransport:
        from .openai_lean import LeanTransport

        return LeanTransport(self._endpoint, tls)

    def _headers(self) -> dict[str, str]:
        return {
            "accept": "application/x-ndjson",
            "content-type": "application/json",
            "user-agent": "firsthop",
            **key_headers(self._target, NATIVE),
        }


def _check_address(target: Target) -> None:
    path = re.search(r"(?<!/)(/v1|/api|/api/chat|/api/generate)/?\Z", target.base_url or "")
    if path:
        raise ConfigError(
            f"is the server's address without {path[1]}",
            field=f"targets.{target.name}.base_url",
            hint="such as http://127.0.0.1:11434; /v1 is what openai_compatible takes",
        )


def _elsewhere(model: str, host: str, what: str) -> HopError:
    return Refused(
        f"{model} runs at {host}, and its target is one on this device; {what}. "
        "If it may leave, set `here: false`"
    )
