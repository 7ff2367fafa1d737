"""Which kept answers are asked again of a stronger tier, for labels. Pure."""

from __future__ import annotations

import hashlib

from .decide import Before
from .rules import Policy


def sampled(policy: Policy, first: Before, answered_by: str | None, decision_id: str) -> bool:
    """Whether this request is one of the policy's sample.

    Only an answer that a tier weaker than the sample's gave is asked again. A request that any
    guard touched, or about which one could not tell, never is. Which requests are drawn follows
    from the decision's id alone, so that the same request is drawn in every replay.

    Args:
        answered_by: The tier whose answer was kept. None: none was.
    """
    rule = policy.sample
    if rule is None or answered_by is None or first.forbidden_by:
        return False
    if rule.tier not in first.permitted:
        return False
    if policy.tiers.index(answered_by) >= policy.tiers.index(rule.tier):
        return False
    return _draw(decision_id) < rule.share


def _draw(decision_id: str) -> float:
    """A number from 0 to below 1, evenly spread over ids."""
    digest = hashlib.sha256(decision_id.encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
