"""The chat wire as NVIDIA NIM speaks it: two versions, answers that take long, schemas held to.

Options beside those of every chat target:

- `dialect`: ``auto`` (default), ``nim1`` or ``nim2``: how a JSON Schema is asked for. ``auto`` asks
  a container for its version when a schema is first wanted; the hosted service is not asked.
- `status_url`: where an answer that takes long is asked for; NVIDIA's own for its own hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..errors import AuthFailed, HopError, Incapable
from ..types import Ask, Chunk, Finish
from .base import Dialect, Target
from .check import Check
from .endpoint import key_headers
from .http_call import Answer, within
from .nim_pending import Pending, is_hosted, request_id
from .nim_version import Version, read_release, reword
from .openai_wire import OpenAIWire

if TYPE_CHECKING:
    from .looking import Look

_UNFINISHED: frozenset[Finish | None] = frozenset({"length", "content_filter", "tool_calls"})


class NimWire(OpenAIWire):
    """A provider for one model of a NIM. See `OpenAIWire`."""

    def __init__(self, target: Target, dialect: Dialect, *, clock: Clock | None = None) -> None:
        """Check what the config says about `target`. Raises: ConfigError."""
        super().__init__(target, dialect, more_options=("dialect", "status_url"), clock=clock)
        self._hosted = is_hosted(self.endpoint)
        self._version = Version(target, self.endpoint, self._clock, hosted=self._hosted)
        self._pending = Pending.of(target, dialect, self.endpoint, self._clock)

    def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        """As `OpenAIWire.stream`.

        JSON that was asked for is held against its schema when it is whole, for some versions pass
        over a schema without a word. If it doesn't fit, `Incapable` comes after the last chunk: the
        text may be shown by then, but nobody can take it for what was asked.
        """
        chunks = super().stream(ask)
        return self._held(chunks, ask) if ask.json or ask.json_schema is not None else chunks

    async def check(self) -> Check:
        """Look at its models and, where it is one's own, at its health. See `Checkable`."""
        found = await super().check()
        if self._hosted or not found.reachable:
            return found
        return await self._healthy(found)

    async def aclose(self) -> None:
        """Close the connections. Calls after this one fail."""
        await super().aclose()
        if self._pending is not None:
            await self._pending.aclose()

    def _sent(
        self, body: dict[str, Any], headers: Mapping[str, str], deadline: float | None
    ) -> AbstractAsyncContextManager[Answer]:
        if self._pending is None and "response_format" not in body:
            return super()._sent(body, headers, deadline)
        until = self._caller.deadline() if deadline is None else deadline
        return self._at_length(body, headers, until)

    @asynccontextmanager
    async def _at_length(
        self, body: dict[str, Any], headers: Mapping[str, str], deadline: float
    ) -> AsyncIterator[Answer]:
        """The answer, asked for in the container's own words, and waited for if it says so."""
        if "response_format" in body:
            learning = self._version.learn(self._own_headers())
            try:
                reword(body, await within(learning, deadline, self._target.timeout_s))
            except HopError as error:
                error.reached = False  # the container may be, but nothing of the ask
                raise
        if self._pending is not None:
            headers = {**headers, **self._pending.patience}
        async with super()._sent(body, headers, deadline) as answer:
            waits = answer.status == 202 and self._pending is not None
            told = request_id(answer.headers) if waits else None
            if told is None:
                yield answer
                return
            await answer.drain()
        assert self._pending is not None
        async with self._pending.answer(told, headers, deadline) as answer:
            yield answer

    async def _held(
        self, chunks: AsyncGenerator[Chunk, None], ask: Ask
    ) -> AsyncGenerator[Chunk, None]:
        """`chunks`, and an error after them when what they say is not the JSON that was asked."""
        from ..signals.forms import json_problem

        text: list[str] = []
        finish: Finish | None = None
        async with aclosing(chunks):
            async for chunk in chunks:
                text.append(chunk.text)
                finish = chunk.finish or finish
                yield chunk
        if finish in _UNFINISHED:
            return
        # In a thread: a long answer against a large schema takes its time.
        problem = await asyncio.to_thread(json_problem, "".join(text), ask.json_schema)
        if problem is not None:
            self._version.forget()
            error = Incapable(f"the answer is not the JSON that was asked for: {problem}")
            self._seal(error)
            raise error

    async def _healthy(self, found: Check) -> Check:
        """`found`, with what a container says of its health and version."""
        from .looking import looking

        headers = self._own_headers()
        async with looking(self._target, self.endpoint, clock=self._clock) as look:
            try:
                found = await self._ready(found, look, headers)
                release = await read_release(look, self.endpoint, headers)
            except HopError as error:
                return replace(found, says=(*found.says, error.message))
        self._version.learned(release)
        return found if release is None else replace(found, version=f"NIM {release}")

    async def _ready(self, found: Check, look: Look, headers: Mapping[str, str]) -> Check:
        """`found`, with whether its model is loaded. Raises: HopError."""
        base_url = self.endpoint.base_url
        ready = await look.get(f"{base_url}/health/ready", headers)
        if ready.status == 200:
            return replace(found, ready=True)
        if ready.status in (404, 405):  # no NIM, but something that speaks its wire
            return found
        live = await look.get(f"{base_url}/health/live", headers)
        says = "its model is not loaded, though its container is up; give it time"
        if live.status != 200:
            says = f"its container is not up (HTTP {live.status})"
        return replace(found, ready=False, says=(*found.says, says))

    def _own_headers(self) -> dict[str, str]:
        """For questions to the container's own routes."""
        try:
            return key_headers(self._target, self.dialect)
        except AuthFailed:
            return {}
