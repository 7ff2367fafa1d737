"""Bars for a draft that is still being written: give it up, or show it, by its running mean.

What is looked at is the mean log-probability of a draft's first 16, 32, 64 or 128 tokens. Bars are
put in an order by rows of the fit, before any other label is seen; then they are tested on rows
that neither the fit nor the certificate has used.

* **Abort**: bars for all lengths move together, from six standard deviations below the mean of the
  fit's kept drafts upwards; a step passes when an exact binomial test says that at most 2 % of the
  drafts that would have been kept are cut, at any length.
* **Commit** is acceptance: showing a draft early may not break the promise on losses. A policy
  looks once, at one length, so each length is tested by itself with a part of the doubt, and
  whichever of them is used holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import BoolArray, FloatArray
from .guarantee import Promise, Refused, at_most, labels_needed, upper_bound

LENGTHS = (16, 32, 64, 128)
"""Tokens after which a draft is looked at."""
CUT = 0.02
"""Greatest share, of drafts that would have been kept, that abort bars may cut."""
_ABORTS = np.linspace(6.0, 0.5, 111)
"""Standard deviations below the mean, in the order they are tried."""
_LEAST = 10
"""Kept drafts of the fit that are long enough, for there to be a bar at a length."""
_COMMITS = np.linspace(0.02, 1.0, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyBar:
    """At so many tokens, this much mean log-probability (nats a token)."""

    tokens: int
    mean_logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborts:
    """A draft whose running mean is below its length's bar is given up.

    Attributes:
        bars: Shortest length first.
        cut: Share of kept drafts that they cut; `most_cut` the exact upper bound on it.
        drafts: Kept drafts that it was tested on.
        given_up: Share of the other drafts that they give up: what is gained.
    """

    bars: tuple[EarlyBar, ...]
    cut: float
    most_cut: float
    drafts: int
    given_up: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A draft whose running mean reaches the bar is shown from there on.

    Attributes:
        shown: Share of all drafts that are shown early.
        loss: Share of losses, early and late together; `most_loss` the exact upper bound on it.
        drafts: Drafts that it was tested on.
    """

    bar: EarlyBar
    shown: float
    loss: float
    most_loss: float
    drafts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyBars:
    """What was certified. `aborts` is None, `commits` empty, where nothing was."""

    aborts: Aborts | None = None
    commits: tuple[Commit, ...] = ()

    @property
    def best_commit(self) -> Commit | None:
        """The one that spares the most waiting: share shown, weighed by how early."""
        return max(self.commits, key=lambda c: c.shown / c.bar.tokens**0.5, default=None)


def running_means(drafts: Sequence[Sequence[float]]) -> FloatArray:
    """Mean log-probability of each draft's beginnings. Shape (n, len(LENGTHS)).

    NaN where a draft has no more tokens than that: it is whole by then, and judged whole.
    """
    found = np.full((len(drafts), len(LENGTHS)), np.nan)
    for row, draft in zip(found, drafts, strict=True):
        for at, length in enumerate(LENGTHS):
            if len(draft) > length:
                row[at] = float(np.mean(draft[:length]))
    return found


def certify_aborts(
    order: FloatArray, means: FloatArray, kept: BoolArray, confidence: float
) -> Aborts | Refused:
    """The highest abort bars that pass.

    Args:
        order: Running means of kept drafts of the fit.
        means: Running means of the rows that it is tested on.
        kept: Shape (n,): which of those would have been kept at their end.
        confidence: Of the promise.
    """
    known = (~np.isnan(order)).sum(axis=0)
    usable = [at for at in range(len(LENGTHS)) if known[at] >= _LEAST]
    middle, wide = np.nanmean(order[:, usable], axis=0), np.nanstd(order[:, usable], axis=0)
    total = int(kept.sum())
    passed: tuple[FloatArray, int] | None = None
    for deviations in _ABORTS if usable else ():
        bars = middle - deviations * wide
        cut = _below(means[kept][:, usable], bars)
        if at_most(int(cut.sum()), total, CUT) > 1 - confidence:
            break
        passed = (bars, int(cut.sum()))
    if passed is None:
        return _refused("abort bars", total, confidence)
    bars, cuts = passed
    return Aborts(
        bars=_bars(usable, bars),
        cut=cuts / total,
        most_cut=upper_bound(cuts, total, confidence),
        drafts=total,
        given_up=float(_below(means[~kept][:, usable], bars).mean()) if (~kept).any() else 0.0,
    )


def certify_commits(
    order: FloatArray,
    means: FloatArray,
    kept: BoolArray,
    loss: FloatArray,
    promise: Promise,
) -> tuple[Commit, ...]:
    """The lowest commit bar of each length that passes. Lengths at which none does are left out.

    Args:
        order: Running means of drafts of the fit.
        means: Running means of the rows that it is tested on.
        kept: Shape (n,): which of those would have been kept at their end.
        loss: Shape (n,), 0 or 1: whether keeping, or showing, a draft would be a loss.
        promise: On losses, early and late together.
    """
    doubt = (1 - promise.confidence) / len(LENGTHS)
    found = []
    for at, length in enumerate(LENGTHS):
        known = order[~np.isnan(order[:, at]), at]
        passed: Commit | None = None
        for share in _COMMITS if len(known) else ():
            bar = float(np.quantile(known, 1 - share))
            shown = means[:, at] >= bar  # NaN, a draft that is whole by then, is not
            stays = kept | shown
            losses = int(loss[stays].sum())
            trials = len(loss) if promise.per == "all" else int(stays.sum())
            if at_most(losses, trials, promise.loss) > doubt:
                break
            passed = Commit(
                bar=EarlyBar(tokens=length, mean_logprob=bar),
                shown=float(shown.mean()),
                loss=losses / trials,
                most_loss=upper_bound(losses, trials, 1 - doubt),
                drafts=len(loss),
            )
        if passed is not None and passed.shown > 0:
            found.append(passed)
    return tuple(found)


def _below(means: FloatArray, bars: FloatArray) -> BoolArray:
    """Which drafts are under a bar at any length; NaN is under none."""
    found: BoolArray = np.any(means < bars, axis=1).astype(np.bool_)
    return found


def _bars(usable: Sequence[int], bars: FloatArray) -> tuple[EarlyBar, ...]:
    return tuple(
        EarlyBar(tokens=LENGTHS[at], mean_logprob=float(bar))
        for at, bar in zip(usable, bars, strict=True)
    )


def _refused(what: str, total: int, confidence: float) -> Refused:
    needed = labels_needed(0.0, Promise(loss=CUT, confidence=confidence)) or 0
    return Refused(
        reason=f"{total} kept drafts with log-probabilities are too few for {what}, or they cut "
        "too many of them.",
        labels=total,
        more_labels=max(1, needed - total),
    )
