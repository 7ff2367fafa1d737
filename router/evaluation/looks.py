"""What a plot draws: bins of calibration, risk over coverage, signals and groups one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..confidence.arrays import FloatArray
from ..confidence.measures import aurc, auroc, ece, risks
from .judged import Judged
from .resample import Interval, share_interval

_BINS = 10
_STEPS = 101
_FEWEST = 10
"""Rows below which a group's ranking is not judged."""

Without = Callable[[str], FloatArray]
"""The confidence of each row when one signal is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of about one confidence: its mean, the share that was right, how many there are."""

    confidence: float
    right: float
    interval: Interval
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far a probability comes true; `ece` over 15 equal bins."""

    name: str
    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of wrong answers among the surest, from one answer to all."""

    name: str
    coverage: FloatArray
    risk: FloatArray
    aurc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What one signal tells.

    Attributes:
        signal: Its name.
        known: Share of rows where it is known.
        alone: AUROC by it alone where it is known, turned so that it is at least one half; `more`
            says that more of it speaks for an answer.
        within: The same inside each task, on average, turned the same way; below one half it
            misleads there. None: no task has enough of both kinds.
        adds: AUROC with all signals less AUROC with this one unknown. None: not worked out.
    """

    signal: str
    known: float
    alone: float
    more: bool
    within: float | None
    adds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The answers of one task or one language.

    Attributes:
        right: Share of right answers; `confidence` the mean that was given them.
        auroc: None: too few rows, or all right, or all wrong.
        kept: Share that the bar keeps; None: there is no bar. So with the next two.
        wrong_kept: Share of wrong answers among the kept. None: nothing is kept.
        wrong_interval: Of that.
    """

    name: str
    rows: int
    right: float
    interval: Interval
    confidence: float
    auroc: float | None
    kept: float | None
    wrong_kept: float | None
    wrong_interval: Interval | None


def reliability(name: str, probability: FloatArray, good: FloatArray) -> Reliability:
    """Ten equal bins; those with no answer are left out."""
    place = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for at in np.unique(place):
        here = place == at
        hits, rows = float(good[here].sum()), int(here.sum())
        bins.append(
            Bin(
                confidence=float(probability[here].mean()),
                right=hits / rows,
                interval=share_interval(hits, rows),
                rows=rows,
            )
        )
    return Reliability(name=name, ece=ece(probability, good), bins=tuple(bins))


def coverage(name: str, probability: FloatArray, good: FloatArray) -> Coverage:
    """Risk at a hundred coverages, and over all."""
    told = risks(probability, good)
    rows = len(told)
    at = np.unique(np.linspace(1, rows, min(rows, _STEPS)).astype(np.int64))
    return Coverage(name=name, coverage=at / rows, risk=told[at - 1], aurc=aurc(probability, good))


def worths(judged: Judged, without: Without | None) -> tuple[Worth, ...]:
    """Every signal that differs between rows, the most telling alone first."""
    good = judged.good
    whole = auroc(judged.confidence, good)
    found = []
    for name, values in judged.signals.items():
        known = ~np.isnan(values)
        if len(np.unique(values[known])) < 2:
            continue
        alone = auroc(values[known], good[known])
        if math.isnan(alone):
            continue
        more = alone >= 0.5
        turned = values if more else -values
        found.append(
            Worth(
                signal=name,
                known=float(known.mean()),
                alone=max(alone, 1 - alone),
                more=more,
                within=_within(turned, known, good, judged.tasks),
                adds=None if without is None else whole - auroc(without(name), good),
            )
        )
    return tuple(sorted(found, key=lambda worth: -worth.alone))


def groups(judged: Judged, names: Sequence[str], bar: float | None) -> tuple[Group, ...]:
    """One for each name, the largest first.

    Args:
        names: Of each row.
    """
    words = np.array(names, dtype=object)
    made = [_group(str(name), judged.some(words == name), bar) for name in sorted(set(names))]
    return tuple(sorted(made, key=lambda group: (-group.rows, group.name)))


def _group(name: str, judged: Judged, bar: float | None) -> Group:
    good, rows = judged.good, len(judged)
    hits = float(good.sum())
    ranks = auroc(judged.confidence, good) if rows >= _FEWEST else math.nan
    kept = None if bar is None else judged.sure >= bar
    count = 0 if kept is None else int(kept.sum())
    wrong = 0.0 if kept is None else float((1 - good)[kept].sum())
    return Group(
        name=name,
        rows=rows,
        right=hits / rows,
        interval=share_interval(hits, rows),
        confidence=float(judged.confidence.mean()),
        auroc=None if math.isnan(ranks) else ranks,
        kept=None if kept is None else count / rows,
        wrong_kept=wrong / count if count else None,
        wrong_interval=share_interval(wrong, count) if count else None,
    )


def _within(
    values: FloatArray, known: np.ndarray, good: FloatArray, tasks: tuple[str, ...]
) -> float | None:
    words = np.array(tasks, dtype=object)
    told = []
    for task in sorted(set(tasks)):
        here = known & (words == task)
        if here.sum() >= _FEWEST:
            told.append(auroc(values[here], good[here]))
    kept = [value for value in told if not math.isnan(value)]
    return float(np.mean(kept)) if kept else None
