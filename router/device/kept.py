"""Generators that have read something before, kept for whoever asks the same again.

In goes a prompt, out comes a generator and how much of the prompt it has read already. What is
reused is the key-value cache of a common beginning, token for token. Three rules keep an answer
from depending on what was asked before:

- Only tokens that were read in chunks count. Those an answer was made of went through the model one
  at a time, by other kernels, whose sums are rounded otherwise.
- The last `AGAIN` tokens of a prompt are always read anew: after a rewind the runtime's logits are
  stale until something is appended, and one token alone would go by those other kernels.
- A generator belongs to one tenant and one guide for its life, and to one job at a time.

Memory is counted as the caches are long, for the runtime sets them up whole. Who hasn't been used
for longest goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import Guide, Reuse

Tokens = npt.NDArray[np.int32]

AGAIN = 2
"""Tokens of a prompt that are read anew at the least."""

BUCKET = 256
"""Lengths are multiples of it, so that a kept generator has room for a somewhat longer prompt."""


@dataclass(eq=False, slots=True, kw_only=True)
class Held:
    """One generator, and whose it is.

    Attributes:
        length: Most tokens it takes, prompt and answer.
        read: The tokens its cache begins with that were read in chunks.
    """

    generator: Any
    tenant: str | None
    guide: Guide | None
    length: int
    read: Tokens = field(default_factory=lambda: np.empty(0, np.int32))


class KeptGenerators:
    """Lends generators out and takes them back.

    Args:
        make: Gives a new generator of so many tokens.
        most_bytes: What those lent and those kept may have together; a lent one is never refused
            for it. 0: nothing is kept.
        token_bytes: Bytes of cache a token takes. None: not known, so nothing is kept.
        limit: Most tokens that a generator may ever have.
    """

    def __init__(
        self,
        make: Callable[[int, Guide | None], Any],
        *,
        most_bytes: int,
        token_bytes: int | None,
        limit: int,
    ) -> None:
        self._make = make
        self._most_bytes = most_bytes if token_bytes else 0
        self._token_bytes = token_bytes or 0
        self._limit = limit
        self._kept: list[Held] = []  # the least recently used first
        self._lent_bytes = 0
        self._jobs = self._hits = self._tokens_read = self._tokens_reused = 0

    def take(
        self, tenant: str | None, guide: Guide | None, prompt: Tokens, need: int
    ) -> tuple[Held, int]:
        """A generator for this job alone, and how many tokens of the prompt it has read.

        Args:
            need: Tokens of prompt and answer together.

        Raises:
            RuntimeError: The runtime can't make one.
        """
        found, reused = self._find(tenant, guide, prompt, need)
        if found is None:
            length = need if not self._most_bytes else min(-(-need // BUCKET) * BUCKET, self._limit)
            self._make_room(length)
            generator = self._make(length, guide)
            found = Held(generator=generator, tenant=tenant, guide=guide, length=length)
        else:
            self._kept.remove(found)
            found.generator.rewind_to(reused)
            found.read = found.read[:reused]
        self._lent_bytes += self._bytes(found)
        self._jobs += 1
        self._hits += reused > 0
        self._tokens_read += len(prompt) - reused
        self._tokens_reused += reused
        return found, reused

    def give_back(self, held: Held) -> None:
        """The job is over, however it ended; what was read is still true."""
        self._lent_bytes -= self._bytes(held)
        if self._most_bytes and self._bytes(held) <= self._most_bytes:
            self._make_room(held.length)
            self._kept.append(held)

    def drop(self, held: Held) -> None:
        """The job failed in the runtime: nobody knows what its cache holds."""
        self._lent_bytes -= self._bytes(held)

    def clear(self) -> None:
        """Let go of all, and begin to count anew."""
        self._kept.clear()
        self._jobs = self._hits = self._tokens_read = self._tokens_reused = 0

    def figures(self) -> Reuse:
        """How it went so far."""
        return Reuse(
            jobs=self._jobs,
            hits=self._hits,
            tokens_read=self._tokens_read,
            tokens_reused=self._tokens_reused,
            kept=len(self._kept),
            kept_bytes=sum(map(self._bytes, self._kept)),
        )

    def _find(
        self, tenant: str | None, guide: Guide | None, prompt: Tokens, need: int
    ) -> tuple[Held | None, int]:
        """The kept one that saves most, and to where it is rewound.

        One whose rewinding would lose more than it saves is left to its own conversation, unless
        there is no memory for another: then whoever hasn't been used for longest is overwritten.
        """
        fitting = [
            held
            for held in self._kept
            if held.tenant == tenant and held.guide == guide and held.length >= need
        ]
        best, saved = None, 0
        for held in fitting:
            shared = common(held.read, prompt)
            if shared > saved and len(held.read) - shared <= shared:
                best, saved = held, shared
        if best is None and fitting and not self._room_for(need):
            best = fitting[0]
            saved = common(best.read, prompt)
        return best, saved

    def _room_for(self, length: int) -> bool:
        used = self._lent_bytes + sum(map(self._bytes, self._kept))
        return used + length * self._token_bytes <= self._most_bytes

    def _make_room(self, length: int) -> None:
        while self._kept and not self._room_for(length):
            self._kept.pop(0)

    def _bytes(self, held: Held) -> int:
        return held.length * self._token_bytes


def common(read: Tokens, prompt: Tokens) -> int:
    """Tokens that both begin with and that needn't be read again."""
    most = min(len(read), len(prompt) - AGAIN)
    if most <= 0:
        return 0
    differ = np.flatnonzero(read[:most] != prompt[:most])
    return int(differ[0]) if differ.size else most
