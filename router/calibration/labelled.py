"""A labelled draft: the one row that every source of labels gives, and what is fitted on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..confidence.evidence import evidence
from ..types import TokenStat

if TYPE_CHECKING:
    from ..layerstate import LayerState

GOOD = 0.5
"""A score from here on is a good draft, a strong tier's score a right answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A draft of the device that somebody, or something, has judged.

    Attributes:
        key: What was asked, evened: rows with one key never part between fit and certificate.
        prompt: The last thing the user said. Empty: its text was not kept.
        right: How far the draft is good, 0 to 1.
        strong_right: The same of the strong tier's answer. None: not known, and then a draft that
            is wrong counts as a loss, as if the strong tier had been right.
        strong_tier: The tier that `strong_right` and `cost_usd` are about. None: not told, so the
            one that is the strong one now.
        signals: The draft's `evidence`, or the part of it that is known.
        logprobs: Of its tokens. Empty: not told.
        task: As on the street: the caller's tag, else a guess.
        language: The prompt's, ISO 639-1. Empty: it tells none.
        cost_usd: What the strong tier's answer cost. None: not known.
        source: Where the label is from, in words.
        state: Of a middle layer while the draft was written. None: not known.
        tiers: By stronger tier, how far its answer is good; one that was not asked is left out.
        tier_usd: By such a tier, what its answer cost, where that is known.
    """

    key: str
    right: float
    strong_right: float | None = None
    signals: dict[str, float] = field(default_factory=dict)
    prompt: str = ""
    logprobs: tuple[float, ...] = ()
    task: str = ""
    language: str = ""
    cost_usd: float | None = None
    source: str = ""
    state: LayerState | None = None
    # No test's verdict follows from these, so they are no part of what a look remembers of a row.
    tiers: Mapping[str, float] = field(default_factory=dict, repr=False)
    tier_usd: Mapping[str, float] = field(default_factory=dict, repr=False)
    strong_tier: str | None = field(default=None, repr=False)

    @property
    def good(self) -> float:
        """1: the draft may be kept; 0: it may not."""
        return float(self.right >= GOOD)

    @property
    def lost(self) -> float:
        """1: keeping the draft would be a loss, as the strong tier would have got it right."""
        strong = self.strong_right is None or self.strong_right >= GOOD
        return float(strong and not self.good)


def key_of(prompt: str) -> str:
    """A prompt without case and layout: the same question asked twice has one key."""
    return " ".join(prompt.casefold().split())


def labelled(
    prompt: str,
    draft: str,
    right: float,
    *,
    stats: Sequence[TokenStat] = (),
    task: str | None = None,
    language: str | None = None,
    strong_right: float | None = None,
    cost_usd: float | None = None,
    source: str = "",
    state: LayerState | None = None,
    tiers: Mapping[str, float] | None = None,
    tier_usd: Mapping[str, float] | None = None,
    strong_tier: str | None = None,
) -> Labelled:
    """A row from a draft's text.

    Args:
        task: None: guessed from the prompt, as on the street; likewise `language`.
    """
    from ..signals.language import language_of
    from ..signals.task import task_of

    spoken = language_of(prompt) if language is None else language
    return Labelled(
        key=key_of(prompt),
        prompt=prompt,
        right=right,
        strong_right=strong_right,
        signals=evidence(prompt, draft, stats, language=spoken or None),
        logprobs=tuple(stat.logprob for stat in stats),
        task=task_of(prompt) if task is None else task,
        language=spoken or "",
        cost_usd=cost_usd,
        source=source,
        state=state,
        tiers=tiers or {},
        tier_usd=tier_usd or {},
        strong_tier=strong_tier,
    )
