"""Stop strings over token borders: text in as it comes, text out that can't be part of one.

The string that is *complete* first ends the answer; of two that end at the same character, the
longer. So the result is the same however the text was cut into tokens.
"""

from __future__ import annotations


class StopStrings:
    """Watches one answer. Empty strings are ignored: they would end every answer at once."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = tuple(s for s in strings if s)
        self._longest = max(map(len, self._strings), default=0)
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Take what is new; give what is safe, and whether a stop string has ended the answer."""
        if not self._strings:
            return text, False
        text = self._held + text
        end = self._earliest(text)
        if end is not None:
            self._held = ""
            return text[: end[1]], True
        keep = self._unsafe(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """What was held back, once no more text will come."""
        held, self._held = self._held, ""
        return held

    def _earliest(self, text: str) -> tuple[int, int] | None:
        """End and start of the stop string that is complete first."""
        hits = ((text.find(s), s) for s in self._strings)
        return min(((at + len(s), at) for at, s in hits if at >= 0), default=None)

    def _unsafe(self, text: str) -> int:
        """Length of the longest end of `text` with which some stop string begins."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[-size:]
            if any(s.startswith(tail) for s in self._strings):
                return size
        return 0
