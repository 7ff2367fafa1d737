"""What is measured of a whole draft: what it says of itself, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ..policy.confided import TIER_GAIN
from ..signals import draft_signals
from ..signals.catalogue import Value
from ..types import Completion, Request
from .happened import says_something
from .questions import agree

if TYPE_CHECKING:
    from .context import Context

SAME_AS_BEFORE = "draft.same_as_before"
SOURCES = frozenset(("prompt.language", "prompt.task"))
"""Signals of the request that a confidence is worked out from."""


class Confides(Protocol):
    """Knows how far a draft can be trusted."""

    def of_draft(
        self, target: str, request: Request, draft: Completion, known: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        """The signals `of_confidence` of a draft of `target`; one that is missing is unknown.

        Runs on the event loop, so it has to take less than a millisecond.
        """
        ...

    def reads_state(self, target: str) -> bool:
        """Whether it reads the `state` of that target's drafts. Asked before each of them."""
        ...


def shows_state(context: Context, target: str) -> bool:
    """Whether somebody reads the state of this target's draft."""
    senses = context.home.senses
    if target in senses.states:
        return True
    confidence = senses.confidence
    if confidence is None or not context.wanted.of_confidence:
        return False
    return confidence.reads_state(target)


def measured(context: Context, target: str, draft: Completion) -> dict[str, Value]:
    """The wanted signals of a draft. None: unknown."""
    request, wanted = context.request, context.wanted
    found = draft_signals(draft, request, wanted.of_draft, context.signals)
    if wanted.of_confidence:
        confidence = context.home.senses.confidence
        known = {**context.signals, **found}
        told = {} if confidence is None else confidence.of_draft(target, request, draft, known)
        told = told or _beyond(context, target)
        found |= {name: told.get(name) for name in wanted.of_confidence}
    if SAME_AS_BEFORE in wanted.names:
        found[SAME_AS_BEFORE] = _same_as_before(context, target, draft)
    return found


def _beyond(context: Context, target: str) -> dict[str, Value]:
    """What tiers add to an answer that the calibration can't judge: what they add to the draft
    before it, less what the answer's own tier does. Empty: no such draft tells of that tier."""
    own = f"{TIER_GAIN}{context.home.targets[target].target.tier}"
    for _, left in sorted(context.so_far.hops.items(), reverse=True):
        tiers = {
            name: value
            for name, value in left.measured.items()
            if name.startswith(TIER_GAIN) and isinstance(value, float)
        }
        if own in tiers:
            less = tiers.pop(own)
            return {name: value - less for name, value in tiers.items()}
    return {}


def _same_as_before(context: Context, target: str, draft: Completion) -> bool | None:
    """Whether it says the same as the answer of the tier just below, of those that gave a whole
    one; of several the last. None: no weaker tier did, as in a race that a stronger one ended."""
    rank = {tier: at for at, tier in enumerate(context.policy.tiers)}
    own = rank.get(context.home.targets[target].target.tier, 0)
    weaker = [
        (rank[left.call.tier], index, left.draft)
        for index, left in context.so_far.hops.items()
        if rank.get(left.call.tier, own) < own
        and left.draft.finish != "content_filter"
        and says_something(left.draft)
    ]
    return agree(max(weaker, key=lambda one: one[:2])[2], draft) if weaker else None
