"""Whether a stronger tier starts beside the draft. Pure.

A draft that will probably not be kept, and that takes long, costs the user its time. A race starts
the next permitted tier beside it. The first answer that is kept wins; the loser is stopped, and
what it cost is booked.
"""

from __future__ import annotations

from typing import NamedTuple

from .predicates import Signals
from .rules import Policy, Race


class Raced(NamedTuple):
    """Whether another tier starts beside the first.

    Attributes:
        tier: Who does. None: nobody.
        because: Why, in words.
    """

    tier: str | None
    because: str


def race(policy: Policy, permitted: tuple[str, ...], start: str | None, signals: Signals) -> Raced:
    """Whether the next permitted tier starts beside the draft of the weakest.

    With `over_s` it does when predicted draft seconds times the chance that the draft is not kept
    are more than that. Unknown starts nothing: a race is a convenience, not a safeguard.
    """
    rule = policy.race
    if rule is None or start != policy.tiers[0]:
        return Raced(None, "no race: the first tier is not asked")
    above = permitted[permitted.index(start) + 1 :]
    if not above:
        return Raced(None, "no race: no stronger tier is permitted")
    later = _when(rule)
    if rule.over_s is None:
        return Raced(above[0], f"whatever is predicted, {later}")
    seconds, chance = signals.get("device.end_s"), signals.get("prompt.escalation_chance")
    if not isinstance(seconds, int | float) or not isinstance(chance, int | float):
        name = "prompt.escalation_chance" if isinstance(seconds, int | float) else "device.end_s"
        return Raced(None, f"no race: {name} unknown")
    lost = seconds * chance
    said = f"{seconds:.3g} s of drafting x {chance:.2g} chance of escalation = {lost:.3g} s"
    if lost <= rule.over_s:
        return Raced(None, f"no race: {said}, not over {rule.over_s:g} s")
    return Raced(above[0], f"{said}, over {rule.over_s:g} s; {later}")


def _when(rule: Race) -> str:
    """What starts the race, in words."""
    said = [] if rule.doubt is None else [f"at token {rule.doubt.tokens} if that is in doubt"]
    said += [] if rule.after_s is None else [f"after {rule.after_s:g} s"]
    return " or ".join(said) or "at once"
