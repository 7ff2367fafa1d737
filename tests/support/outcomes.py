"""Outcomes as the street gives them, made by hand."""

from __future__ import annotations

from router.hops import Attempt, Hop, Outcome
from router.policy.explain import PolicyTrace
from router.types import Finish, Usage


def outcome(finish: Finish | None = "stop", usage: Usage | None = None) -> Outcome:
    attempt = Attempt(
        attempt_id="a",
        number=1,
        started_at=0.0,
        total_s=0.1,
        usage=usage or Usage(),
        finish=finish,
        model_served="served",
    )
    hop = Hop(
        index=0,
        target="cloud",
        tier="t",
        provider="p",
        model="asked",
        cause="start",
        because="",
        status="answered",
        left="answered",
        attempts=(attempt,),
        total_s=0.1,
        cost_usd=None,
    )
    return Outcome(
        decision_id="D",
        started_at=0.0,
        policy="p",
        policy_revision="r",
        status="answered",
        answered_by=0,
        hops=(hop,),
        flags=(),
        ttfb_s=None,
        total_s=0.1,
        cost_usd=None,
        trace=PolicyTrace(()),
    )
