"""Of a request that is over nothing stays, whatever became of its hops; no collector is needed."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from decimal import Decimal

import pytest
from support.street import STALL, Play, Street, collected, says
from support.virtual import LoopClock, run_virtual

from router.errors import Unavailable, let_go
from router.policy import predicates
from router.policy.rules import Policy, Race, Requirement
from router.types import Chunk, Message, Request

POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    accept=(
        Requirement(
            "sure-enough",
            frozenset({"device"}),
            predicates.Test("draft.mean_logprob", "gte", -0.5),
        ),
    ),
)
RACE = replace(POLICY, race=Race(cost_usd=Decimal("1"), after_s=1.0))


class Text(str):
    """One that can be watched."""


@pytest.mark.parametrize(
    ("policy", "device", "cloud"),
    [
        (POLICY, says("it is sure"), says("not asked")),
        (POLICY, says("it may be", logprob=-2.0), says("the cloud")),
        (POLICY, [Unavailable("busy")], says("the cloud")),
        (POLICY, [Unavailable("busy")], [Unavailable("busy")]),
        (RACE, [Chunk(text="it"), STALL], says("the cloud")),
        (RACE, [*says("it is sure")[:1], 5.0, *says("it is sure")[1:]], [STALL]),
        (RACE, [2.0, Unavailable("busy")], says("the cloud")),
    ],
    ids=["kept", "escalated", "failed", "all-failed", "overtaken", "rival-stopped", "race-failed"],
)
def test_nothing_of_a_request_stays(policy: Policy, device: Play, cloud: Play) -> None:
    street = Street(clock=LoopClock())
    street.add("device", "device", device)
    street.add("cloud", "cloud", cloud)

    async def main() -> weakref.ref[Text]:
        said = Text("how much is it?")
        seen = weakref.ref(said)
        request = Request(messages=(Message(role="user", content=said),))
        del said
        ended = await collected(street.stream(policy, request))
        if ended.error is not None:
            let_go(ended.error)  # as who tells of it does
        del ended, request
        for player in street.players.values():
            player.asks.clear()
        return seen

    gc.collect()
    gc.disable()
    try:
        assert run_virtual(main())() is None
    finally:
        gc.enable()
