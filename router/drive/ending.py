"""Why there is no answer, as the error a caller gets."""

from __future__ import annotations

from ..cascade import Verdict
from ..errors import Forbidden, LimitReached, NoAnswer, RouterError
from ..hops import Outcome
from ..policy.decide import Before


def error_of(outcome: Outcome, verdict: Verdict, guards: Before, asked: str | None) -> RouterError:
    """The error for an outcome without an answer.

    Args:
        outcome: What happened; goes along with the error.
        verdict: How the walk ended.
        guards: What the policy said of the request before the walk.
        asked: The target the caller named.
    """
    policy = f"policy {outcome.policy}"
    if verdict.status == "forbidden":
        ids = guards.forbidden_by
        if asked is None:
            what = "no tier that has a target may answer this request"
        else:
            what = f"target {asked!r} may not answer this request"
        why = f"forbidden by: {', '.join(ids)}" if ids else "its tier is not in the policy"
        return Forbidden(f"{policy}: {what}; {why}", guards=ids, outcome=outcome)
    if verdict.status == "limit_reached" and verdict.limit is not None:
        return LimitReached(
            f"{policy}: limit {verdict.limit} reached, and there is no draft to return",
            limit=verdict.limit,
            outcome=outcome,
        )
    tried = "; ".join(f"{hop.target}: {hop.left}" for hop in outcome.hops)
    if "cut" in verdict.flags:
        tried += "; part of the answer had been sent, so no other target was asked"
    return NoAnswer(
        f"{policy}: {tried or 'no target serves a tier that may answer'}",
        hops=outcome.hops,
        outcome=outcome,
    )
