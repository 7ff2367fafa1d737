"""The mean of a layer's states over the tokens of one answer.

In go states as the model is run, out come the bytes of their mean, once.
"""

from __future__ import annotations

import numpy as np

from .logits import FloatArray


class MeanState:
    """Of one answer.

    Args:
        size: Numbers of a state.
    """

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size, np.float32)
        self._tokens = 0

    def add(self, state: FloatArray) -> None:
        """One token's, shape (size,)."""
        self._sum += state
        self._tokens += 1

    def as_bytes(self) -> bytes | None:
        """The mean so far: float32, little-endian. None: of no token, or not of numbers."""
        if not self._tokens:
            return None
        mean = self._sum / np.float32(self._tokens)
        return mean.astype("<f4").tobytes() if np.isfinite(mean).all() else None
