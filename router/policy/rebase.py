"""A recorded request's signals as another policy would have seen them. Pure.

A few signals are measured against the policy itself: the share of its day's dollars, whether the
device answers before its deadline, how often its drafts are not kept.
"""

from __future__ import annotations

from typing import cast

from ..recorded import Recorded
from ..signals.catalogue import Value
from .predicates import Signals
from .rules import Policy


def rebased(policy: Policy, request: Recorded, by: Policy | None) -> dict[str, Value]:
    """The request's signals; those that depend on a policy worked out for this one, or left out.

    Args:
        by: The policy that decided the request then. None: it is not at hand.
    """
    signals = dict(request.signals)
    if request.revision == policy.revision:
        return signals
    spent = _spent_usd(signals, by)
    for name in ("prompt.escalation_chance", "world.budget_used", "world.left_today_usd"):
        signals.pop(name, None)
    day = policy.limits.day_usd
    if day is None:
        signals |= {"world.budget_used": 0.0, "world.left_today_usd": 1_000_000.0}
    elif spent is not None:
        signals["world.budget_used"] = 1.0 if not day else min(1.0, spent / float(day))
        signals["world.left_today_usd"] = max(0.0, float(day) - spent)
    if "device.in_time" in signals:
        signals |= _in_time(policy, signals.pop("device.in_time"), signals.get("device.end_s"), by)
    return signals


def _spent_usd(signals: Signals, by: Policy | None) -> float | None:
    """Dollars of the day when the request came. None: that can't be told."""
    spent, used = signals.get("world.spent_today_usd"), signals.get("world.budget_used")
    if isinstance(spent, int | float):
        return float(spent)
    day = None if by is None else by.limits.day_usd
    known = isinstance(used, int | float) and used < 1  # a share stops at 1, dollars don't
    return float(day) * cast(float, used) if day is not None and known else None


def _in_time(policy: Policy, was: Value, end_s: Value, by: Policy | None) -> dict[str, Value]:
    """``device.in_time`` by this policy's deadline. Empty: that can't be told.

    What was unknown for want of a speed stays unknown; what was in time for an earlier deadline is
    in time for a later one.
    """
    allowed = policy.limits.deadline_s
    if allowed is None:
        return {"device.in_time": True}
    if was is None:
        return {"device.in_time": None}
    if isinstance(end_s, int | float):
        return {"device.in_time": end_s <= allowed}
    then = None if by is None else by.limits.deadline_s
    told = then is not None and (allowed >= then if was else allowed <= then)
    return {"device.in_time": was} if told else {}
