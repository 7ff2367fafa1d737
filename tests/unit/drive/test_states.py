"""A layer's state: asked of the device where somebody reads it, and handed on with the draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from support.street import Fixed, Player, Street, ask, says

from router.layerstate import LayerState
from router.policy import predicates
from router.policy.rules import Policy, Requirement
from router.signals.catalogue import Value
from router.types import Chunk, Completion, Request

STATE = LayerState(layer=20, mean=b"\0" * 8)
"""Of two zeros."""


@dataclass
class Judge:
    """Confides in whoever it is asked about, and remembers what it was shown."""

    reads: frozenset[str]
    shown: list[LayerState | None] = field(default_factory=list)

    def reads_state(self, target: str) -> bool:
        return target in self.reads

    def of_draft(
        self, target: str, request: Request, draft: Completion, known: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        self.shown.append(draft.state)
        return {"draft.confidence": 0.9}


def policy(signal: str = "draft.confidence") -> Policy:
    return Policy(
        name="tested",
        revision="0" * 12,
        summary="For tests.",
        tiers=("device", "cloud"),
        accept=(Requirement("any", frozenset({"device"}), predicates.Test(signal, "gte", -9.0)),),
    )


def street(judge: Judge | None, *, here: bool = True) -> tuple[Street, Player]:
    made = Street()
    *words, end = says("I am sure")
    assert isinstance(end, Chunk)
    shown = Chunk(finish=end.finish, usage=end.usage, state=STATE)
    device = made.add("device", "device", [*words, shown])
    made.lives["device"] = replace(made.lives["device"], here=here)
    made.add("cloud", "cloud", says("The cloud knows"), meter=Fixed(Decimal("0.001")))
    made.home.senses.confidence = judge
    return made, device


def test_a_state_is_asked_for_where_it_is_read_and_reaches_who_reads_it() -> None:
    judge = Judge(frozenset({"device"}))
    made, device = street(judge)

    ended = made.run(policy())

    assert ended.text == "I am sure"
    assert [asked.states for asked in device.asks] == [True]
    assert judge.shown == [STATE]


@pytest.mark.parametrize(
    ("reads", "signal", "here"),
    [
        ((), "draft.confidence", True),
        (("cloud",), "draft.confidence", True),
        (("device",), "draft.mean_logprob", True),
        (("device",), "draft.confidence", False),
    ],
    ids=["nobody", "another target's", "no policy asks for a confidence", "elsewhere"],
)
def test_a_state_that_nobody_reads_is_not_asked_for(
    reads: tuple[str, ...], signal: str, here: bool
) -> None:
    made, device = street(Judge(frozenset(reads)), here=here)

    made.run(policy(signal))

    assert [asked.states for asked in device.asks] == [False]


def test_without_a_calibration_none_is_asked_for() -> None:
    made, device = street(None)

    made.run(policy("draft.mean_logprob"))

    assert [asked.states for asked in device.asks] == [False]


def test_who_makes_labels_gets_the_state_with_an_answer_that_is_held_till_its_end() -> None:
    made, device = street(None)
    made.home.senses.states = frozenset({"device"})

    ended = made.run(policy("draft.mean_logprob"), ask(whole=True))

    assert [asked.states for asked in device.asks] == [True]
    assert [chunk.state for chunk in ended.chunks if chunk.state is not None] == [STATE]
