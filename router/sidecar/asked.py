"""Chat and text completions: one request goes down the street, its answer back over HTTP.

Until something is committed nothing is sent, unless the wait grows so long that a comment has to
keep proxies awake. So a request that fails has its own status, and of a draft that was dropped not
one byte is ever on the socket: the street gives out nothing before it is accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from .. import asking
from ..asking import Options
from ..compose import Router
from ..drive.ids import new_id
from ..errors import Forbidden, LimitReached, NoAnswer, RouterError
from ..hops import Outcome
from ..policy.rules import Policy
from ..types import Chunk, ToolCall
from .after import After
from .exchange import Exchange, Headers, Heart, Watch
from .names import Names
from .wire import answers, caller
from .wire.answers import Chunks, Surface
from .wire.chat import Asked
from .wire.failure import Failure, failure_of, refuse, router_field, router_headers

Items = AsyncGenerator[Chunk | Outcome, None]
STOPPING = Failure(
    status=503,
    message="the server stops, and this request did not end in its grace",
    kind="service_unavailable_error",
    code="stopping",
)


@dataclass(slots=True)
class Answering:
    """Answers requests with `router`."""

    router: Router
    names: Names
    after: After

    async def answer(self, exchange: Exchange, asked: Asked, surface: Surface) -> None:
        """Answer one request.

        Raises: Refusal and RouterError, both before anything was sent.
        """
        key = exchange.caller
        choice = (
            await self.names.choose(asked.model)
            if key is None
            else await key.chosen(asked.model, self.names)
        )
        said = caller.options_of(caller.headers_of(exchange.lines), asked.metadata)
        request = asking.request(
            asked.messages,
            _options(asked, said, choice.target),
            list(self.router.targets),
            whole=not asked.streamed,
        )
        now = self.router.clock.wall()
        one = _One(surface, new_id(now), int(now), asked)
        if key is not None:
            policy = self.router.of_policy(choice.policy).policy
            request = key.held(request, choice, policy, one.decision_id)
        self.after.enter(one.decision_id, exchange.headers)
        watch = Watch(exchange)
        try:
            async with aclosing(self.router.run(request, choice.policy, one.decision_id)) as items:
                if asked.streamed:
                    # The policy in force is the one that `run` has just looked at.
                    one.policy = self.router.of_policy(choice.policy).policy
                    await _streamed(exchange, items, one)
                else:
                    await _whole(exchange, items, one)
        except asyncio.CancelledError:
            await _cancelled(exchange, watch)
        finally:
            watch.stop()
            self.after.leave(one.decision_id)


def _options(asked: Asked, said: Options, target: str | None) -> Options:
    """What body, headers and the model's name say together."""
    options: Options = {**asked.options, **said}
    if "tags" in asked.options and "tags" in said:
        options["tags"] = {**(asked.options["tags"] or {}), **(said["tags"] or {})}
    if target is not None:
        if options.get("target") not in (None, target):
            raise refuse(400, "model and x-firsthop-target name two targets", "invalid_value")
        options["target"] = target
    return options


@dataclass(slots=True)
class _One:
    """One answer, as it becomes bytes.

    Attributes:
        policy: The one that decides it; set for a stream.
    """

    surface: Surface
    decision_id: str
    created: int
    asked: Asked
    policy: Policy | None = None
    chunks: Chunks | None = None

    @property
    def headers(self) -> Headers:
        """What is known of a stream before its first byte."""
        assert self.policy is not None
        policy = f"{self.policy.name}@{self.policy.revision}"
        return [
            (b"x-firsthop-decision-id", self.decision_id.encode()),
            (b"x-firsthop-policy", policy.encode("ascii", "replace")),
        ]

    def events(self, item: Chunk | Outcome) -> bytes:
        """An item of the street as events."""
        found = b""
        if self.chunks is None:
            model = item.model if isinstance(item, Chunk) else None
            self.chunks = Chunks(
                self.surface,
                self.decision_id,
                self.created,
                model or self.asked.model,
                usage=self.asked.usage,
            )
            found = self.chunks.first()
        if isinstance(item, Outcome):
            return found + self.chunks.last(item)
        if item.text:
            found += self.chunks.text(item.text)
        if item.tool_calls:
            found += self.chunks.calls(item.tool_calls)
        return found


async def _whole(exchange: Exchange, items: Items, one: _One) -> None:
    text: list[str] = []
    calls: list[ToolCall] = []
    async for item in items:
        if isinstance(item, Outcome):
            body = answers.whole(one.surface, one.created, "".join(text), calls, item)
            await exchange.whole(200, body, router_headers(item))
        else:
            text.append(item.text)
            calls.extend(item.tool_calls)


async def _streamed(exchange: Exchange, items: Items, one: _One) -> None:
    heart = Heart(exchange, one.headers)
    try:
        async for item in items:
            await heart.send(one.events(item), last=isinstance(item, Outcome))
    except RouterError as error:
        await heart.stopped()
        if not exchange.started:
            raise
        body = failure_of(error).body(field_of(error))
        await exchange.piece(answers.broken(body), last=True)
    finally:
        heart.stop()


async def _cancelled(exchange: Exchange, watch: Watch) -> None:
    """Nobody is there any more, or the server stops and says so."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    if watch.gone:
        return
    if exchange.started:
        await exchange.piece(answers.broken(STOPPING.body()), last=True)
    else:
        await exchange.fail(STOPPING)


def field_of(error: RouterError) -> dict[str, Any] | None:
    """The `router` field of an error that the street ended with. None: it did not get that far."""
    if isinstance(error, Forbidden | LimitReached | NoAnswer) and error.outcome is not None:
        return router_field(error.outcome)
    return None


def headers_of(error: RouterError) -> Headers:
    """The same in headers."""
    if isinstance(error, Forbidden | LimitReached | NoAnswer) and error.outcome is not None:
        return router_headers(error.outcome)
    return []
