"""Embeddings, passed to a target that has them: down the street, but with nothing to judge.

The policy's guards and limits hold as for any request, and the call is booked as one; routes,
requirements and races are about drafts and say nothing here. The answer's bytes go back as they
came.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import asking, providers
from ..asking import Options
from ..catalogue.prices import Prices
from ..catalogue.target import line_of
from ..compose import Router, price_lists
from ..config import Bound
from ..drive.home import Home
from ..drive.ids import new_id
from ..drive.live import Live
from ..drive.meter import DatedMeter
from ..drive.orchestrator import Orchestrator
from ..hops import Outcome
from ..ledger.pricing import PriceLine
from ..policy.rules import Policy
from ..providers.base import Target
from ..providers.openai_compatible import embeddings_of
from .asked import cancelled
from .exchange import Exchange, Watch
from .names import AUTO, Names
from .wire import caller, embeddings
from .wire.embeddings import Wanted
from .wire.failure import refuse, router_headers

if TYPE_CHECKING:
    from ..providers.openai_embeddings import Embeddings

_NOTE = "embeddings: only the policy's guards and limits hold; there is no draft to judge"


@dataclass(frozen=True, slots=True)
class _Maker:
    """A target's embeddings; `live` lacks the provider, which each request has of its own."""

    way: Embeddings
    live: Live


class Embedding:
    """Answers requests for embeddings."""

    def __init__(self, router: Router, names: Names) -> None:
        """Nothing is connected."""
        self._router = router
        self._names = names
        self._makers: dict[str, _Maker] = {}
        with_them = [b for b in router.config.targets if embeddings_of(b.target) is not None]
        prices = price_lists(router.config) if with_them else None
        for bound in with_them:
            assert prices is not None
            self._makers[bound.target.name] = _maker(router, bound, prices)

    def check(self) -> None:
        """Raises: Refusal, when no target has embeddings."""
        if not self._makers:
            raise refuse(
                404,
                "this server has no embeddings: no target of its config says "
                "`options: {embeddings: MODEL}`",
                "not_available",
            )

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request.

        Raises: Refusal and RouterError, both before anything was sent.
        """
        wanted = embeddings.read(await exchange.body())
        said = caller.options_of(caller.headers_of(exchange.lines), None)
        name, policy = await self._chosen(wanted.model, said.pop("target", None))
        maker = self._makers[name]
        call = maker.way.asked(wanted.fields)
        live = replace(maker.live, provider=call)
        request = asking.request(
            [{"role": "user", "content": text} for text in wanted.texts],
            _options(said, wanted, live.target.name),
            [live.target.name],
            whole=True,
        )
        router = self._router
        watched = router.of_policy(policy)
        home = Home(
            {live.target.name: live},
            router.ledger,
            router.clock,
            router.senses,
            router.config.keep_text,
            router.transforms,
        )
        rules, made = _unjudged(watched.check()), new_id(router.clock.wall())
        watch = Watch(exchange)
        try:
            async with aclosing(Orchestrator(home).run(request, rules, (_NOTE,), made)) as items:
                async for item in items:
                    if isinstance(item, Outcome):
                        assert call.body is not None
                        await exchange.whole(200, call.body, router_headers(item))
        except asyncio.CancelledError:
            await cancelled(exchange, watch)
        finally:
            watch.stop()

    async def aclose(self) -> None:
        """Close the connections."""
        for maker in self._makers.values():
            await maker.way.aclose()

    async def _chosen(self, model: str, target: str | None) -> tuple[str, str | None]:
        """The target that is asked, and the policy; None: the server's own. Raises: Refusal."""
        by_model = [n for n, m in self._makers.items() if m.way.target.model == model]
        policy: str | None = None
        if by_model and model != AUTO:
            asked: str | None = by_model[0]
        else:
            policy, asked = await self._names.choose(model)
        if target is not None:
            if asked is not None and asked != target and target not in by_model:
                raise refuse(400, "model and x-firsthop-target name two targets", "invalid_value")
            asked = target
        name = next(iter(self._makers)) if asked is None else asked
        if name not in self._makers:
            having = ", ".join(self._makers)
            raise refuse(
                404,
                f"target {name!r} has no embeddings; these have: {having}",
                "model_not_found",
                param="model",
            )
        return name, policy


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
    """By the model that makes them; a line for any model, such as of an own box, is for it too."""
    found = line_of(target, None, prices, on)
    if found is not None or price is None:
        return found
    own = line_of(target, price, prices, on)
    return own if own is not None and own.model == "*" else None


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


def _options(said: Options, wanted: Wanted, target: str) -> Options:
    options: Options = {**said, "target": target}
    if wanted.user is not None:
        tags: dict[str, Any] = {"user": wanted.user, **(said.get("tags") or {})}
        options["tags"] = tags
    return options
