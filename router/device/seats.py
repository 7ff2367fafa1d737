"""Who lies where in the arena: rows come, grow, move together, leave.

In go wishes, out come places; the arena is told what to copy. Nothing runs here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import Incapable, Unavailable
from .slots import Arena, bucket


@dataclass(slots=True, eq=False)
class Slot:
    """One row. To be read by callers, not written.

    Attributes:
        used: Tokens it holds.
        capacity: Tokens it can hold without asking for more memory.
        place: Where it lies now; changes as others come and go. -1: it was given back.
    """

    used: int
    capacity: int
    place: int


class Seats:
    """The slots that are taken, and the arena under them.

    Args:
        limit: Most tokens of a row.
        most: Most rows at once.
        ceiling_bytes: Most memory of the arena.
    """

    def __init__(self, arena: Arena, *, limit: int, most: int, ceiling_bytes: int) -> None:
        self.arena = arena
        self._limit = limit
        self._most = most
        self._ceiling = ceiling_bytes
        self._taken: list[Slot] = []

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._taken

    def fits(self, capacity: int) -> bool:
        """Whether `take` would give a slot now."""
        full = len(self._taken) >= self._most
        return not full and capacity <= self._limit and self._plan([capacity]) is not None

    def take(self, capacity: int) -> Slot:
        """An empty slot.

        Raises:
            Incapable: More than the limit.
            Unavailable: All slots are taken, or all memory is.
        """
        if capacity > self._limit:
            raise self._too_long(capacity)
        if len(self._taken) >= self._most:
            raise Unavailable(f"all {self._most} rows of this model are taken", retryable=True)
        self._reserve([capacity])
        places = {slot.place for slot in self._taken}
        free = next(place for place in range(self.arena.places) if place not in places)
        slot = Slot(used=0, capacity=capacity, place=free)
        self._taken.append(slot)
        return slot

    def leave(self, slot: Slot) -> None:
        """Its place is free; with the last row the memory goes too."""
        self._taken.remove(slot)
        slot.place = -1
        if not self._taken:
            self.arena.shape(0, 0, {})

    def grow(self, needs: Iterable[tuple[Slot, int]]) -> None:
        """Capacity for so many tokens in each of these slots, or an error and no change.

        Raises: as `take`.
        """
        short = [(slot, need) for slot, need in needs if need > slot.capacity]
        if not short:
            return
        for _, need in short:
            if need > self._limit:
                raise self._too_long(need)
        before = [slot.capacity for slot, _ in short]
        for slot, need in short:
            slot.capacity = min(bucket(need), self._limit)
        try:
            self._reserve([])
        except Unavailable:
            for (slot, _), capacity in zip(short, before, strict=True):
                slot.capacity = capacity
            raise

    def gather(self, slots: Sequence[Slot]) -> int:
        """Have these slots side by side, by the cheapest moves; the first place they fill."""
        chosen, count = set(slots), len(slots)
        nearest = min(slot.place for slot in slots)
        if all(slot.place < nearest + count for slot in slots):  # as nearly always
            return nearest

        def tokens_to_move(first: int) -> int:
            inside = range(first, first + count)
            return sum(s.used for s in self._taken if (s in chosen) != (s.place in inside))

        first = min(range(self.arena.places - count + 1), key=tokens_to_move)
        inside = range(first, first + count)
        holders = {slot.place: slot for slot in self._taken}
        holes = [place for place in inside if holders.get(place) not in chosen]
        outside = [slot for slot in slots if slot.place not in inside]
        for slot, place in zip(outside, holes, strict=True):
            other = holders.get(place)
            if other is None:
                self.arena.copy(slot.place, place, slot.used)
            else:
                self.arena.swap(slot.place, slot.used, place, other.used)
                other.place = slot.place
            slot.place = place
        return first

    def _plan(self, more: Sequence[int]) -> tuple[int, int] | None:
        """Places and length for the taken slots and such new ones. None: over the ceiling."""
        arena, count = self.arena, len(self._taken) + len(more)
        length = bucket(max([*(slot.capacity for slot in self._taken), *more], default=0))
        if count <= arena.places and length <= arena.length:
            return arena.places, arena.length
        # More places than are asked for, so that the next who comes makes nobody move.
        roomy = arena.places if count <= arena.places else min(self._most, 2 * arena.places)
        for places in (max(count, roomy), count):
            if arena.size(places, length) <= self._ceiling:
                return places, length
        return None

    def _reserve(self, more: Sequence[int]) -> None:
        found = self._plan(more)
        if found is None:
            raise Unavailable(
                f"the memory for conversations, {self._ceiling / 1e6:,.0f} MB, is taken",
                retryable=True,
            )
        if found != (self.arena.places, self.arena.length):
            moves = {slot.place: (new, slot.used) for new, slot in enumerate(self._taken)}
            self.arena.shape(*found, moves)
            for new, slot in enumerate(self._taken):
                slot.place = new

    def _too_long(self, tokens: int) -> Incapable:
        return Incapable(
            f"{tokens:,} tokens; this model takes {self._limit:,} with the answer",
            code="context_length_exceeded",
        )
