"""Embeddings, passed to a target that has them: down the street, but with nothing to judge.

The policy's guards and limits hold as for any request, and the call is booked as one; routes,
requirements and races are about drafts and say nothing here. The answer's bytes go back as they
came.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from .. import providers
from ..catalogue.prices import Prices
from ..catalogue.target import line_of
from ..compose import Router, price_lists
from ..config import Bound
from ..drive.home import Home
from ..drive.live import Live
from ..drive.meter import DatedMeter
from ..drive.orchestrator import Orchestrator
from ..hops import Outcome
from ..ledger.pricing import PriceLine
from ..policy.rules import Policy
from ..providers.base import Target
from ..providers.openai_compatible import embeddings_of
from ..types import Chunk, Request
from .asked import Answering
from .exchange import Exchange
from .names import AUTO
from .wire import embeddings
from .wire.answers import CHAT
from .wire.chat import Asked
from .wire.failure import refuse
from .wire.surface import Events, Said

if TYPE_CHECKING:
    from ..providers.openai_embeddings import Embeddings, EmbeddingsCall

_NOTE = "embeddings: only the policy's guards and limits hold; there is no draft to judge"


@dataclass(frozen=True, slots=True)
class _Maker:
    """A target's embeddings; `live` lacks the provider, which each request has of its own."""

    way: Embeddings
    live: Live


class Embedding:
    """Answers requests for embeddings."""

    def __init__(self, router: Router, answering: Answering) -> None:
        """Nothing is connected."""
        self._router = router
        self._answering = answering
        self._makers: dict[str, _Maker] = {}
        with_them = [b for b in router.config.targets if embeddings_of(b.target) is not None]
        prices = price_lists(router.config) if with_them else None
        for bound in with_them:
            assert prices is not None
            self._makers[bound.target.name] = _maker(router, bound, prices)

    async def answer(self, exchange: Exchange, body: bytes) -> None:
        """Answer one request.

        Raises: Refusal and RouterError, both before anything was sent.
        """
        if not self._makers:
            raise refuse(
                404,
                "this server has no embeddings: no target of its config says "
                "`options: {embeddings: MODEL}`",
                "not_available",
            )
        asked, fields = embeddings.read(body)
        makers = self._makers
        of_model = {n: m for n, m in makers.items() if m.way.target.model == asked.model}
        if of_model:
            makers, asked = of_model, replace(asked, model=AUTO)
        passing = _Passing(self._router, makers, fields)
        await self._answering.answer(exchange, asked, passing, passing.run)

    async def aclose(self) -> None:
        """Close the connections."""
        for maker in self._makers.values():
            await maker.way.aclose()


@dataclass(slots=True)
class _Passing:
    """One request: how it goes down the street, and a `Surface` that gives the bytes that came.

    Attributes:
        makers: Who may be asked, by the target's name.
        fields: What goes along.
    """

    router: Router
    makers: Mapping[str, _Maker]
    fields: Mapping[str, object]
    _call: EmbeddingsCall | None = field(default=None, init=False)

    def run(
        self, request: Request, policy: str | None, decision_id: str | None = None
    ) -> AsyncGenerator[Chunk | Outcome, None]:
        """As `Router.run`, but to the embeddings of the request's target, or of the first.

        Raises: Refusal, when that has none.
        """
        name = next(iter(self.makers)) if request.target is None else request.target
        maker = self.makers.get(name)
        if maker is None:
            raise refuse(
                404,
                f"target {name!r} has no such embeddings; these have: {', '.join(self.makers)}",
                "model_not_found",
                param="model",
            )
        router = self.router
        self._call = maker.way.asked(self.fields)
        live = replace(maker.live, provider=self._call)
        home = Home(
            {live.target.name: live},
            router.ledger,
            router.clock,
            router.senses,
            router.config.keep_text,
            router.transforms,
        )
        rules = _unjudged(router.of_policy(policy).check())
        request = replace(request, target=live.target.name)
        return Orchestrator(home).run(request, rules, (_NOTE,), decision_id)

    def whole(self, asked: Asked, created: int, said: Said, outcome: Outcome) -> bytes:
        """The answer as it came."""
        assert self._call is not None
        assert self._call.body is not None
        return self._call.body

    def events(self, asked: Asked, decision_id: str, created: int, model: str) -> Events:
        """Nobody asks for a stream; should one break off, it says so as a chat does."""
        return CHAT.events(asked, decision_id, created, model)


def _maker(router: Router, bound: Bound, prices: Prices) -> _Maker:
    from ..providers.openai_embeddings import Embeddings

    there = router.targets[bound.target.name]
    target = replace(
        bound.target,
        name=f"{bound.target.name}/embeddings",  # apart from its chats in times and failures, too
        model=str(embeddings_of(bound.target)),
        max_output_tokens=1,  # there is no answer to pay for
        options={},
    )
    dialect = providers.dialect_of(bound.target)
    assert dialect is not None  # who takes the option speaks this wire
    way = Embeddings(target, dialect, clock=router.clock)
    line = partial(_line, target, bound.price, prices)
    live = replace(
        there,
        target=target,
        meter=DatedMeter(line, router.clock),
        unknown_price=bound.unknown_price,
        max_input_tokens=None,
    )
    return _Maker(way, live)


def _line(target: Target, price: str | None, prices: Prices, on: date) -> PriceLine | None:
    """By the model that makes them; a line of no model, such as an own box's, is for it too."""
    found = line_of(target, None, prices, on)
    if found is not None or price is None:
        return found
    own = line_of(target, price, prices, on)
    return own if own is not None and (own.model == "*" or own.basis) else None


def _unjudged(policy: Policy) -> Policy:
    """What of a policy holds where there is no draft."""
    return replace(
        policy,
        route=(),
        accept=(),
        early=(),
        abort=(),
        escalate="next",
        gain=None,
        attach_draft=False,
        race=None,
        hedge=None,
        sample=None,
    )
