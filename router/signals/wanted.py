"""Which signals one request has to have: what the policy asks, and what is recorded beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from .catalogue import CATALOGUE, FAMILIES

_SOURCES = {"device.in_time": "device.end_s", "world.budget_used": "world.spent_today_usd"}
"""What is measured against the policy's own limits, and what it is measured from: with that on
record, another policy's limits can be held against it later."""


def wanted_signals(
    policy_signals: frozenset[str],
    record: Literal["policy", "cheap", "all"],
    tiers: Iterable[str],
) -> frozenset[str]:
    """Names of the signals to compute.

    Args:
        policy_signals: Names the policy's predicates speak of.
        record: ``policy``: these, and what they are measured from. ``cheap`` or ``all``: every
            signal of the catalogue that is cheap, or every one, and each tier's. Tags are
            recorded only where the policy names them: what a caller writes there is not the
            catalogue's to know.
        tiers: The tiers of the config.
    """
    found = set(policy_signals)
    for name, source in _SOURCES.items():
        if name in found:
            found.add(source)
    if record == "policy":
        return frozenset(found)
    found |= {name for name, signal in CATALOGUE.items() if record == "all" or signal.cheap}
    for pattern, signal in FAMILIES.items():
        if pattern != "request.tags.*" and (record == "all" or signal.cheap):
            found |= {pattern.replace("*", tier) for tier in tiers}
    return frozenset(found)
