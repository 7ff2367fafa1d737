"""Whether a graph keeps rows apart, found out by running it on a few tokens.

Names and operators say that it should; a wrong build may still read past a row's end, or write its
keys and values elsewhere. In goes a loaded graph; out comes nothing, or `Incapable`.
"""

from __future__ import annotations

import numpy as np

from ..errors import Incapable, Unavailable
from .onnxrun import Runner
from .slots import Arena, Array

_LONG = [5, 6, 7, 8]
_SHORT = [9, 10]
_CLOSE = 0.05
"""Share of the largest logit by which two ways to the same token may differ: kernels of other
shapes round otherwise. Rows that are not apart, or lost keys, differ by far more."""


def prove(runner: Runner) -> None:
    """Compare two rows of unequal length that run together with each of them alone.

    The memory is filled with NaN, so that a number read from where no token is would show.

    Raises:
        Incapable: They differ, or the graph can't be run so.
    """
    arena = Arena(runner.graph)
    arena.shape(2, 8, {})
    try:
        alone = []
        for ids in (_LONG, _SHORT):
            arena.fill(np.nan)
            alone.append(_read(runner, arena, 0, ids))
        arena.fill(np.nan)
        for place, ids in enumerate((_LONG, _SHORT)):
            _read(runner, arena, place, ids[:-1])
        last = np.array([[_LONG[-1]], [_SHORT[-1]]])
        together = runner.run(arena, 0, last, np.array([len(_LONG), len(_SHORT)]))
    except Unavailable as exc:
        raise Incapable(f"this model's rows can't be run together: {exc}") from exc
    for one, other in zip(alone, together, strict=True):
        if not np.abs(one - other).max() <= _CLOSE * np.abs(one).max():  # NaN is not close either
            raise Incapable("this model's rows can't be run together: they are not kept apart")


def _read(runner: Runner, arena: Arena, place: int, ids: list[int]) -> Array:
    logits = runner.run(arena, place, np.array([ids]), np.array([len(ids)]))
    row: Array = logits[0].copy()
    return row
