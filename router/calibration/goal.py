"""What a user wants of a bar, in words, and how many labels it takes to have it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..confidence.guarantee import Per, Promise, labels_needed
from ..confidence.spending import confidence_of, sure
from .labelled import Labelled
from .parts import share_tested

GoalKind = Literal["loss", "spend", "quality"]
LEAST = 30
"""Labels below which nothing is fitted."""
STRICTEST = 0.05
"""Share of requests that the first bar tried keeps."""
FIRST_KEPT = 0.25
"""Greatest share that the first bar keeps, where losses are counted among kept drafts."""
_ASSUMED = 0.5
"""Share of drafts taken to be losses until there are labels to say."""
_SEEN = 20
"""Labels from which they say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is wanted, in the user's words.

    Attributes:
        kind: A bound on losses; a bound on the share escalated; a share of the strong tier's
            quality.
        amount: That loss, or share, 0 to 1.
        confidence: Chance that it holds, over sets of labels; of all looks together.
        per: What a loss is a share of.
        each: Whether each task and each language is to have a promise of its own.
        early: Whether early bars are wanted too.
        look: Which test of this model and build this is, from 1; see `looks`.
    """

    kind: GoalKind = "loss"
    amount: float = 0.05
    confidence: float = 0.9
    per: Per = "all"
    each: bool = True
    early: bool = False
    look: int = 1

    @property
    def tested(self) -> float:
        """The confidence that this look is tested at."""
        return confidence_of(self.confidence, self.look)


def in_words(goal: Goal) -> str:
    """The promise as a sentence."""
    sure = f"with {goal.confidence:.3g} confidence"
    if goal.kind == "spend":
        return f"{sure}, at most {goal.amount:.1%} of requests are escalated"
    if goal.kind == "quality":
        return f"{sure}, the mix is right at least {goal.amount:.1%} as often as the strong tier"
    if goal.per == "kept":
        lost = "of the drafts that are kept are wrong where the strong tier is right"
    else:
        lost = "of requests are kept on the device where it is wrong and the strong tier right"
    return f"{sure}, at most {goal.amount:.1%} {lost}"


def outlook(rows: Sequence[Labelled], goal: Goal) -> tuple[int | None, float, bool]:
    """From how many labels on a first certificate may be had.

    Returns: That number, None where no number would do; the share of losses among all drafts that
        it is made of; and whether labels say so, or it is assumed for want of them.
    """
    seen = len(rows) >= _SEEN
    lost = sum(row.lost for row in rows) / len(rows) if seen else _ASSUMED
    # The surest drafts are kept first, and are wrong no more often than all of them.
    rate = lost / 4 if goal.per == "kept" else lost * STRICTEST
    return first_labels(goal, rate), lost, seen


def first_labels(goal: Goal, rate: float = 0.0) -> int | None:
    """Labels, fit and test together, from which a first certificate may be had.

    Args:
        rate: Losses, as a share of what the promise counts, under the strictest bar.

    Returns: None: no number would do at that rate.
    """
    needed = labels_needed(rate, _held(goal))
    if needed is None:
        return None
    kept = FIRST_KEPT if goal.per == "kept" and goal.kind == "loss" else 1.0
    return max(LEAST, math.ceil(needed / kept / share_tested(early=goal.early)))


def least_tested(goal: Goal) -> int | None:
    """Labels to test on below which nothing can be certified, however good all of them are.

    Returns: None: no number would do.
    """
    return labels_needed(0.0, _held(goal))


def _held(goal: Goal) -> Promise:
    if goal.kind == "quality":  # of a strong tier that is always right: fewer would not do
        return Promise(loss=1 - goal.amount, confidence=(1 + goal.tested) / 2)
    return Promise(loss=goal.amount, confidence=goal.tested, per=goal.per)


def look_in_words(goal: Goal, *, counts: bool = True) -> str:
    """Which look this is, and what it is tested at.

    Args:
        counts: False: too few labels for any verdict but a refusal, so it is no look.
    """
    if not counts:
        return "no look: on so few labels nothing could have been certified, whatever they say"
    asked = f"{goal.confidence:.3g}"
    return (
        f"look {goal.look} at this model, tested at {sure(goal.tested)} confidence, so that all "
        f"looks at {asked} or more together hold with {asked}"
    )
