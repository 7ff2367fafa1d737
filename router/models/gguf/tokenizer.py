"""The tokenizer of a GGUF: its two files, and the ids that begin and end a text.

In: a `Source`. Out: a `Tokenizer`. GGUF's kinds ``gpt2`` (byte-level BPE, `bpe.py`) and ``llama``
(SentencePiece BPE, `spm.py`) are known; another kind, or a cut of the text that isn't known, is
refused, because a wrong guess yields a model that only seems to be stupid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .bpe import CUTS, bpe_document
from .source import Source
from .spm import merges_from_scores, spm_document

_KEY = "tokenizer.ggml."
# GGUF's kinds of a token, as `gguf.TokenType` numbers them.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4
# Control tokens that end a turn whatever the metadata say; the names llama.cpp looks for.
_ENDINGS = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "</s>",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """What goes into the folder about text.

    Attributes:
        document: `tokenizer.json`.
        config: `tokenizer_config.json`, the chat template in it.
        bos_id: The token that begins a text. None: there is none.
        eos_ids: Tokens that end an answer; at least one.
        pad_id: For batches; an end token where the GGUF names none.
    """

    document: dict[str, Any]
    config: dict[str, Any]
    bos_id: int | None
    eos_ids: tuple[int, ...]
    pad_id: int


def read_tokenizer(source: Source, *, vocab: int, context_length: int) -> Tokenizer:
    """Read the tokenizer.

    Args:
        vocab: Rows of the embedding; there may be fewer pieces, not more.

    Raises:
        ModelError: A kind, a cut or an id this converter doesn't know; something is missing.
    """
    pieces = [str(piece) for piece in source.array(f"{_KEY}tokens")]
    if not pieces or len(pieces) > vocab:
        raise source.error(f"{len(pieces)} tokens, but an embedding of {vocab} rows")
    if len(set(pieces)) != len(pieces):
        raise source.error("two tokens of the vocabulary have the same text")
    kinds = source.array(f"{_KEY}token_type") or [_NORMAL] * len(pieces)
    if len(kinds) != len(pieces):
        raise source.error(f"{len(pieces)} tokens, but the kinds of {len(kinds)}")
    bos_id = _index(source, "bos_token_id", pieces)
    eos_ids = _eos_ids(source, pieces, kinds)
    pad_id = _index(source, "padding_token_id", pieces)
    names = {
        "bos_token": bos_id,
        "eos_token": eos_ids[0],
        "unk_token": _index(source, "unknown_token_id", pieces),
        "pad_token": eos_ids[0] if pad_id is None else pad_id,
    }
    spm = source.text(f"{_KEY}model") == "llama"
    add_bos = bos_id is not None and source.flag(f"{_KEY}add_bos_token", spm)
    config = {
        "tokenizer_class": "LlamaTokenizer" if spm else "PreTrainedTokenizerFast",
        "add_bos_token": add_bos,
        "add_eos_token": False,
        "legacy": False,
        "model_max_length": context_length,
        **{name: pieces[index] for name, index in names.items() if index is not None},
    }
    template = source.text("tokenizer.chat_template")
    if template is not None:
        config["chat_template"] = _with_bos(template, pieces[bos_id or 0] if add_bos else "")
    return Tokenizer(
        document=_document(source, pieces, kinds),
        config=config,
        bos_id=bos_id,
        eos_ids=eos_ids,
        pad_id=eos_ids[0] if pad_id is None else pad_id,
    )


def added_token(
    index: int, text: str, *, special: bool = True, rstrip: bool = False
) -> dict[str, Any]:
    """An entry of `added_tokens`: `text` is matched as a whole, before anything else.

    Args:
        special: Whether decoding leaves it out.
        rstrip: Whether it swallows the white space after it.
    """
    return {
        "id": index,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": rstrip,
        "normalized": False,
        "special": special,
    }


def _document(source: Source, pieces: list[str], kinds: list[int]) -> dict[str, Any]:
    """`tokenizer.json`, by the kind of the vocabulary."""
    added = [
        added_token(index, pieces[index], special=kind != _USER_DEFINED)
        for index, kind in enumerate(kinds)
        if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED)
    ]
    model = source.text(f"{_KEY}model")
    if model == "llama":
        unknown = _index(source, "unknown_token_id", pieces)
        scores = source.array(f"{_KEY}scores")
        if unknown is None or len(scores) != len(pieces):
            raise source.error("the SentencePiece vocabulary lacks its scores or its <unk>")
        return spm_document(
            pieces,
            merges_from_scores(pieces, scores),
            added,
            unknown=pieces[unknown],
            space_prefix=source.flag(f"{_KEY}add_space_prefix", True),
        )
    if model != "gpt2":
        raise source.error(f"the tokenizer is of the kind {model!r}; known are 'gpt2' and 'llama'")
    cut = source.text(f"{_KEY}pre")
    if cut not in CUTS:
        raise source.error(
            f"the tokenizer cuts text in the way {cut!r}; known are {', '.join(sorted(CUTS))}"
        )
    if source.flag(f"{_KEY}add_space_prefix", False):
        raise source.error("a byte-level tokenizer that puts a space first is not supported")
    return bpe_document(pieces, source.array(f"{_KEY}merges"), added, cut=cut)


def _eos_ids(source: Source, pieces: list[str], kinds: list[int]) -> tuple[int, ...]:
    """The end token the metadata name comes first."""
    named = [_index(source, f"{name}_token_id", pieces) for name in ("eos", "eot", "eom")]
    found = [
        index
        for index, (piece, kind) in enumerate(zip(pieces, kinds, strict=True))
        if kind == _CONTROL and piece in _ENDINGS
    ]
    ids = tuple(dict.fromkeys(index for index in [*named, *found] if index is not None))
    if not ids:
        raise source.error("the metadata name no token that ends an answer")
    return ids


def _index(source: Source, name: str, pieces: list[str]) -> int | None:
    index = source.index(f"{_KEY}{name}")
    if index is not None and not 0 <= index < len(pieces):
        raise source.error(f"{_KEY}{name} is {index}, but there are {len(pieces)} tokens")
    return index


def _with_bos(template: str, bos: str) -> str:
    """The template, and before it the token that begins a text, if it has to and doesn't yet.

    GenAI encodes what a template wrote as it is; llama.cpp, whose habits a GGUF is made for, puts
    the token first where it is missing.
    """
    if not bos or bos in template or "bos_token" in template:
        return template
    return "{{ bos_token }}" + template
