"""Where a value stands in a document, how people write that, and the word they meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

Key = str | int
Place = tuple[Key, ...]
"""Keys and indexes from the top down: ``("accept", 0, "on")``."""

Mark = tuple[int, int]
"""Line and column, both 1-based."""

LONGEST_SHOWN = 60


def dotted(place: Place) -> str:
    """``("accept", 0, "on")`` as people write it: ``accept[0].on``."""
    text = ""
    for key in place:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            word = clipped(key) if key.isprintable() and key else shown(key)
            text += f".{word}" if text else word
    return text


def clipped(text: str) -> str:
    """`text`, cut where it is too long for a message of one line."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def shown(value: Any) -> str:
    """A value as a message quotes it; never more than one line."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return clipped(repr(value))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """A hint that names the closest valid word, or the valid words when few, or nothing."""
    known = sorted({str(w) for w in words})
    close = difflib.get_close_matches(str(word)[:200], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of: {', '.join(known)}" if 0 < len(known) <= 12 else None
