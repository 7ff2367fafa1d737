"""Labelled answers of a device and of the tiers behind it, a column a thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..confidence.arrays import BoolArray, FloatArray, IntArray

_GOOD = 0.5
"""A graded answer of at least this counts as right where only right and wrong are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What one tier would have made of each request.

    Attributes:
        name: As people know it, such as ``gpt-4o``.
        right: Shape (n,), 0 to 1: how good its answer is. NaN: nobody has judged it.
        usd: Shape (n,): what the call costs. None: not known of every row.
    """

    name: str
    right: FloatArray
    usd: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A labelled set with one confidence.

    Attributes:
        name: Of the set.
        source: Where the confidence comes from, in a few words.
        confidence: Shape (n,), 0 to 1: P(the device's answer is right). An unknown one is 0 here:
            it is never kept.
        device: The first tier.
        held: Shape (n,): what a bar is held against, where that is not the confidence itself but
            the lower end of its interval. None: the confidence.
        others: Stronger tiers, the strongest last. Empty: only the device was judged.
        tasks: Of each row.
        languages: Of each row; empty where nobody said.
        prompts: Shape (n,): rows of one prompt have one number, and are resampled together.
        raw: A probability made of one signal without any labels, to compare with. None: none is.
        raw_name: Of that signal.
        signals: What the confidence was made of, each of shape (n,); NaN is unknown.
    """

    name: str
    source: str
    confidence: FloatArray
    device: Tier
    others: tuple[Tier, ...] = ()
    held: FloatArray | None = None
    tasks: tuple[str, ...]
    languages: tuple[str, ...]
    prompts: IntArray
    raw: FloatArray | None = None
    raw_name: str = ""
    signals: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def good(self) -> FloatArray:
        """Whether the device's answer is right: 0 or 1."""
        return (self.device.right >= _GOOD).astype(np.float64)

    @property
    def sure(self) -> FloatArray:
        """What a bar is held against: drafts of at least the bar are kept."""
        return self.confidence if self.held is None else self.held

    @property
    def strong(self) -> Tier:
        """The strongest tier. IndexError where none was judged."""
        return self.others[-1]

    @property
    def priced(self) -> bool:
        """Whether dollars can be compared: all tiers' are known, and the strong one has a price."""
        known = [tier.usd for tier in (self.device, *self.others) if tier.usd is not None]
        return len(known) == 1 + len(self.others) > 1 and float(known[-1].sum()) > 0

    def some(self, rows: IntArray | BoolArray) -> Judged:
        """The same of some rows, or of rows drawn again. Signals are left out."""
        return replace(
            self,
            confidence=self.confidence[rows],
            device=_tier(self.device, rows),
            others=tuple(_tier(tier, rows) for tier in self.others),
            tasks=_words(self.tasks, rows),
            languages=_words(self.languages, rows),
            prompts=self.prompts[rows],
            held=None if self.held is None else self.held[rows],
            raw=None if self.raw is None else self.raw[rows],
            signals={},
        )

    def routed(self) -> Judged | None:
        """The rows of which every tier was judged. None: no stronger tier, or no such row."""
        if not self.others:
            return None
        known = ~np.isnan(np.array([tier.right for tier in self.others])).any(axis=0)
        if known.all():
            return self
        return self.some(known) if known.any() else None


def _tier(tier: Tier, rows: IntArray | BoolArray) -> Tier:
    usd = None if tier.usd is None else tier.usd[rows]
    return Tier(name=tier.name, right=tier.right[rows], usd=usd)


def _words(words: tuple[str, ...], rows: IntArray | BoolArray) -> tuple[str, ...]:
    return tuple(np.array(words, dtype=object)[rows].tolist())


def for_one_bar(low: FloatArray, bars: Sequence[float | None], bar: float) -> FloatArray:
    """`Judged.held` of rows that have bars of their own, moved so that one bar serves for all.

    Args:
        low: Shape (n,): what each row's own bar is held against.
        bars: Each row's own. None: nothing is promised there, and its draft is never kept.
        bar: The one.
    """
    moved = [-np.inf if own is None else bar - own for own in bars]
    return low + np.array(moved, dtype=np.float64)


def numbered(keys: list[str]) -> IntArray:
    """One number for each different key, in order of their first row."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)
