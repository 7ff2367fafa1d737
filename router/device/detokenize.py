"""Tokens of one answer become text, whole characters only.

In go token ids as they are chosen, out comes what is new. A character may be spread over several
tokens; it is held back until it is whole. Bytes that can't become a character turn into U+FFFD, the
replacement character, and what follows them is not lost.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Protocol

from .vocabulary import Vocabulary

# Words, digits, spaces, a line end, two scripts and a character of four bytes.
_PROBE = "A probe: 2 + 3\n  caf\u00e9 \u65e5\u672c \U0001f600"


class Detokenizer(Protocol):
    """Lives for one answer."""

    def feed(self, token: int) -> str:
        """The characters that `token` completes; may be none."""
        ...


class FromPieces:
    """Puts the text together from the bytes of each token."""

    def __init__(self, pieces: tuple[bytes, ...], *, leading_space: bool) -> None:
        self._pieces = pieces
        self._strip = leading_space
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def feed(self, token: int) -> str:
        """As in `Detokenizer`. An id past the vocabulary, as padding is, adds nothing."""
        piece = self._pieces[token] if token < len(self._pieces) else b""
        if self._strip and piece:
            self._strip = False
            piece = piece.removeprefix(b" ")
        return self._decode(piece)


class FromRuntime:
    """Asks the runtime's own stream decoder, for tokenizers whose pieces aren't known here."""

    def __init__(self, decode: Callable[[int], str]) -> None:
        self.feed = decode


def pieces_tell_the_text(vocabulary: Vocabulary, encode: Callable[[str], list[int]]) -> bool:
    """Whether the pieces give back a text that the runtime has cut into tokens."""
    if vocabulary.pieces is None:
        return False
    ids = encode(_PROBE)
    if any(not 0 <= i < len(vocabulary.pieces) for i in ids):
        return False
    text = b"".join(vocabulary.pieces[i] for i in ids).decode(errors="replace")
    return text.removeprefix(" ") == _PROBE
