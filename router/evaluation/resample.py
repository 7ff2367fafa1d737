"""How far a figure would move with other rows of the same kind: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..confidence.arrays import FloatArray, IntArray

RESAMPLES = 300
_ENDS = (0.05, 0.95)
_FEWEST = 0.5
"""Where less than this share of the samples has a figure at all, it gets no interval."""
_Z = 1.645
"""A 90 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 90 % interval."""

    low: float
    high: float


def resamples(prompts: IntArray, times: int = RESAMPLES, seed: int = 0) -> Iterator[IntArray]:
    """Rows drawn again, with replacement; those of one prompt come together or not at all.

    Args:
        prompts: Shape (n,): one number for each different prompt.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 8.
    """
    draw = np.random.default_rng(seed)
    order = np.argsort(prompts, kind="stable")
    _, counts = np.unique(prompts, return_counts=True)
    if len(counts) == len(prompts):
        for _ in range(times):
            yield draw.integers(0, len(prompts), len(prompts))
        return
    members = np.split(order, np.cumsum(counts)[:-1])
    for _ in range(times):
        yield np.concatenate([members[at] for at in draw.integers(0, len(members), len(members))])


def intervals(
    made: Callable[[IntArray], Mapping[str, float]],
    prompts: IntArray,
    times: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Of each figure the 5 % and 95 % quantile over resampled rows; without it where too few have
    the figure.

    Args:
        made: Rows to figures by name; NaN is none.
    """
    told: dict[str, list[float]] = {}
    for rows in resamples(prompts, times, seed):
        for name, value in made(rows).items():
            told.setdefault(name, []).append(value)
    found = {name: interval(np.array(values), times) for name, values in told.items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def interval(values: FloatArray, times: int) -> Interval | None:
    """The ends of a figure's samples. None: too few of them are figures."""
    known = values[np.isfinite(values)]
    if len(known) < _FEWEST * times:
        return None
    low, high = np.quantile(known, _ENDS)
    return Interval(float(low), float(high))


def share_interval(hits: float, trials: int) -> Interval:
    """A share's interval.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, _Z**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return Interval(
        float(max(0.0, min(share, middle - half))), float(min(1.0, max(share, middle + half)))
    )
