"""How often the first draft was not kept, by how complex the request looked."""

from __future__ import annotations

from collections import OrderedDict, deque

BANDS = 5
LAST = 200
"""Requests remembered per band."""
LEAST = 20
"""Requests seen before a share is given: at 20 its standard error is at most 0.11."""
REVISIONS = 4
"""Policy revisions remembered; the one unheard of for longest is dropped."""


class Chances:
    """Shares of recent requests, by policy revision and band of complexity."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[deque[bool]]] = OrderedDict()

    def saw(self, revision: str, complexity: float, kept: bool) -> None:
        """Learn from a request.

        Args:
            revision: Of the policy it was decided by.
            complexity: 0 to 1.
            kept: Whether the first draft was the answer.
        """
        bands = self._kept.setdefault(revision, [deque(maxlen=LAST) for _ in range(BANDS)])
        self._kept.move_to_end(revision)
        bands[_band(complexity)].append(kept)
        while len(self._kept) > REVISIONS:
            self._kept.popitem(last=False)

    def chance(self, revision: str, complexity: float) -> float | None:
        """Share not kept of the last 200 requests of like complexity. None: fewer than 20 seen."""
        bands = self._kept.get(revision)
        if bands is None:
            return None
        kept = bands[_band(complexity)]
        return kept.count(False) / len(kept) if len(kept) >= LEAST else None


def _band(complexity: float) -> int:
    """Fifths of [0, 1]; a bound belongs to the fifth above it, 1 to the last."""
    return min(BANDS - 1, max(0, int(complexity * BANDS)))
