"""A model's tokenizer, and all that its files say of text: the part every engine shares.

In goes a folder and the runtime's tokenizer, out come prompts as ids and ids as text. No model is
run here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..types import Message
from .detokenize import Detokenizer, FromPieces, FromRuntime, pieces_tell_the_text
from .guard import Shortest
from .logits import RowReader
from .prompt import PromptWriter
from .vocabulary import read_vocabulary
from .writing import Tongue


class Voice:
    """Lives as long as the model.

    Attributes:
        prompt: Writes prompts.
        tongue: Reads answers.
        pieces: By id, the bytes a token adds. None: not known.
        shortest: Spells text in tokens. None: the pieces aren't known.
        leading_space: Whether an answer begins with a space that isn't text.

    Raises, when it is made:
        OSError, msgspec.DecodeError, RuntimeError: The tokenizer's files can't be read.
    """

    def __init__(self, path: Path, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        vocabulary = read_vocabulary(path)
        self.pieces = vocabulary.pieces if pieces_tell_the_text(vocabulary, self._encode) else None
        self.leading_space = vocabulary.leading_space
        self.prompt = PromptWriter(self._render, self._encode, self._decode, vocabulary.special)
        self.tongue = Tongue(
            ends=frozenset(map(int, tokenizer.eos_token_ids)),
            pieces=self.pieces,
            decode=self._decode,
            detokenizer=self._detokenizer,
            read_row=RowReader(),
        )
        self.shortest = Shortest(self.prompt.plain, self.pieces) if self.pieces else None

    def count(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the prompt these messages make, template included."""
        return len(self.prompt.ids(messages))

    def _render(self, messages: str) -> str:
        return str(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).tolist()
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        if self.pieces is not None:
            return b"".join(self.pieces[i] for i in ids).decode(errors="replace")
        return str(self._tokenizer.decode(np.array(ids, np.int32)))

    def _detokenizer(self) -> Detokenizer:
        if self.pieces is not None:
            return FromPieces(self.pieces, leading_space=self.leading_space)
        return FromRuntime(self._tokenizer.create_stream().decode)
