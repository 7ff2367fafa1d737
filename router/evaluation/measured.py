"""The figures of a judged set, by name: how it ranks, how it is calibrated, what it saves.

A figure that can't be told (only one kind of answer, a quality never reached) is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..confidence.measures import apgr, aurc, auroc, ece, realised_loss, spend_at, static_mixture
from .curves import at_bar, cascade, cascades, references
from .judged import Judged
from .resample import RESAMPLES, Interval, intervals

WANTED = 0.95
"""Share of the strong tier's quality that costs are compared at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a figure is.

    Attributes:
        better: Which way is better. None: neither.
        says: In a sentence, for people.
    """

    better: Literal["more", "less"] | None
    says: str


KINDS: dict[str, Kind] = {
    "AUROC": Kind(
        better="more",
        says="chance that a right answer is given more confidence than a wrong one; 0.5 is no idea",
    ),
    "ECE": Kind(better="less", says="mean gap between confidence and share of right answers"),
    "AURC": Kind(better="less", says="share of wrong answers among the kept, over all coverages"),
    "APGR": Kind(
        better="more",
        says="share of the quality gap recovered, over all shares of escalations; 0.5 is chance",
    ),
    "calls at 95 %": Kind(
        better="less", says="least share of requests escalated for 95 % of the strong quality"
    ),
    "cost at 95 %": Kind(
        better="less",
        says="least share of always-strong's dollars for 95 % of its quality, by one cascade",
    ),
    "blind mix at 95 %": Kind(
        better=None, says="the same by tossing a coin between two of the tiers"
    ),
    "saved on the blind mix": Kind(
        better="more", says="what the cascade saves on that mix, at the same quality"
    ),
    "kept": Kind(better=None, says="share of requests that the bar keeps on the device"),
    "right when kept": Kind(better="more", says="share of right answers among the kept"),
    "loss": Kind(
        better="less",
        says="share of all requests kept where the device is wrong and the strong tier right",
    ),
    "quality": Kind(
        better="more", says="mean over all requests, the rest asked of the strong tier"
    ),
    "spend": Kind(better="less", says="share of what always asking the strong tier costs"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. `interval` None: too few resampled sets have it."""

    name: str
    value: float
    interval: Interval | None

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]


def figures(judged: Judged, bar: float | None, times: int = RESAMPLES) -> tuple[Figure, ...]:
    """Every figure of the set, with 90 % intervals.

    Args:
        bar: Keep a draft of at least this confidence. None: no bar's figures.
    """
    ends = intervals(lambda rows: measure(judged.some(rows), bar), judged.prompts, times)
    told = measure(judged, bar)
    return tuple(
        Figure(name=name, value=told[name], interval=ends.get(name))
        for name in KINDS
        if math.isfinite(told.get(name, math.nan))
    )


def measure(judged: Judged, bar: float | None) -> dict[str, float]:
    """Names of `KINDS` to figures; NaN, or no entry, where there is nothing to tell."""
    good = judged.good
    found = {
        "AUROC": auroc(judged.confidence, good),
        "ECE": ece(judged.confidence, good),
        "AURC": aurc(judged.confidence, good),
    }
    routed = judged.routed()
    if routed is not None:
        found |= _routed(routed)
    if bar is not None:
        kept = judged.sure >= bar
        found["kept"] = float(kept.mean())
        found["right when kept"] = float(good[kept].mean()) if kept.any() else math.nan
    if routed is not None and bar is not None:
        found |= _at_bar(routed, bar)
    return found


def _routed(judged: Judged) -> dict[str, float]:
    weak, strong = judged.device.right, judged.strong.right
    quality = float(strong.mean())
    found: dict[str, float] = {}
    if quality <= float(weak.mean()):
        return found  # nothing is won by escalating, so there is no gap to recover
    found["APGR"] = apgr(-judged.sure, weak, strong)
    steps = cascade(judged, judged.strong)
    found["calls at 95 %"] = spend_at(steps.escalated, steps.quality, WANTED * quality)
    if not judged.priced:
        return found
    least = [spend_at(each.spend, each.quality, WANTED * quality) for each in cascades(judged)]
    found["cost at 95 %"] = min((x for x in least if math.isfinite(x)), default=math.nan)
    always = references(judged)
    found["blind mix at 95 %"] = static_mixture(
        [point.spend for point in always], [point.quality for point in always], WANTED * quality
    )
    found["saved on the blind mix"] = found["blind mix at 95 %"] - found["cost at 95 %"]
    return found


def _at_bar(judged: Judged, bar: float) -> dict[str, float]:
    kept = (judged.sure >= bar).astype(np.float64)
    point = at_bar(judged, judged.strong, bar, "")
    return {
        "loss": realised_loss(kept, judged.device.right, judged.strong.right),
        "quality": point.quality,
        "spend": point.spend,
    }
