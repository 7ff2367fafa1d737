"""What all of this room's arithmetic is made of: arrays of floats, chances, folds."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def chance(logit: FloatArray) -> FloatArray:
    """Log-odds to a probability."""
    found: FloatArray = 1 / (1 + np.exp(-np.clip(logit, -40, 40)))
    return found


def folds_of(keys: list[str], folds: int, turn: int = 0) -> IntArray:
    """Which fold each row is in, by its key alone: rows that share a key are never parted.

    Args:
        keys: One a row, such as the prompt.
        turn: Another turn gives another partition.
    """
    return np.array(
        [crc32(f"{turn}:{key}".encode("utf-8", "surrogatepass")) % folds for key in keys],
        dtype=np.int64,
    )
