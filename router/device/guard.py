"""Sees that a JSON answer is whole before its tokens run out. Pure.

In goes each token that a model has chosen, out comes whether there is still room for the shortest
way to the end after it. The first that leaves none is not taken; the answer is then ended with
`tail`, which fits, for it was asked of every token before. So an answer never has more tokens than
it may, and always is of the form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .closing import Closing
from .form import Form

_CONTINUING = bytes(range(0x80, 0xC0))  # within a character
_MOST_KNOWN = 4096


class Shortest:
    """Text to tokens that spell exactly it. Lives as long as the model.

    Args:
        encode: Text to ids, as in the middle of a text.
        pieces: By id, the bytes a token adds.
    """

    def __init__(self, encode: Callable[[str], list[int]], pieces: Sequence[bytes]) -> None:
        self._encode = encode
        self._pieces = pieces
        self._of_byte = {piece: i for i, piece in reversed([*enumerate(pieces)]) if len(piece) == 1}
        self._known: dict[str, list[int] | None] = {}

    def piece(self, token: int) -> bytes:
        """What a token adds to a text."""
        return self._pieces[token] if token < len(self._pieces) else b""

    def ids(self, text: str) -> list[int] | None:
        """Tokens of a text. None: this vocabulary can't spell it."""
        if text not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = self._spell(text)
        return self._known[text]

    def raw(self, data: bytes) -> list[int] | None:
        """A token for each byte. None: there is none for one of them."""
        ids = [self._of_byte.get(data[i : i + 1]) for i in range(len(data))]
        return [i for i in ids if i is not None] if None not in ids else None

    def _spell(self, text: str) -> list[int] | None:
        ids = self._encode(text)
        said = text.encode()
        if b"".join(map(self.piece, ids)) == said:
            return ids
        return self.raw(said)  # the text holds what the tokenizer takes for a control token


class Guard:
    """Watches one answer.

    Attributes:
        tail: Tokens that bring what has been admitted to its end. None, before the first token:
            there is no way that can be spelled.
    """

    def __init__(self, form: Form, shortest: Shortest, *, leading_space: bool) -> None:
        self._closing = Closing(form)
        self._shortest = shortest
        self._strip = leading_space
        self._said = b""
        self.tail = self._way_out(b"")

    @property
    def whole(self) -> bool:
        """Whether what has been admitted needs nothing more."""
        return self.tail == []

    def admits(self, token: int, room: int) -> bool:
        """Take the token in, unless the way to the end would then take over `room` tokens."""
        piece = self._shortest.piece(token)
        if self._strip and not self._said:
            piece = piece.removeprefix(b" ")
        tail = self._way_out(self._said + piece)
        if tail is None or len(tail) > room:
            return False
        self._said += piece
        self.tail = tail
        return True

    def _way_out(self, said: bytes) -> list[int] | None:
        rest = self._closing.of(said)
        if rest is None:
            return None
        text = rest.lstrip(_CONTINUING)
        within = self._shortest.raw(rest[: len(rest) - len(text)])
        then = self._shortest.ids(text.decode())
        return None if within is None or then is None else within + then
