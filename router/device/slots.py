"""Key-value memory of the rows that run together: one buffer a layer and side, rows of one length.

A run wants the memory of its rows side by side, shape (rows, heads, length, head_size), so all rows
lie in one arena, each at a place, and all places have the length the longest row asked for. The
arena grows by a copy of what is used. What is past a row's used tokens is never cleared and never
read. Places are numbers here; whose row lies where is `session.py`'s business.

What is kept of a row for later lies outside, as a `Prefix` of just its own tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph import Graph

STEP = 256
"""Lengths are multiples of it, so that a row that grows is not copied at every token."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """The first tokens of a row, kept after the row has gone. Belongs to whoever made the row.

    Attributes:
        sides: A layer's keys and values, shape (sides, heads, tokens, head_size).
    """

    sides: Array

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return int(self.sides.shape[2])

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return self.sides.nbytes


class Arena:
    """The buffers. `places` rows of `length` tokens; both are 0 before the first `shape`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.places = 0
        self.length = 0
        self.sides: list[Array] = [self._buffer(0, 0) for _ in graph.past]

    @property
    def bytes(self) -> int:
        """Memory allocated; the system gives it for real as it is written."""
        return self.size(self.places, self.length)

    def size(self, places: int, length: int) -> int:
        """Bytes an arena of this shape takes."""
        return places * length * self._graph.token_bytes

    def shape(self, places: int, length: int, rows: Mapping[int, tuple[int, int]]) -> None:
        """Become another shape, one buffer after the other, so that little is there twice.

        Args:
            rows: For each place that holds a row: the place it gets, and its used tokens.
        """
        for number, old in enumerate(self.sides):
            new = self._buffer(places, length)
            for source, (target, used) in rows.items():
                new[target, :, :used] = old[source, :, :used]
            self.sides[number] = new
        self.places, self.length = places, length

    def copy(self, source: int, target: int, used: int) -> None:
        """The first `used` tokens of one place over those of another."""
        for side in self.sides:
            side[target, :, :used] = side[source, :, :used]

    def swap(self, one: int, used_one: int, other: int, used_other: int) -> None:
        """Two rows change places."""
        for side in self.sides:
            held = side[one, :, :used_one].copy()
            side[one, :, :used_other] = side[other, :, :used_other]
            side[other, :, :used_one] = held

    def take_out(self, place: int, tokens: int) -> Prefix:
        """A copy of the first tokens of a place."""
        graph = self._graph
        shape = (len(self.sides), graph.heads, tokens, graph.head_size)
        kept = np.empty(shape, graph.cache)
        for number, side in enumerate(self.sides):
            kept[number] = side[place, :, :tokens]
        return Prefix(kept)

    def put_in(self, prefix: Prefix, place: int, tokens: int) -> None:
        """The first tokens of what was kept become those of a place."""
        for number, side in enumerate(self.sides):
            side[place, :, :tokens] = prefix.sides[number, :, :tokens]

    def fill(self, value: float) -> None:
        """Write one number everywhere: for checks that nobody reads what is not theirs."""
        for side in self.sides:
            side.fill(value)

    def _buffer(self, places: int, length: int) -> Array:
        # Not cleared: memory nobody wrote to costs no real memory on most systems.
        graph = self._graph
        return np.empty((places, graph.heads, length, graph.head_size), graph.cache)


def bucket(tokens: int) -> int:
    """The length that is allocated for so many tokens."""
    return -(-tokens // STEP) * STEP
