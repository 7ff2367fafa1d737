"""Messages become the model's prompt; what users write stays text.

In go messages, out come token ids. The folder's own chat template sets the control tokens. The
tokenizer would take the same strings inside a message for control tokens too, and so let a user
speak as the system; so each of them is cut after its first character before the template sees it,
and the prompt is encoded in pieces that end at the cuts. The model reads the same characters, only
not as one token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from ..errors import Refused
from ..types import Message

Encode = Callable[[str], list[int]]
Render = Callable[[str], str]
"""A chat template: messages as JSON in, the prompt with its open assistant turn out."""

# Private-use characters that stand nowhere else in the mark, so it can't overlap itself.
_OPEN, _CLOSE = "\ue000", "\ue001"
_ANCHORS = ("", "\n", "\n\n")
_PROBES = ("|end|>", "a", "The end", "3 + 4", " x", "\u00e9", "/s>\n")


class PromptWriter:
    """Kept for the life of a model.

    Args:
        encode: Text to ids, special strings parsed.
        decode: Ids to text, as exactly as the tokenizer can.
        special: Strings that `encode` takes for control tokens.
    """

    def __init__(
        self,
        render: Render,
        encode: Encode,
        decode: Callable[[Sequence[int]], str],
        special: Sequence[str],
    ) -> None:
        self._render = render
        self._encode = encode
        self._start = _start_of_any(special)
        self._anchor = _find_anchor(encode, decode)

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt these messages make, ready for the answer's first token.

        Raises:
            Refused: The template doesn't take such a conversation, or the text holds control
                strings and this tokenizer can't take them as plain text.
        """
        mark = _unused_mark(messages)
        turns = [{"role": m.role, "content": self._cut(m.content, mark)} for m in messages]
        try:
            prompt = self._render(json.dumps(turns))
        except RuntimeError as exc:
            raise Refused(f"the model's chat template refused the conversation: {exc}") from exc
        head, *rest = prompt.split(mark)
        ids = self._encode(head)
        for piece in rest:
            ids += self._encode_after(piece)
        return ids

    def plain(self, text: str) -> list[int]:
        """Ids of `text` as in the middle of an answer. Raises Refused: it can't be said so."""
        return self._encode_after(text)

    def _cut(self, text: str, mark: str) -> str:
        # The runtime takes text as C strings: a NUL would silently end the prompt there.
        text = text.replace("\0", "\ufffd")
        return self._start.sub(lambda found: found[0] + mark, text) if self._start else text

    def _encode_after(self, text: str) -> list[int]:
        """Ids of `text` where other text stands before it: no space is put in front."""
        if self._anchor is None:
            raise Refused(
                "the text holds control strings of this model, "
                "and its tokenizer can't take them as plain text; remove them"
            )
        anchor, length = self._anchor
        return self._encode(anchor + text)[length:] if text else []


def _start_of_any(special: Sequence[str]) -> re.Pattern[str] | None:
    """Matches the first character of each special string, also where two overlap.

    One of a single character can't be cut; none is known that a user could abuse.
    """
    strings = sorted({s for s in special if len(s) > 1})
    if not strings:
        return None
    return re.compile("|".join(f"{re.escape(s[0])}(?={re.escape(s[1:])})" for s in strings))


def _unused_mark(messages: Sequence[Message]) -> str:
    """A mark that no message holds."""
    number = 0
    while any(f"{_OPEN}{number}{_CLOSE}" in m.content for m in messages):
        number += 1
    return f"{_OPEN}{number}{_CLOSE}"


def _find_anchor(encode: Encode, decode: Callable[[Sequence[int]], str]) -> tuple[str, int] | None:
    """Text to put before a piece, and how many ids of it to drop again, so that the piece is
    encoded as in the middle of a text. Some tokenizers put a space before whatever they are given.

    None: nothing tried here works for this tokenizer.
    """
    for anchor in _ANCHORS:
        dropped = encode(anchor)
        if all(_stands_apart(encode, decode, dropped, anchor, probe) for probe in _PROBES):
            return anchor, len(dropped)
    return None


def _stands_apart(
    encode: Encode,
    decode: Callable[[Sequence[int]], str],
    dropped: list[int],
    anchor: str,
    probe: str,
) -> bool:
    ids = encode(anchor + probe)
    before = encode("b<")
    rest = ids[len(dropped) :]
    joined = decode([*before, *rest])
    return ids[: len(dropped)] == dropped and joined == decode(before) + probe
