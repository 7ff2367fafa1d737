"""When a stronger tier starts beside the draft, and who wins. Pure.

A draft that will probably not be kept, and that takes long, costs the user its time. A race starts
the next permitted tier at once. The first answer that is accepted wins: a draft that ends first and
is kept, or the other tier's answer. The loser is stopped, and what it cost is booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from .predicates import Signals
from .rules import Policy


class Raced(NamedTuple):
    """Whether another tier starts at once.

    Attributes:
        tier: Who starts beside the first. None: nobody.
        because: Why, in words.
    """

    tier: str | None
    because: str


def race(policy: Policy, permitted: tuple[str, ...], start: str | None, signals: Signals) -> Raced:
    """Whether the next permitted tier starts beside the draft of the weakest.

    It does when predicted draft seconds times the chance that the draft is not kept are more than
    the policy's bound. Unknown starts nothing: a race is a convenience, not a safeguard.
    """
    rule = policy.race
    if rule is None or start != policy.tiers[0]:
        return Raced(None, "no race: the first tier is not asked")
    above = permitted[permitted.index(start) + 1 :]
    if not above:
        return Raced(None, "no race: no stronger tier is permitted")
    seconds, chance = signals.get("device.end_s"), signals.get("prompt.escalation_chance")
    if not isinstance(seconds, int | float) or not isinstance(chance, int | float):
        name = "prompt.escalation_chance" if isinstance(seconds, int | float) else "device.end_s"
        return Raced(None, f"no race: {name} unknown")
    lost = seconds * chance
    said = f"{seconds:.3g} s of drafting x {chance:.2g} chance of escalation = {lost:.3g} s"
    if lost <= rule.over_s:
        return Raced(None, f"no race: {said}, not over {rule.over_s:g} s")
    return Raced(above[0], f"{said}, over {rule.over_s:g} s")


@dataclass(frozen=True, slots=True)
class Finish:
    """How a race ended.

    Attributes:
        winner: Whose answer is shown. None: neither gave one.
        answer_s: Seconds from the start until that answer was whole. None: there is none.
        loser: What became of the other: stopped half-way, or ended and not kept.
    """

    winner: Literal["draft", "rival"] | None
    answer_s: float | None
    loser: Literal["stopped", "not kept", "failed"]


def run_race(
    *, draft_s: float | None, kept: bool, rival_s: float | None, rival_kept: bool = True
) -> Finish:
    """Who wins, given when each ends.

    Args:
        draft_s: When the draft is whole. None: it fails.
        kept: Whether it meets the policy's requirements.
        rival_s: When the other tier's answer is whole. None: it fails.
        rival_kept: Whether that meets them.
    """
    draft = draft_s if kept else None
    rival = rival_s if rival_kept else None
    if rival is not None and (draft is None or rival < draft):
        ended = draft_s is not None and draft_s <= rival
        return Finish("rival", rival, "not kept" if ended else _left(draft_s))
    if draft is not None:
        ended = rival_s is not None and rival_s <= draft
        return Finish("draft", draft, "not kept" if ended else _left(rival_s))
    return Finish(None, None, "failed" if draft_s is None or rival_s is None else "not kept")


def _left(ends_s: float | None) -> Literal["stopped", "failed"]:
    return "failed" if ends_s is None else "stopped"
