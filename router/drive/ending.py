"""Why there is no answer, as the error a caller gets."""

from __future__ import annotations

from ..cascade import Verdict
from ..errors import ContentFiltered, Forbidden, LimitReached, NoAnswer, RouterError
from ..hops import Outcome
from ..policy.decide import Before
from ..policy.rules import Policy
from ..policy.trace import Skipped
from ..providers.base import Target


def error_of(
    outcome: Outcome, verdict: Verdict, first: Before, rules: Policy, asked: Target | None
) -> RouterError:
    """The error for an outcome without an answer.

    Args:
        outcome: What happened; goes along with the error.
        verdict: How the walk ended.
        first: What the policy said of the request before the walk.
        rules: The policy.
        asked: The target the caller named.
    """
    policy = f"policy {outcome.policy}"
    if verdict.status == "forbidden":
        ids = first.forbidden_by
        if asked is None:
            what = "no tier that has a target may answer this request"
        else:
            ids = tuple(g.id for g in rules.guards if g.id in ids and asked.tier in g.forbid)
            what = f"target {asked.name!r} may not answer this request"
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
    ends = rules.on_filtered != "next" and "filtered" in verdict.flags
    if ends:
        tried += f"; on_filtered is {rules.on_filtered}"
    return (ContentFiltered if ends else NoAnswer)(
        f"{policy}: {tried or _nobody(verdict, first)}",
        hops=outcome.hops,
        outcome=outcome,
    )


def _nobody(verdict: Verdict, first: Before) -> str:
    """Why not one target was asked."""
    skipped = [entry.text for entry in verdict.entries if isinstance(entry, Skipped)]
    found = "; ".join(skipped) or "no target serves a tier that may answer"
    return f"{found}; guards: {', '.join(first.forbidden_by)}" if first.forbidden_by else found
