"""A byte-level BPE vocabulary (GGUF's tokenizer kind ``gpt2``) as a `tokenizer.json`.

In: pieces, merges and the name of the way the text is cut before any merge. Out: the document, as
a dict. The cut is one regular expression or two; each is a sequence of the phrases that ONNX
Runtime GenAI's own matcher knows, for with other phrases it falls back on a matcher that is not
aware of Unicode. One deviation is left, in ``llama-bpe`` and ``qwen2``: where a line holds nothing
but spaces, GenAI cuts at each line's end, others only at the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_DIGIT = r"\p{N}"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

CUTS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (_DIGIT, _GPT2),
    "llama-bpe": (_LLAMA3,),
    "qwen2": (_QWEN2,),
}
"""GGUF's name for a way to cut (`tokenizer.ggml.pre`), and its regular expressions."""

# Their merges are skipped for a piece that is a word of the vocabulary as a whole.
_WHOLE_WORDS_FIRST = {"llama-bpe"}


def bpe_document(
    pieces: Sequence[str],
    merges: Sequence[str],
    added: list[dict[str, Any]],
    *,
    cut: str,
) -> dict[str, Any]:
    """Describe a byte-level BPE.

    Args:
        pieces: The vocabulary; the index is the id.
        merges: Two pieces with a space between, best first.
        added: Entries of `added_tokens`, for pieces that are matched before any merge.
        cut: A key of `CUTS`.
    """
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    splits = [
        {
            "type": "Split",
            "pattern": {"Regex": pattern},
            "behavior": "Isolated",
            "invert": False,
        }
        for pattern in CUTS[cut]
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splits, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": cut in _WHOLE_WORDS_FIRST,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": list(merges),
        },
    }
