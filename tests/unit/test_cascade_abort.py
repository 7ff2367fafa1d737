"""The walk beside a hedge, when the first of the two is given up."""

from __future__ import annotations

from decimal import Decimal

from router.cascade import Call, Rung, Seen, walk
from router.policy import before, predicates
from router.policy.decide import given_up
from router.policy.rules import Abort, Bar, Hedge, Policy

BAR = Bar(8, predicates.Test("draft.mean_logprob", "lt", -1.0))
POLICY = Policy(
    name="p",
    revision="r",
    summary="s",
    tiers=("device", "cloud"),
    abort=(Abort(frozenset({"device"}), (BAR,)),),
    hedge=Hedge(on=frozenset({"device"}), cost_usd=Decimal(1)),
)
CENT = Decimal("0.01")
RUNGS = {
    "device": (Rung("a", "device", CENT, first_token_p95_s=1.0), Rung("b", "device", CENT)),
    "cloud": (Rung("c", "cloud", CENT),),
}


def test_another_draft_of_the_tier_is_not_waited_for_after_one_was_given_up() -> None:
    steps = walk(POLICY, before(POLICY, {}), RUNGS, POLICY.limits)
    first: Call = next(steps)
    assert first.rival is not None
    assert first.abort == POLICY.abort[0]
    check = given_up("device", BAR, {"draft.mean_logprob": -2.0})
    then = steps.send(Seen(early=(check,), aborted=True, rivaled=True))

    assert (then.target, then.cause, then.resumed) == ("c", "escalation", False)
    assert then.because == "the draft was given up at token 8"
