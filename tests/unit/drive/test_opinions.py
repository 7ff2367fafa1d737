"""Opinions of a draft on the street: who is asked, when not, what is booked, and what follows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from support.street import STALL, Ended, Fixed, Play, Player, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.device.predict import Forecast
from router.errors import Incapable, LedgerError, Unavailable
from router.policy.opinions import Opinions
from router.policy.predicates import AnyOf, Predicate, Test
from router.policy.rules import Limits, Policy, Race, Requirement
from router.types import Ask, Chunk, Message, TokenLogprob, Usage

DEVICE = frozenset({"device"})
SURE = Test("draft.mean_logprob", "gte", -0.5)
AGREED = Test("draft.agreement", "gte", 0.6)
CLOUD = says("The cloud knows", logprob=None)
FORTY_TWO = says("It is 42")


def policy(*bars: Predicate, **opinions: object) -> Policy:
    given = {"samples": 3} if not opinions else opinions
    return Policy(
        name="tested",
        revision="0" * 12,
        summary="For tests.",
        tiers=("device", "cloud"),
        accept=tuple(Requirement(f"bar{n}", DEVICE, bar) for n, bar in enumerate(bars)),
        opinions=(Opinions(on=DEVICE, **given),),  # type: ignore[arg-type]
    )


def street(*plays: Play, second: Play | None = None, meter: Fixed | None = None) -> Street:
    """A device that plays its draft and then its samples, maybe another, and a cloud."""
    found = Street()
    found.add("device", "device", *plays, meter=meter)
    found.lives["device"] = replace(found.lives["device"], here=True)
    if second is not None:
        found.add("device2", "device", second)
        found.lives["device2"] = replace(found.lives["device2"], here=True)
    found.add("cloud", "cloud", CLOUD)
    return found


def notes(ended: Ended) -> str:
    return "\n".join(ended.answer.trace.lines(ended.answer.hops))


def spoken(*likely: tuple[str, float]) -> Play:
    """One token, and what else was likely in its place, with probabilities."""
    top = tuple(TokenLogprob(token=word, logprob=math.log(p)) for word, p in likely)
    first = TokenLogprob(token=top[0].token, logprob=top[0].logprob, top=top)
    end = Chunk(finish="length", usage=Usage(input_tokens=30, output_tokens=1))
    return [Chunk(text=first.token, logprobs=(first,)), end]


def test_a_draft_most_samples_agree_with_is_kept() -> None:
    found = street(FORTY_TWO, says("42"), says("I say 42.0"), says("No, it is 7"))
    ended = found.run(policy(AGREED, samples=3))

    assert ended.text == "It is 42"
    assert ended.answer.flags == ()
    assert ended.answer.hops[0].signals["draft.agreement"] == pytest.approx(1 / 3)


def test_the_share_that_agrees_is_held_against_the_bar() -> None:
    plays = [says("42"), says("42"), says("42"), says("7")]
    kept = street(*plays).run(policy(AGREED))
    sent_on = street(says("42"), says("42"), says("7"), says("8")).run(policy(AGREED))

    assert kept.text == "42"
    assert kept.answer.hops[0].signals["draft.agreement"] == pytest.approx(2 / 3)
    assert sent_on.text == "The cloud knows"
    assert sent_on.answer.hops[0].signals["draft.agreement"] == pytest.approx(1 / 3)
