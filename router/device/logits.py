"""What a row of logits says about the token that was chosen from it.

In go one row of raw logits and the chosen id, out comes a `TokenStat`. Raw means before
temperature, penalties and sampling: it says what the model thought, not what the dice did.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..errors import Unavailable
from ..types import TokenStat

FloatArray = npt.NDArray[np.float32]


class RowReader:
    """Kept for the life of a model: its two buffers have the size of the vocabulary.

    Attributes:
        log_mass: Log of the sum of the exponentials of the last row: a logit less this is the
            token's log-probability.
    """

    def __init__(self) -> None:
        self._shifted = np.empty(0, np.float32)
        self._weights = np.empty(0, np.float32)
        self.log_mass = 0.0

    def __call__(self, row: FloatArray, chosen: int, first: int | None = None) -> TokenStat:
        """Log-probability of `chosen`, entropy (nats) and top-2 margin of the softmax of `row`.

        Args:
            row: Shape (n_vocab,), n_vocab >= 2. Left as it is.
            first: Where its largest number is, as `argmax` says. None: to be looked for.

        Raises:
            Unavailable: The row holds no usable numbers, as a broken build of a model does.
        """
        if row.size != self._shifted.size:
            self._shifted = np.empty(row.size, np.float32)
            self._weights = np.empty(row.size, np.float32)
        shifted, weights = self._shifted, self._weights
        first = int(row.argmax()) if first is None else first
        top = float(row[first])
        if not math.isfinite(top):
            raise Unavailable(
                "the model's logits are not numbers; this build of it can't be used here",
                retryable=False,
            )
        np.subtract(row, row[first], out=shifted)
        np.exp(shifted, out=weights)
        total = float(weights.sum())
        with np.errstate(invalid="ignore"):
            moment = float(np.dot(shifted, weights))
        if math.isnan(moment):  # -inf * 0: the model masks a part of its vocabulary
            moment = float(np.dot(np.maximum(shifted, -1e4), weights))
        log_total = math.log(total)
        self.log_mass = top + log_total
        logprob = float(shifted[chosen]) - log_total
        weights[first] = 0.0
        return TokenStat(
            logprob=min(0.0, logprob),
            entropy=max(0.0, log_total - moment / total),
            margin=(1.0 - float(weights.max())) / total,
        )


def likeliest(row: FloatArray, count: int) -> list[int]:
    """Ids of the `count` largest logits, largest first; of equal ones the lower id first."""
    if count < 1:
        return []
    count = min(count, row.size)
    edge = np.partition(row, -count)[-count]
    ids = np.flatnonzero(row >= edge)
    return [int(i) for i in ids[np.argsort(-row[ids], kind="stable")][:count]]
