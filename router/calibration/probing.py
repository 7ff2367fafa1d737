"""The probe of a calibration: fitted on the fit's labels, read on all others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..confidence.arrays import FloatArray, IntArray
from ..confidence.evidence import PROBE
from ..confidence.measures import auroc
from ..confidence.probe import Probe, fit_probe
from .labelled import Labelled

if TYPE_CHECKING:
    from ..layerstate import LayerState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWorth:
    """What a probe adds on the rows that the certificate was tested on.

    Attributes:
        layer: Whose state it reads.
        fitted: Labels it was fitted on.
        auroc: Of the estimator that reads it. None: all of those rows are good, or none; likewise
            `auroc_without`, of one fitted without it.
        within: Mean AUROC within a task, of tasks with good rows and others; likewise
            `within_without`. None: there is no such task.
        tested: Those rows; `known` of them have a state it can read.
    """

    layer: int
    fitted: int
    auroc: float | None
    auroc_without: float | None
    within: float | None
    within_without: float | None
    tested: int
    known: int


def probed(rows: Sequence[Labelled], fit: IntArray) -> tuple[list[Labelled], Probe | None]:
    """Rows with the signal `PROBE`, and what made it; the rows as they are where there is none.

    A row of the fit has what a probe said that never saw it or its like: of rows it has seen, a
    probe says far too good things. The others have what it says on the street.

    Args:
        fit: Which rows the probe may learn from; of them, those that show the commonest layer.
    """
    at, seen = _alike(rows, fit)
    if seen is None:
        return list(rows), None
    layer, width = seen
    # Doubles: the products of a wide layer's states are summed over thousands of rows.
    states = np.array([_numbers(rows[place].state, width) for place in at])
    good = np.array([rows[place].good for place in at])
    found = fit_probe(states, good, [rows[place].key for place in at], layer)
    if found is None:
        return list(rows), None
    scores = [found.probe.read_of(row.state) for row in rows]
    for place in fit:
        scores[place] = None
    for place, crossed in zip(at, found.crossed.tolist(), strict=True):
        scores[place] = crossed
    return [_with(row, score) for row, score in zip(rows, scores, strict=True)], found.probe


def worth(
    probe: Probe,
    rows: Sequence[Labelled],
    fit: IntArray,
    test: IntArray,
    chance: FloatArray,
    chance_without: FloatArray,
) -> ProbeWorth:
    """What it adds.

    Args:
        rows: As `probed` gave them.
        chance: Of each row of `test`; `chance_without` by an estimator without it.
    """
    good = np.array([rows[place].good for place in test])
    tasks = np.array([rows[place].task for place in test])
    return ProbeWorth(
        layer=probe.layer,
        fitted=_known(rows, fit),
        auroc=_told(chance, good),
        auroc_without=_told(chance_without, good),
        within=_within(chance, good, tasks),
        within_without=_within(chance_without, good, tasks),
        tested=len(test),
        known=_known(rows, test),
    )


def _alike(rows: Sequence[Labelled], fit: IntArray) -> tuple[list[int], tuple[int, int] | None]:
    """The fit's rows whose states are of the commonest layer and width, and those two."""
    seen = {int(place): _shape(rows[place].state) for place in fit}
    counted = Counter(shape for shape in seen.values() if shape is not None)
    if not counted:
        return [], None
    common = counted.most_common(1)[0][0]
    return [place for place, shape in seen.items() if shape == common], common


def _shape(state: LayerState | None) -> tuple[int, int] | None:
    return None if state is None else (state.layer, len(state.mean) // 4)


def _numbers(state: LayerState | None, width: int) -> FloatArray:
    mean = b"" if state is None else state.mean
    return np.frombuffer(mean, "<f4", width).astype(np.float64)


def _with(row: Labelled, score: float | None) -> Labelled:
    return row if score is None else replace(row, signals={**row.signals, PROBE: score})


def _known(rows: Sequence[Labelled], places: IntArray) -> int:
    return sum(PROBE in rows[place].signals for place in places)


def _told(chance: FloatArray, good: FloatArray) -> float | None:
    found = auroc(chance, good)
    return found if np.isfinite(found) else None


def _within(chance: FloatArray, good: FloatArray, tasks: npt.NDArray[np.str_]) -> float | None:
    told = [_told(chance[tasks == task], good[tasks == task]) for task in np.unique(tasks)]
    known = [one for one in told if one is not None]
    return sum(known) / len(known) if known else None
