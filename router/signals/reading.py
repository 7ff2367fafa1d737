"""What a signal reads of a text: a bounded beginning, without what is no prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Message

MOST_READ = 16_000
"""Characters any signal reads of one text. A longer text is judged by this much of it."""

_FENCE = re.compile(r"(`{3}|~{3})(?:.*?\1|.*)", re.DOTALL)
_INLINE = re.compile(r"`[^`\n]{1,200}`")
_SYMBOLS = re.compile(r"[{}()\[\];=<>_|\\^$#&*+/~]")
_DIGITS = re.compile(r"\d+")
_IN_CODE = frozenset("_={}[]<>/\\|;@#$&^~")


def last_user(messages: Sequence[Message]) -> str:
    """The text of the last message a user wrote; empty when there is none."""
    return next((m.content for m in reversed(messages) if m.role == "user"), "")


def prose_of(text: str, most: int) -> str:
    """At most `most` characters of the words people say: no code, address, markup or number.

    Lines that are a tenth or more symbols of code are left out whole.
    """
    text = text[:MOST_READ]
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("\n", text)
    if "`" in text:
        text = _INLINE.sub(" ", text)
    found: list[str] = []
    room = most
    for line in text.splitlines():
        if 10 * len(_SYMBOLS.findall(line)) >= len(line):
            continue
        words = " ".join(word for word in line.split() if not _is_code(word))[:room]
        if words:
            found.append(_DIGITS.sub(" ", words))
            room -= len(words)
        if room <= 0:
            break
    return "\n".join(found)


def _is_code(word: str) -> bool:
    """Whether it is an address, an identifier or a number. Only ASCII is.

    Where words aren't parted by spaces, a whole sentence would go with one digit in it.
    """
    if "://" in word or word.startswith("www."):
        return word.isascii()
    return word.isascii() and (any(c.isdigit() for c in word) or not _IN_CODE.isdisjoint(word))
