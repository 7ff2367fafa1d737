"""How long answers get, from those that were seen. Pure.

An answer that its cap cut off says only that it would have been longer. So lengths are read as a
survival curve, in which such answers count until they were cut.
Source: Kaplan and Meier, JASA 1958.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

KEPT = 64
"""Answers that are remembered."""
SHORT_SHARE = 0.25
"""Share of answers that are no longer than a short one."""


class Lengths:
    """The last answers: their tokens, and whether they came to an end of their own."""

    def __init__(self, seen: Iterable[tuple[int, bool]] = ()) -> None:
        self.seen: deque[tuple[int, bool]] = deque(seen, maxlen=KEPT)
        self._curve: list[tuple[int, float]] | None = None

    def saw(self, tokens: int, *, ended: bool) -> None:
        """An answer is over. `ended`: not because of its cap."""
        self.seen.append((tokens, ended))
        self._curve = None

    def expected(self, cap: int, written: int = 0) -> float | None:
        """Tokens still to come of an answer that has `written`. None: none has been seen.

        What lies beyond the longest answer seen is taken to go on to the cap.
        """
        if not self.seen:
            return None
        left, going, at = 0.0, 1.0, written
        for tokens, share in self._after(written):
            if tokens >= cap:
                break
            left += going * (tokens - at)
            going, at = share, tokens
        return left + going * max(0, cap - at)

    def short(self, cap: int, written: int = 0) -> float | None:
        """Tokens still to come of an answer that is among the shortest quarter. None: unknown."""
        if not self.seen:
            return None
        for tokens, share in self._after(written):
            if share <= 1 - SHORT_SHARE:
                return max(0, min(cap, tokens) - written)
        return max(0, cap - written)

    def _after(self, written: int) -> Iterator[tuple[int, float]]:
        """Lengths above `written`, each with the share of answers that go on beyond it."""
        reached = 1.0
        for tokens, share in self._shares():
            if tokens <= written:
                reached = share
            elif reached > 0:
                yield tokens, share / reached

    def _shares(self) -> list[tuple[int, float]]:
        if self._curve is None:
            curve: list[tuple[int, float]] = []
            share = 1.0
            for length in sorted({tokens for tokens, ended in self.seen if ended}):
                going = sum(1 for tokens, _ in self.seen if tokens >= length)
                over = sum(1 for tokens, ended in self.seen if ended and tokens == length)
                share *= 1 - over / going
                curve.append((length, share))
            self._curve = curve
        return self._curve
