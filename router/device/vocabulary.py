"""What a model folder's tokenizer files say: which strings are special, and each token's bytes.

In goes a folder, out comes a `Vocabulary`. The runtime's tokenizer does the encoding; these two
things it does not tell. Its own stream decoder loses good characters that follow a broken one, so
text is put together from the tokens' bytes wherever the file says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What is known of a tokenizer's tokens.

    Attributes:
        special: Strings the tokenizer takes for one token wherever they stand, and that mean
            something to the model. Longest first. Runs of white space are left out: they say
            nothing a user may not say.
        pieces: By id, the bytes a token adds to the text; empty for special ones.
            None: this kind of tokenizer isn't known here, and the runtime has to decode.
        leading_space: Whether the first piece of an answer begins with a space that isn't text.
    """

    special: tuple[str, ...]
    pieces: tuple[bytes, ...] | None
    leading_space: bool


class _Added(msgspec.Struct):
    id: int
    content: str
    special: bool = False


class _Model(msgspec.Struct):
    vocab: dict[str, int] | list[tuple[str, float]] = {}


class _TokenizerFile(msgspec.Struct):
    model: _Model = msgspec.field(default_factory=_Model)
    added_tokens: list[_Added] = []
    decoder: Any = None


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read `tokenizer.json` and, where there is one, `tokenizer_config.json`.

    Raises:
        OSError: `tokenizer.json` can't be read.
        msgspec.DecodeError: One of them isn't what it should be.
    """
    file = msgspec.json.decode((folder / "tokenizer.json").read_bytes(), type=_TokenizerFile)
    named = _named_tokens(folder / "tokenizer_config.json")
    strings = {added.content for added in file.added_tokens} | named
    special = sorted((s for s in strings if s.strip()), key=lambda s: (-len(s), s))
    kinds = _decoder_kinds(file.decoder)
    return Vocabulary(
        special=tuple(special),
        pieces=_pieces(file, kinds),
        leading_space="Strip" in kinds,
    )


def _named_tokens(path: Path) -> set[str]:
    if not path.exists():
        return set()
    config: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    found = [config.get(name) for name in _NAMED]
    found += config.get("additional_special_tokens") or []
    found += (config.get("added_tokens_decoder") or {}).values()
    texts = (f.get("content") if isinstance(f, dict) else f for f in found)
    return {text for text in texts if isinstance(text, str)}


def _decoder_kinds(decoder: Any) -> frozenset[str]:
    """Names of the steps that `tokenizer.json` says turn pieces into text."""
    if not isinstance(decoder, dict):
        return frozenset()
    steps = decoder.get("decoders") if decoder.get("type") == "Sequence" else [decoder]
    return frozenset(str(s.get("type")) for s in steps or [] if isinstance(s, dict))


def _pieces(file: _TokenizerFile, kinds: frozenset[str]) -> tuple[bytes, ...] | None:
    if kinds == {"ByteLevel"}:
        to_bytes = _byte_level()
    elif kinds - {"Strip"} == {"Replace", "ByteFallback", "Fuse"}:
        to_bytes = _sentence_piece
    else:
        return None
    vocab = file.model.vocab
    ids = vocab if isinstance(vocab, dict) else {piece: i for i, (piece, _) in enumerate(vocab)}
    size = max([*ids.values(), *(added.id for added in file.added_tokens)], default=-1) + 1
    pieces = [b""] * size
    for piece, index in ids.items():
        pieces[index] = to_bytes(piece)
    for added in file.added_tokens:
        pieces[added.id] = b"" if added.special else added.content.encode()
    return tuple(pieces)


def _byte_level() -> Callable[[str], bytes]:
    """GPT-2's way: each byte is a printable character, the unprintable ones moved past 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in set(printable)]
    codes = {chr(byte): byte for byte in printable}
    codes |= {chr(256 + index): byte for index, byte in enumerate(moved)}

    def to_bytes(piece: str) -> bytes:
        try:
            return bytes(map(codes.__getitem__, piece))
        except KeyError:  # not in that alphabet, so it stands for itself
            return piece.encode()

    return to_bytes


def _sentence_piece(piece: str) -> bytes:
    byte = _BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(_SPACE, " ").encode()
