"""A SentencePiece vocabulary (GGUF's tokenizer kind ``llama``) as a `tokenizer.json`.

In: pieces and scores, in the order of their ids. Out: the document, as a dict. GGUF keeps
no merges for this kind; they follow from the scores, since SentencePiece always joins the two
neighbours whose joint piece scores best, which is what a ranked list of merges says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SPACE = "\u2581"


def spm_document(
    pieces: Sequence[str],
    merges: Sequence[tuple[str, str]],
    added: list[dict[str, Any]],
    *,
    unknown: str,
    space_prefix: bool,
) -> dict[str, Any]:
    """Describe a SentencePiece BPE with byte fallback.

    Args:
        pieces: The vocabulary; the index is the id.
        merges: Best first.
        added: Entries of `added_tokens`, for pieces that are matched before any merge.
        space_prefix: Whether a space goes before the text.
    """
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prefix = {"type": "Prepend", "prepend": SPACE}
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if space_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [prefix, spaces] if space_prefix else [spaces],
        },
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unknown,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


def merges_from_scores(pieces: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """The merges that scores stand for, best first.

    A piece that can be split in several ways into two known pieces gets a merge for each. Where
    scores are equal, as those of Llama 2's runs of spaces are, the longer left part goes first:
    SentencePiece then works from the left, and so grows what is already long.
    """
    known = set(pieces)
    ranked: list[tuple[float, int, str, str]] = []
    for piece, score in zip(pieces, scores, strict=True):
        for cut in range(len(piece) - 1, 0, -1):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                ranked.append((-score, -cut, left, right))
    ranked.sort(key=lambda entry: entry[:2])
    return [(left, right) for _, _, left, right in ranked]
