"""How many prompt tokens to read at once, so that the worker's other jobs are never far away.

In go the size and seconds of the chunks read so far, out comes the size of the next. Reading holds
the worker: until the chunk is done only a cancellation is heard (`ears.py`). Small chunks are
polite and slow, for each reads all weights once more; large ones are fast and deaf. This keeps one
chunk near `AIM_S` on the model and machine it runs on.
"""

from __future__ import annotations

AIM_S = 0.1
SMALLEST = 32
LARGEST = 256
STEP = 16
"""Chunks are whole multiples of it; also the most tokens that the last may have above its size."""
_TELLING = 16  # fewest tokens whose reading says something about speed
_WEIGHT = 0.5  # of the newest measurement in the running mean


class Pace:
    """Remembers how fast this model reads. Kept over jobs."""

    def __init__(self) -> None:
        self._token_s: float | None = None

    def chunk(self, left: int) -> int:
        """Tokens to read next when `left` are still unread, at least 1.

        A rest of a few tokens goes along with the last chunk: alone it would cost a whole pass. The
        others are whole multiples of 16, a size that kernels are made for.
        """
        most = self._most()
        return left if left <= most + STEP else most

    def saw(self, tokens: int, seconds: float) -> None:
        """A chunk was read. One too small to tell a speed from is not counted."""
        if tokens < _TELLING:
            return
        token_s = seconds / tokens
        known = self._token_s
        self._token_s = token_s if known is None else known + _WEIGHT * (token_s - known)

    def _most(self) -> int:
        if self._token_s is None:
            return SMALLEST
        if self._token_s * LARGEST <= AIM_S:
            return LARGEST
        fits = int(AIM_S / self._token_s)
        return max(SMALLEST, fits - fits % STEP)
