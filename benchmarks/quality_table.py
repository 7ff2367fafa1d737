"""One line of `quality.py`'s table: a figure, how sure it is, and what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure of the table.

    Attributes:
        low: Lower end of its 90 % interval; None: none was made.
        baseline: The same measure of something plain on the same rows; None: nothing plain is.
        goal: What it was to reach; `less` says that lower is better.
    """

    set: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    goal: float | None = None
    less: bool = False
    rows: int | None = None


def measured(
    name: str,
    metric: str,
    ours: Callable[[np.ndarray], float],
    theirs: Callable[[np.ndarray], float],
    rows: int,
    goal: float | None,
    *,
    less: bool,
) -> Line:
    """A figure over all rows, with the 5 % and 95 % quantile over resampled rows."""
    every = np.arange(rows)
    draw = np.random.default_rng(0)
    again = [ours(draw.integers(0, rows, rows)) for _ in range(_RESAMPLES)]
    kept = [value for value in again if math.isfinite(value)]
    low, high = np.quantile(kept, (0.05, 0.95)) if kept else (math.nan, math.nan)
    return Line(
        set=name,
        metric=metric,
        value=ours(every),
        low=float(low),
        high=float(high),
        baseline=theirs(every),
        goal=goal,
        less=less,
        rows=rows,
    )


def shown(line: Line) -> str:
    """The line as text."""
    interval = "" if line.low is None else f"[{line.low:.3f}, {line.high:.3f}]"
    plain = "" if line.baseline is None else f"{line.baseline:.3f}"
    goal, reached = "", ""
    if line.goal is not None:
        goal = f"{'<=' if line.less else '>='} {line.goal:g}"
        ok = line.value <= line.goal if line.less else line.value >= line.goal
        reached = "yes" if ok else "no"
    return (
        f"{line.set:44} {line.metric:22} {line.value:7.3f} {interval:16} "
        f"plain {plain:6} {goal:9} {reached}"
    )
