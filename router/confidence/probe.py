"""A middle layer's state as evidence: a line over it, fitted on labels, read in one product.

In go states of one layer, averaged over each answer's tokens, and whether the answers were good.
Out come a `Probe`, and what the same fit says of each row when the row is left out. That score is
the estimator's signal `evidence.PROBE`: among others it is worth what it is on rows it never saw.

It knows the kinds of question it was fitted on; of others it says little more than chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import FloatArray, folds_of
from .logistic import Line, newton

if TYPE_CHECKING:
    from ..layerstate import LayerState

LEAST = 50
"""Rows, and right and wrong ones a tenth as many each, below which no probe is fitted."""
_FOLDS = 5
_RIDGES = (30.0, 100.0, 300.0, 1000.0)
_DIRECTIONS = 512
"""Of the states' spread, the widest so many are read, which bounds the time of a fit. On 2,436
drafts of SmolLM2-135M 48 of them ranked rows left out worse than 128, these worse than all 576."""
_DIGITS = 7
_ARRAYS = ("centre", "scale", "slope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Reads one layer's states.

    Attributes:
        layer: Of whose incoming state.
        line: Over its numbers.
    """

    layer: int
    line: Line

    @property
    def width(self) -> int:
        """Numbers of a state."""
        return len(self.line.slope)

    def read(self, layer: int, mean: bytes) -> float | None:
        """Log-odds that an answer is good, by its mean state.

        Args:
            mean: float32, little-endian.

        Returns: None, for unknown, when it is another layer's, of another width, or not of numbers.
        """
        if layer != self.layer or len(mean) != 4 * self.width:
            return None
        state = np.frombuffer(mean, "<f4")
        logit = float(self.line.logit(state[None])[0])
        return logit if np.isfinite(state).all() else None

    def read_of(self, state: LayerState | None) -> float | None:
        """The same of a state. None, for unknown, also where there is none."""
        return None if state is None else self.read(state.layer, state.mean)

    def as_plain(self) -> dict[str, Any]:
        """Numbers and lists alone, for a file."""
        line = self.line
        arrays = {name: getattr(line, name).tolist() for name in _ARRAYS}
        return {"layer": self.layer, "base": line.base, **arrays}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Probe:
        """What `as_plain` gave.

        Raises:
            ValueError: It is something else, or its parts don't fit each other.
        """
        try:
            layer, base = plain["layer"], float(plain["base"])
            arrays = {name: np.array(plain[name], np.float64) for name in _ARRAYS}
        except (KeyError, TypeError) as exc:
            raise ValueError(f"a probe's part is missing or of another kind: {exc}") from exc
        width = arrays["slope"].size
        if not isinstance(layer, int) or layer < 0 or not width:
            raise ValueError("a probe has to have a layer, and a number for each of its state's")
        if any(array.shape != (width,) for array in arrays.values()):
            raise ValueError("a probe's arrays are not of one length")
        finite = all(np.isfinite(array).all() for array in arrays.values()) and np.isfinite(base)
        if not finite or arrays["scale"].min() <= 0:
            raise ValueError("a probe holds a value that is no number, or a scale that is none")
        return cls(layer=layer, line=Line(base=base, **arrays))


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedProbe:
    """A probe, and what the same recipe says of the fit's own rows when they are left out.

    Attributes:
        crossed: Shape (n,): log-odds of each row by a fit that never saw its fold.
        ridge: The penalty that did best on rows left out.
    """

    probe: Probe
    crossed: FloatArray
    ridge: float


def fit_probe(
    states: FloatArray, target: FloatArray, keys: Sequence[str], layer: int
) -> FittedProbe | None:
    """Fit a probe; the penalty is the one of four that does best on rows left out.

    Args:
        states: Shape (n, width), finite.
        target: Shape (n,), 0 or 1.
        keys: Each row's prompt: rows of one key are never parted. With each row's kind of question
            for it, `crossed` says how the probe does on kinds it has not seen.

    Returns: None when there are fewer than `LEAST` rows, or hardly any right or wrong ones.
    """
    if min(len(target) / 10, float(target.sum()), float((1 - target).sum())) < LEAST / 10:
        return None
    fold = folds_of(list(keys), _FOLDS)
    held = [place for place in range(_FOLDS) if 0 < (fold == place).sum() < len(fold)]
    if not held:
        return None
    crossed = np.zeros((len(_RIDGES), len(target)))
    for place in held:
        out = fold == place
        for at, line in enumerate(_lines(states[~out], target[~out], _RIDGES)):
            crossed[at, out] = line.logit(states[out])
    loss = (np.logaddexp(0.0, crossed) - target * crossed).mean(axis=1)
    best = int(loss.argmin())
    line = _lines(states, target, _RIDGES[best : best + 1])[0]
    return FittedProbe(
        probe=Probe(layer=layer, line=_rounded(line)), crossed=crossed[best], ridge=_RIDGES[best]
    )


def _lines(states: FloatArray, target: FloatArray, ridges: Sequence[float]) -> list[Line]:
    """A line for each penalty, within the widest directions of the standardised states."""
    spread = states.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    flat = Line(centre=states.mean(axis=0), scale=scale, slope=np.zeros(len(scale)), base=0.0)
    standard = flat.standard(states)
    turn = _widest(standard)
    turned = standard @ turn
    found = []
    for ridge in ridges:
        base, slope = newton(turned, target, ridge)
        found.append(Line(centre=flat.centre, scale=scale, slope=turn @ slope, base=base))
    return found


def _widest(rows: FloatArray) -> FloatArray:
    """Directions, shape (width, at most 512), orthonormal; by the smaller of the two products."""
    n, width = rows.shape
    square = rows.T @ rows if width <= n else rows @ rows.T
    size, found = np.linalg.eigh(square)
    kept = np.flatnonzero(size > 1e-9 * max(float(size[-1]), 1e-9))[-_DIRECTIONS:]
    turn: FloatArray = found[:, kept]
    return turn if width <= n else rows.T @ turn / np.sqrt(size[kept])


def _rounded(line: Line) -> Line:
    """As it comes back from a file that does not write sixteen digits of each number."""

    def brief(array: FloatArray) -> FloatArray:
        return np.array([float(f"{value:.{_DIGITS}g}") for value in array])

    return Line(
        centre=brief(line.centre),
        scale=brief(line.scale),
        slope=brief(line.slope),
        base=float(f"{line.base:.{_DIGITS}g}"),
    )
