"""Ridge logistic regression: fitted by Newton's steps (IRLS), read as one dot product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import FloatArray, chance

_FARTHEST = 4.0
"""Standard deviations beyond which a value says no more than at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A linear log-odds over standardised values.

    Attributes:
        centre: Shape (n_features,): what stands for zero, and for an unknown value.
        scale: Same shape: one standard deviation.
        slope: Same shape: log-odds a standard deviation.
        base: Log-odds at the centre.
    """

    centre: FloatArray
    scale: FloatArray
    slope: FloatArray
    base: float

    def standard(self, rows: FloatArray) -> FloatArray:
        """Values in standard deviations, held within 4; unknown is 0."""
        found: FloatArray = np.clip((rows - self.centre) / self.scale, -_FARTHEST, _FARTHEST)
        return np.where(np.isnan(found), 0.0, found)

    def logit(self, rows: FloatArray) -> FloatArray:
        """Log-odds of each row. Shape (n, n_features) to (n,)."""
        found: FloatArray = self.base + self.standard(rows) @ self.slope
        return found


def fit_line(
    rows: FloatArray, target: FloatArray, ridge: float, weight: FloatArray | None = None
) -> Line:
    """Fit to targets in 0 to 1.

    Args:
        rows: Shape (n, n_features); NaN is unknown.
        target: Shape (n,).
        ridge: Penalty on a squared slope, in rows' worth of log-likelihood.
        weight: Shape (n,). None: all alike.
    """
    known = ~np.isnan(rows)
    counted = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, rows, 0.0)
    centre = filled.sum(axis=0) / counted
    spread = np.sqrt((np.where(known, rows - centre, 0.0) ** 2).sum(axis=0) / counted)
    scale = np.where(spread > 1e-9, spread, 1.0)
    start = Line(centre=centre, scale=scale, slope=np.zeros(rows.shape[1]), base=0.0)
    base, slope = newton(start.standard(rows), target, ridge, weight)
    return Line(centre=centre, scale=scale, slope=slope, base=base)


def newton(
    rows: FloatArray, target: FloatArray, ridge: float, weight: FloatArray | None = None
) -> tuple[float, FloatArray]:
    """Base and slopes of the penalised fit. The base itself is not penalised.

    A step is halved for as long as it would make the fit worse, so it ends whatever the rows are.
    """
    n, width = rows.shape
    load = np.ones(n) if weight is None else weight
    wide = np.column_stack([np.ones(n), rows])
    penalty = np.r_[1e-6, np.full(width, ridge)]
    at = np.zeros(width + 1)
    loss = _loss(wide @ at, target, load) + 0.5 * float(penalty @ at**2)
    for _ in range(50):
        now = chance(wide @ at)
        slope = wide.T @ (load * (now - target)) + penalty * at
        curve = (wide * (load * np.maximum(now * (1 - now), 1e-9))[:, None]).T @ wide
        step = np.linalg.solve(curve + np.diag(penalty), slope)
        size = 1.0
        while size > 1e-4:
            there = at - size * step
            then = _loss(wide @ there, target, load) + 0.5 * float(penalty @ there**2)
            if then <= loss:
                break
            size /= 2
        else:
            break
        gained, at, loss = loss - then, there, then
        if gained < 1e-9 * (1 + abs(loss)):
            break
    return float(at[0]), at[1:]


def _loss(logit: FloatArray, target: FloatArray, load: FloatArray) -> float:
    return float(load @ (np.logaddexp(0.0, logit) - target * logit))
