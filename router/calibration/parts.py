"""Which labels a calibration is fitted on, and which its promises are tested on. Pure.

A row's part hangs on its key alone, so one question is never on two sides, a row keeps its part
when more labels come, and nobody can choose a lucky split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..confidence.arrays import IntArray, folds_of
from .labelled import Labelled

_TENTHS = 10
_TURN = 77
"""Another partition than the folds of the fit, which would otherwise hang together with it."""
_PLAIN = (5, 10)
_WITH_EARLY = (4, 7)


@dataclass(frozen=True, slots=True)
class Parts:
    """Indices of rows, disjoint by key, all rows together.

    Attributes:
        fit: For the estimator; half of the rows, or two fifths where early bars are wanted.
        test: For the certificates.
        early: For early bars; empty where none are wanted.
    """

    fit: IntArray
    test: IntArray
    early: IntArray


def part(rows: Sequence[Labelled], *, early: bool = False) -> Parts:
    """Rows by their keys: five tenths and five, or four, three and three."""
    tenth = folds_of([row.key for row in rows], _TENTHS, _TURN)
    first, second = _WITH_EARLY if early else _PLAIN
    return Parts(
        fit=np.flatnonzero(tenth < first),
        test=np.flatnonzero((tenth >= first) & (tenth < second)),
        early=np.flatnonzero(tenth >= second),
    )


def once(rows: Sequence[Labelled], parts: Parts) -> tuple[Parts, int]:
    """The same with each question but once where promises are tested, and how many rows that
    leaves out: an exact test takes its rows to be independent, and copies of one are not."""

    def first(part: IntArray) -> IntArray:
        places: dict[str, int] = {}
        for at in part.tolist():
            places.setdefault(rows[at].key, at)
        return np.array(list(places.values()), dtype=np.int64)

    found = replace(parts, test=first(parts.test), early=first(parts.early))
    left = len(parts.test) - len(found.test) + len(parts.early) - len(found.early)
    return found, left


def share_tested(*, early: bool = False) -> float:
    """Which share of all labels tests the certificates, about."""
    first, second = _WITH_EARLY if early else _PLAIN
    return (second - first) / _TENTHS
