"""What is asked of a model, in whatever shape: down the street, and its answer back over HTTP.

Until something is committed nothing is sent, unless the wait grows so long that a beat has to
keep proxies awake. So a request that fails has its own status, and of a draft that was dropped not
one byte is ever on the socket: the street gives out nothing before it is accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from .. import asking
from ..asking import Options
from ..compose import Router
from ..drive.ids import new_id
from ..errors import ConfigError, Forbidden, LimitReached, NoAnswer, RouterError, let_go
from ..hops import Outcome
from ..policy.rules import Policy
from ..types import Chunk, Request
from . import abreast
from .after import After
from .callers import chosen
from .exchange import Exchange, Headers, Heart, Watch
from .names import Choice, Names
from .places import Places
from .several import Several
from .wire import caller
from .wire.answers import Completions
from .wire.chat import Asked
from .wire.failure import (
    Failure,
    Refusal,
    failure_of,
    refuse,
    router_field,
    router_headers,
    stream_headers,
)
from .wire.surface import Events, Said, Surface

Items = AsyncGenerator[Chunk | Outcome, None]
Run = Callable[[Request, str | None, str | None], Items]
"""Of a request, a policy's name and a decision's id: the answer's chunks, then its outcome."""
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
    places: Places

    async def answer(
        self, exchange: Exchange, asked: Asked, surface: Surface, run: Run | None = None
    ) -> None:
        """Answer one request.

        Args:
            run: How it goes down the street. None: as `Router.run` says.

        Raises: Refusal and RouterError, both before anything was sent.
        """
        key = exchange.caller
        choice = self.names.ready(asked.model) if key is None else None
        if choice is None:
            choice = await chosen(key, asked.model, self.names)
        options, said = asked.options, caller.headers_of(exchange.lines)
        if said or asked.metadata or choice.target is not None or "tags" in options:
            options = _options(asked, caller.options_of(said, asked.metadata), choice.target)
        request = _request(asked, options, self.router.targets)
        if asked.n > 1:
            await self._several(exchange, asked, surface, choice, request)
            return
        now = self.router.clock.wall()
        one = _One(surface, new_id(now), int(now), asked)
        exchange.name(one.decision_id)
        if key is not None:
            policy = self.router.of_policy(choice.policy).policy
            request = key.held(request, choice, policy, one.decision_id)
        self.after.enter(one.decision_id, exchange.headers)
        watch = Watch(exchange)
        try:
            items = (run or self.router.run)(request, choice.policy, one.decision_id)
            try:
                if asked.streamed:
                    # The policy in force is the one that `run` has just looked at.
                    one.policy = self.router.of_policy(choice.policy).policy
                    await _streamed(exchange, items, one)
                else:
                    await _whole(exchange, items, one)
            finally:
                await items.aclose()
        except asyncio.CancelledError:
            await _cancelled(exchange, watch, one)
        finally:
            watch.stop()
            self.after.leave(one.decision_id)

    async def _several(
        self, exchange: Exchange, asked: Asked, surface: Surface, choice: Choice, request: Request
    ) -> None:
        """Answer a request for several choices. Raises: as `answer`."""
        assert isinstance(surface, Completions)  # no other shape has a word for it
        now = self.router.clock.wall()
        ids = [new_id(now) for _ in range(asked.n)]
        many = Several(surface.kind, ids, int(now), asked)
        exchange.name(ids[0])
        with self.places.held_beside(asked.n - 1):
            each = self._each(exchange, abreast.requests(request, ids), choice, ids)
            watch = Watch(exchange)
            try:
                runs = [
                    self.router.run(one, choice.policy, name)
                    for one, name in zip(each, ids, strict=True)
                ]
                async with aclosing(abreast.run(runs)) as items:
                    if asked.streamed:
                        many.policy = self.router.of_policy(choice.policy).policy
                        await _streamed(exchange, items, many)
                    else:
                        await many.whole(exchange, items)
            except asyncio.CancelledError:
                await _cancelled(exchange, watch, many)
            finally:
                watch.stop()
                for name in ids:
                    self.after.leave(name)

    def _each(
        self, exchange: Exchange, requests: list[Request], choice: Choice, ids: list[str]
    ) -> list[Request]:
        """Each choice as the caller's key lets it be. Raises: Refusal."""
        key = exchange.caller
        if key is not None:
            key.count_choices(len(ids))
            policy = self.router.of_policy(choice.policy).policy
            requests = key.held_each(requests, choice, policy, ids)
        for name in ids:
            self.after.enter(name, exchange.headers)
        return requests


