"""Labelled rows as they lie in a file become columns: signals, tiers, tasks, languages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..confidence.agreement import sample_features
from ..confidence.arrays import FloatArray, IntArray
from ..confidence.asked import asked_features
from ..confidence.drafted import drafted_features
from ..confidence.estimator import to_rows
from ..confidence.options import option_features
from ..confidence.tokens import token_features
from ..labels.row import Peer, Row
from .judged import Tier, numbered

if TYPE_CHECKING:
    from ..layerstate import LayerState

_CHEAP_QUALITY = 0.9
"""A cheap cloud tier has at least this share of the strong one's quality."""
_RAW = ("tokens.mean_logprob", "samples.top", "options.top")
"""What a model says of its own answer, the first that is known on every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A labelled set before anybody is sure of anything.

    Attributes:
        prompts: The text of each row's prompt, or what stands for it.
        keys: Shape (n,): a number for each different prompt.
        names: Of the signals; `values` of shape (n, n_names), NaN unknown.
        confidence: That the rows bring themselves. None: not all of them do.
        states: Of a middle layer, as far as the rows bring them; what reads them makes a signal.
    """

    name: str
    prompts: tuple[str, ...]
    keys: IntArray
    names: tuple[str, ...]
    values: FloatArray
    device: Tier
    others: tuple[Tier, ...]
    tasks: tuple[str, ...]
    languages: tuple[str, ...]
    confidence: FloatArray | None
    states: tuple[LayerState | None, ...] = ()

    def signal(self, name: str) -> FloatArray | None:
        """A column. None: there is no such signal."""
        if name == "confidence":
            return self.confidence
        return self.values[:, self.names.index(name)] if name in self.names else None

    @property
    def raw(self) -> str | None:
        """The signal by which a model speaks of its own answer, where every row has it."""
        for name in _RAW:
            values = self.signal(name)
            if values is not None and not np.isnan(values).any():
                return name
        return None


def labelled(name: str, rows: Sequence[Row], cheap: str | None = None) -> Labelled:
    """Rows, already checked, as columns.

    Args:
        cheap: The model or tier among those beside the strong one that is the cheap cloud tier.
            None: the cheapest that costs anything, was asked everywhere and has 90 % of the strong
            tier's quality.
    """
    made = [_signals(row) for row in rows]
    names = tuple(dict.fromkeys(key for signals in made for key in signals))
    prompts = tuple(
        row.asked or row.id or f"row {place}" for place, row in enumerate(rows, start=1)
    )
    told = [row.confidence for row in rows]
    return Labelled(
        name=name,
        prompts=prompts,
        keys=numbered(list(prompts)),
        names=names,
        values=to_rows(made, names),
        device=Tier(
            name=_told([row.model for row in rows]) or "device",
            right=_column([row.right for row in rows]),
            # What runs on one's own machine has no price a call, unless the rows name one.
            usd=_column([row.device_usd or 0.0 for row in rows]),
        ),
        others=_others(rows, cheap),
        tasks=tuple(row.kind for row in rows),
        languages=tuple(row.spoken for row in rows),
        confidence=None if None in told else _column(told),
        states=tuple(row.state for row in rows),
    )


def as_chance(values: FloatArray) -> tuple[FloatArray, str]:
    """A raw signal as a probability, without any label, and how it was made one. Unknown is 0.

    What lies in 0 to 1 is taken as it is, a log-probability by ``exp``; of anything else, more of
    which must speak for an answer, the share of rows that have less.
    """
    known = values[~np.isnan(values)]
    if len(known) and known.min() >= 0 and known.max() <= 1:
        made, said = values, "as it is"
    elif len(known) and known.max() <= 0:
        made, said = np.exp(values), "exp"
    else:
        _, place, times = np.unique(values, return_inverse=True, return_counts=True)
        made, said = ((np.cumsum(times) - times / 2) / len(values))[place], "by rank"
    return np.where(np.isnan(values), 0.0, made), said


def _others(rows: Sequence[Row], cheap: str | None) -> tuple[Tier, ...]:
    outcomes = [row.strong_right for row in rows]
    if all(outcome is None for outcome in outcomes):
        return ()
    costs = [row.cost_usd for row in rows]
    strong = Tier(
        name=_told([row.strong_model for row in rows]) or "strong tier",
        right=_column(outcomes),
        usd=None if None in costs else _column(costs),
    )
    beside = [row.beside for row in rows]
    names = set(beside[0]).intersection(*beside)
    tiers = [_tier(beside, name) for name in sorted(names)]
    if cheap is not None:
        return (*(tier for tier in tiers if tier.name == cheap), strong)
    if strong.usd is None:
        return (strong,)
    enough = _CHEAP_QUALITY * np.nanmean(strong.right)
    able = [
        tier
        for tier in tiers
        if tier.usd is not None
        and 0 < tier.usd.sum() < strong.usd.sum()
        and tier.right.mean() >= enough
    ]
    able.sort(key=lambda tier: 0.0 if tier.usd is None else float(tier.usd.sum()))
    return (*able[:1], strong)


def _tier(beside: Sequence[Mapping[str, Peer]], name: str) -> Tier:
    costs = [told[name].cost_usd for told in beside]
    return Tier(
        name=name,
        right=_column([told[name].correct for told in beside]),
        usd=None if None in costs else _column(costs),
    )


def _signals(row: Row) -> dict[str, float]:
    found: dict[str, float] = {}
    language = row.spoken or None
    if row.options is not None:
        found |= option_features(row.options)
    asked = row.asked
    if asked is None:
        return found
    found |= asked_features(asked, language)
    samples = row.samples
    text = row.draft or (samples[0] if samples else None)
    if text is not None:
        found |= drafted_features(
            asked,
            text,
            row.answer,
            well_formed=row.well_formed,
            language=language,
            english=language in (None, "en"),
        )
    if samples is not None:
        found |= sample_features(samples)
    if row.tells_tokens or (row.draft is not None and not row.recorded):
        found |= token_features(row.stats)
    return found


def _told(words: Sequence[str | None]) -> str:
    """The one word all rows have; several are joined."""
    return ", ".join(sorted({word for word in words if word}))


def _column(values: Sequence[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else float(value) for value in values])
