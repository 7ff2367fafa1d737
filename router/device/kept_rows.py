"""Prompts that were read, kept as copies of their key-value memory for whoever begins the same way.

In goes a prompt, out comes the kept `Prefix` that saves most of it; a row is begun with a copy, so
one kept prompt serves several rows at once. Two rules keep an answer from depending on what was
asked before: only tokens that were read in chunks are kept, and the last `AGAIN` tokens of a prompt
are always read anew, since one token alone goes through the model by other kernels, whose sums are
rounded otherwise. A kept prompt is its tenant's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .engine import Reuse
from .kept import Tokens, common
from .slots import Prefix

LEAST = 4
"""Tokens that two prompts have to share: the beginning of a chat template alone is no hit."""


@dataclass(eq=False, slots=True)
class _Kept:
    tenant: str | None
    tokens: Tokens
    prefix: Prefix


class KeptPrompts:
    """Keeps no more than `most_bytes`; the one that hasn't been used for longest goes first.

    Args:
        token_bytes: Key-value memory of one token.
    """

    def __init__(self, *, most_bytes: int, token_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._token_bytes = token_bytes
        self._kept: list[_Kept] = []  # the least recently used first
        self._jobs = self._hits = self._tokens_read = self._tokens_reused = 0

    def find(self, tenant: str | None, prompt: Tokens) -> tuple[Prefix | None, int]:
        """What a job's prompt may begin with, and how many of its tokens hold for it."""
        best, saved = None, LEAST - 1
        for kept in self._kept:
            shared = common(kept.tokens, prompt) if kept.tenant == tenant else 0
            if shared > saved:
                best, saved = kept, shared
        if best is None:
            saved = 0
        else:
            self._used(best)
        self._jobs += 1
        self._hits += saved > 0
        self._tokens_read += len(prompt) - saved
        self._tokens_reused += saved
        return None if best is None else best.prefix, saved

    def keep(self, tenant: str | None, read: Tokens, copy: Callable[[], Prefix]) -> None:
        """Remember what was read.

        Args:
            read: The tokens, all of them read in chunks.
            copy: Gives their memory; called when it is really kept.
        """
        size = len(read) * self._token_bytes
        if len(read) < LEAST or size > self._most_bytes:
            return
        for kept in tuple(self._kept):
            if kept.tenant != tenant:
                continue
            shorter = min(len(kept.tokens), len(read))
            if (kept.tokens[:shorter] == read[:shorter]).all():
                if len(kept.tokens) >= len(read):
                    self._used(kept)
                    return
                self._kept.remove(kept)  # the new one holds all of it
        while self._bytes() + size > self._most_bytes:
            del self._kept[0]
        self._kept.append(_Kept(tenant, read.copy(), copy()))

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
            kept_bytes=self._bytes(),
        )

    def _used(self, kept: _Kept) -> None:
        self._kept.remove(kept)
        self._kept.append(kept)

    def _bytes(self) -> int:
        return sum(len(kept.tokens) for kept in self._kept) * self._token_bytes
