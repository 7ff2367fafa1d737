"""The cheap tier's answer against the device's draft: whether to go on to the strong one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from support.street import Fixed, Play, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.errors import Unavailable
from router.policy.opinions import Opinions
from router.policy.predicates import Test as OneTest
from router.policy.rules import Policy, Race, Requirement

POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cheap", "strong"),
    accept=(
        Requirement("sure", frozenset({"device"}), OneTest("draft.mean_logprob", "gte", -0.5)),
        Requirement("same", frozenset({"cheap"}), OneTest("draft.same_as_before", "is", True)),
    ),
)


def street(device: Play, cheap: Play) -> Street:
    found = Street()
    found.add("device", "device", device)
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.add("cheap", "cheap", cheap)
    found.add("strong", "strong", says("The strong one knows"))
    return found


UNSURE = says("It is 42", logprob=-2.0)


@pytest.mark.parametrize(
    ("device", "cheap", "same", "by"),
    [
        (UNSURE, says("42"), True, "cheap"),
        (UNSURE, says("43"), False, "strong"),
        (says(""), says("42"), None, "strong"),
        ([Unavailable("gone", retryable=False)], says("42"), None, "strong"),
    ],
)
def test_an_answer_that_says_the_same_as_the_unsure_draft_is_kept(
    device: Play, cheap: Play, same: bool | None, by: str
) -> None:
    outcome = street(device, cheap).run(POLICY).answer

    assert outcome.answered_by is not None
    assert outcome.hops[outcome.answered_by].target == by
    assert outcome.hops[1].signals["draft.same_as_before"] is same
    assert outcome.hops[0].signals.get("draft.same_as_before") is None


def test_it_is_held_against_the_tier_just_below_of_those_that_answered() -> None:
    rule = replace(
        POLICY,
        tiers=("device", "cheap", "middle", "strong"),
        accept=(
            POLICY.accept[0],
            Requirement("same", frozenset({"cheap", "middle"}), POLICY.accept[1].require),
        ),
    )
    found = street(says("It is 41", logprob=-2.0), says("42"))
    found.add("middle", "middle", says("42"))
    without = street(UNSURE, [Unavailable("gone", retryable=False)])
    without.add("middle", "middle", says("42"))

    assert found.run(rule).answer.hops[2].signals["draft.same_as_before"] is True
    assert without.run(rule).answer.hops[2].signals["draft.same_as_before"] is True


@pytest.mark.parametrize(("first", "after_s"), [("cheap", 1.0), ("device", 4.0)])
def test_after_a_race_a_draft_is_never_held_against_a_stronger_tiers(
    first: str, after_s: float
) -> None:
    """The cheap cloud starts after a second, and the device ends later or sooner than it."""
    found = Street(clock=LoopClock())
    slow: Play = [UNSURE[0], 3.0 if first == "cheap" else 4.5, *UNSURE[1:]]
    found.add("device", "device", slow)
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.add("cheap", "cheap", [1.0, *says("42")], meter=Fixed(Decimal("0.001")))
    found.add("strong", "strong", says("The strong one knows"), meter=Fixed(Decimal("0.001")))
    unsure = Requirement("unsure", frozenset({"cheap"}), OneTest("draft.mean_logprob", "gte", 0.5))
    rule = replace(
        POLICY,
        race=Race(cost_usd=Decimal(1), after_s=after_s),
        accept=(*POLICY.accept, unsure),
    )
    outcome = run_virtual(collected(found.stream(rule, ask()))).answer
    told = {hop.target: hop.signals.get("draft.same_as_before") for hop in outcome.hops}

    assert outcome.hops[1].cause == "race"
    assert told["device"] is None
    assert told["cheap"] is (None if first == "cheap" else True)


def test_what_is_compared_is_the_draft_and_not_an_opinion_of_it() -> None:
    found = street(UNSURE, says("42"))
    found.players["device"].plays.append(says("7"))
    agreed = Requirement("agreed", frozenset({"device"}), OneTest("draft.agreement", "gte", 0.5))
    rule = replace(
        POLICY,
        accept=(agreed, POLICY.accept[1]),
        opinions=(Opinions(on=frozenset({"device"}), samples=1),),
    )
    outcome = found.run(rule).answer

    assert [hop.cause for hop in outcome.hops] == ["start", "opinion", "escalation"]
    assert outcome.hops[2].signals["draft.same_as_before"] is True