def _options(asked: Asked, said: Options, target: str | None) -> Options:
    """What body, headers and the model's name say together."""
    options: Options = {**asked.options, **said}
    if "tags" in asked.options and "tags" in said:
        options["tags"] = {**(asked.options["tags"] or {}), **(said["tags"] or {})}
    if target is not None:
        if options.get("target") not in (None, target):
            raise refuse(400, "model and x-firsthop-target name two targets", "invalid_value")
        options["target"] = target
    caller.bounded(options)
    return options


def _request(asked: Asked, options: Options, targets: Collection[str]) -> Request:
    """What is wrong is told in the words of the body it came in."""
    try:
        return asking.request(asked.messages, options, targets, whole=not asked.streamed)
    except ConfigError as exc:
        failure = failure_of(exc)
        place = asked.place(failure.param)
        if place == failure.param:
            raise
        message = f"{place}{failure.message.removeprefix(failure.param or '')}"
        raise Refusal(replace(failure, message=message, param=place)) from exc


@dataclass(slots=True)
class _One:
    """One answer, as it becomes bytes.

    Attributes:
        policy: The one that decides it; set for a stream.
        ended: Whether the last of its events was made.
    """

    surface: Surface
    decision_id: str
    created: int
    asked: Asked
    policy: Policy | None = None
    chunks: Events | None = None
    ended: bool = False

    @property
    def headers(self) -> Headers:
        """What is known of a stream before its first byte."""
        assert self.policy is not None
        return stream_headers(self.decision_id, f"{self.policy.name}@{self.policy.revision}")

    def events(self, item: Chunk | Outcome) -> bytes:
        """An item of the street as events."""
        found = b""
        if self.chunks is None:
            model = item.model if isinstance(item, Chunk) else None
            self.chunks = self._begun(model or self.asked.model)
            found = self.chunks.first()
        if isinstance(item, Outcome):
            self.ended = True
            return found + self.chunks.last(item)
        return found + self.chunks.chunk(item)

    def broken(self, failure: Failure, router: dict[str, Any] | None = None) -> bytes:
        """An error as the last event."""
        events = self.chunks or self._begun(self.asked.model)
        return events.broken(failure, router)

    def _begun(self, model: str) -> Events:
        return self.surface.events(self.asked, self.decision_id, self.created, model)


async def _whole(exchange: Exchange, items: Items, one: _One) -> None:
    said = Said()
    async for item in items:
        if not isinstance(item, Outcome):
            said.add(item)
            continue
        try:
            body = one.surface.whole(one.asked, one.created, said, item)
        except Refusal as refusal:  # its shape has no place for what was answered
            await exchange.fail(refusal.failure, router_field(item), router_headers(item))
            return
        await exchange.whole(200, body, router_headers(item))


async def _streamed(
    exchange: Exchange, items: AsyncGenerator[Any, None], one: _One | Several
) -> None:
    heart = Heart(exchange, one.headers)
    try:
        async for item in items:
            await heart.send(one.events(item), last=one.ended)
    except RouterError as error:
        await heart.stopped()
        if not exchange.started:
            raise
        await exchange.piece(one.broken(failure_of(error), field_of(error)), last=True)
        let_go(error)
    finally:
        heart.stop()


async def _cancelled(exchange: Exchange, watch: Watch, one: _One | Several) -> None:
    """Nobody is there any more, or the server stops and says so."""
    task = asyncio.current_task()
    assert task is not None
    while task.uncancel():  # the server's stop may have come after the client's leaving
        pass
    if watch.gone:
        return
    if exchange.started:
        await exchange.piece(one.broken(STOPPING), last=True)
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
