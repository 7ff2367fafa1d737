"""What may be asked about a draft: more samples, a second model, a self-check. Pure.

Comes in: a rule, a bar and what is known. Goes out: which of those could still decide the bar, so
that nothing is bought for a draft whose fate is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..signals.catalogue import Value
from .predicates import All, AnyOf, Not, Predicate, Signals, Test

AGREEMENT = "draft.agreement"
SAMPLES = "draft.samples_agree"
SECOND = "draft.second_agrees"
P_TRUE = "draft.p_true"
OPINIONS = frozenset((AGREEMENT, SAMPLES, SECOND, P_TRUE))
"""Signals that are unknown unless further work of the device is bought."""

LEAST_PARAMETERS = 3_000_000_000
"""Below so many parameters a model is not asked whether its own answer is right: how well it knows
grows with its size, and SmolLM2-135M does worse than chance. Source: Kadavath et al., "Language
Models (Mostly) Know What They Know", 2022."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What may be asked about drafts of certain tiers, once they are whole.

    Attributes:
        samples: How many more answers of the draft's own target.
        temperature: Of those.
        second: Whether another target of the tier answers the question too.
        p_true: Whether the draft's own target is asked if the draft is right; not where its model
            has fewer than `LEAST_PARAMETERS`, or nobody knows, but with ``"always"``.
        max_s: Most seconds for all of it. None: what the request's deadline leaves.
    """

    on: frozenset[str]
    samples: int = 0
    temperature: float = 0.7
    second: bool = False
    p_true: bool | Literal["always"] = False
    max_s: float | None = None

    @property
    def gives(self) -> frozenset[str]:
        """Signals that may become known by it."""
        found = {AGREEMENT} if self.samples or self.second else set()
        found |= {SAMPLES} if self.samples else set()
        found |= {SECOND} if self.second else set()
        return frozenset(found | ({P_TRUE} if self.p_true else set()))


def asked_only(signals: Signals, rule: Opinions | None) -> dict[str, Value]:
    """The signals of a draft, its opinions unknown but for those that `rule` asks for.

    Args:
        rule: None: nothing is asked for.
    """
    return {**signals, **dict.fromkeys(OPINIONS if rule is None else OPINIONS - rule.gives)}


def can_be(predicate: Predicate, truth: bool, signals: Signals) -> bool:
    """Whether some opinions would make the predicate true, or false; never misses one that would.

    Each comparison of an opinion counts as free, so two that exclude each other may be taken for
    possible: then something is bought for nothing, and that is all.
    """
    if isinstance(predicate, Test):
        if predicate.signal in OPINIONS:
            return True
        return predicate.truth(signals) is truth
    if isinstance(predicate, Not):
        return can_be(predicate.part, not truth, signals)
    if isinstance(predicate, All | AnyOf):
        every = all if isinstance(predicate, All) is truth else any
        return every(can_be(part, truth, signals) for part in predicate.parts)
    raise TypeError(f"not a predicate: {predicate!r}")
