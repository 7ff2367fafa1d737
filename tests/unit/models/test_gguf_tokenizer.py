"""Text goes through the converted tokenizer as it went through the one the GGUF describes.

The expected pieces were written down once from Hugging Face's `tokenizers`, which reads the same
`tokenizer.json` with a matcher of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnxruntime_genai as og
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.models.gguf import convert
from router.models.gguf.bpe import CUTS
from router.models.gguf.spm import merges_from_scores
from tests.support.tiny_gguf import CHAT_TEMPLATE, write_tiny_gguf

# Pieces of a byte-level vocabulary: Ġ is a space, Ċ a new line, ĉ a tab; others are bytes.
EVERYWHERE = {
    "The small model": "T h e Ġsmall Ġmodel",
    "two  spaces   three": "t w o Ġ Ġs p a c e s ĠĠ Ġthree",
    "a \n\n b\nc": "a Ġ ĊĊ Ġb Ċ c",
    "it's IT'S": "i t 's Ġ I T ' S",
    "Zürich": "Z Ã¼ r i ch",
    "日本 🦊": "æ Ĺ ¥ æ ľ ¬ Ġ ð Ł ¦ Ĭ",
    "x=1;y_2": "x = 1 ; y _ 2",
    "   ": "ĠĠĠ",
    "\n\n\n": "ĊĊĊ",
    "½ ² ٣": "Â ½ Ġ Â ² Ġ Ù £",
    "éa\u0301": "Ã © a Ì ģ",
    "<|im_start|>user\nhi<|im_end|>": "<|im_start|> u s er Ċ h i <|im_end|>",
}
DIGITS_AND_LINES = {
    "gpt-2": ("1234 Ġ12 Ġa 12 b", "1234 5 1", "d on ' t ĉ st o p . Ċ N ow"),
    "smollm": ("1 2 3 4 Ġ 1 2 Ġa 1 2 b", "1 2 3 4 5 1", "d on ' t ĉ st o p . Ċ N ow"),
    "llama-bpe": ("123 4 Ġ 12 Ġa 12 b", "123 4 5 1", "d on ' t ĉ st o p .Ċ N ow"),
    "qwen2": ("1 2 3 4 Ġ 1 2 Ġa 1 2 b", "1 2 3 4 5 1", "d on ' t ĉ st o p .Ċ N ow"),
}
SENTENCE_PIECES = {
    "The small model": "▁The ▁small ▁model",
    "two  spaces   three": "▁two ▁ ▁s p a c e s ▁ ▁ ▁three",
    "a \n\n b\nc": "▁a ▁ <0x0A> <0x0A> ▁b <0x0A> c",
    "1234 12 a12b": "▁ 1 2 3 4 ▁ 1 2 ▁a 1 2 b",
    "it's IT'S": "▁it ' s ▁ I T ' S",
    "Zürich": "▁ Z ü r i ch",
    "日本 🦊": "▁ <0xE6> <0x97> <0xA5> <0xE6> <0x9C> <0xAC> ▁ <0xF0> <0x9F> <0xA6> <0x8A>",
    "   ": "▁ ▁ ▁ ▁",
    "éa\u0301": "▁ <0xC3> <0xA9> a <0xCC> <0x81>",
    "</s>": "</s>",
}


def converted(folder: Path, **how: Any) -> Path:
    write_tiny_gguf(folder / "tiny.gguf", **how)
    convert(folder / "tiny.gguf", folder / "out")
    return folder / "out"


def pieces_of(folder: Path, text: str) -> str:
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    names = {index: piece for piece, index in document["model"]["vocab"].items()}
    tokenizer = og.Tokenizer(og.Model(str(folder)))
    return " ".join(names[int(token)] for token in tokenizer.encode(text))


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each way to cut."""
    return {
        cut: converted(tmp_path_factory.mktemp(cut), metadata={"tokenizer.ggml.pre": cut})
        for cut in CUTS
    }


@pytest.fixture(scope="module")
def sentence_piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(tmp_path_factory.mktemp("spm"), spm=True)


@pytest.mark.parametrize("cut", sorted(CUTS))
def test_a_byte_level_tokenizer_cuts_as_its_gguf_says(
    cut: str, byte_level: dict[str, Path]
) -> None:
    digits, long_digits, lines = DIGITS_AND_LINES[cut]
    expected = {
        **EVERYWHERE,
        "1234 12 a12b": digits,
        "123451": long_digits,
        "don't\tstop.\nNow": lines,
    }

    assert {text: pieces_of(byte_level[cut], text) for text in expected} == expected


@pytest.mark.parametrize("cut", sorted(CUTS))
def test_a_byte_level_tokenizer_gives_back_every_character(
    cut: str, byte_level: dict[str, Path]
) -> None:
    tokenizer = og.Tokenizer(og.Model(str(byte_level[cut])))
    texts = [text for text in EVERYWHERE if "<|" not in text]

    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts


def test_a_sentencepiece_tokenizer_joins_what_scores_best_and_falls_back_on_bytes(
    sentence_piece: Path,
) -> None:
    assert {text: pieces_of(sentence_piece, text) for text in SENTENCE_PIECES} == SENTENCE_PIECES


def test_a_sentencepiece_tokenizer_puts_no_space_first_where_the_gguf_says_so(
    tmp_path: Path,
) -> None:
    how = {"tokenizer.ggml.add_space_prefix": False}
    folder = converted(tmp_path, spm=True, metadata=how)

    assert pieces_of(folder, "The small") == "T h e ▁small"
    assert pieces_of(folder, " the small") == "▁the ▁small"


@given(st.text("ab▁", min_size=1, max_size=24), st.lists(st.integers(0, 3), min_size=10))
@settings(max_examples=100, deadline=None)
def test_merges_lead_to_what_sentencepiece_finds_by_its_scores(
    text: str, ranks: Sequence[int]
) -> None:
    long = ["aa", "ab", "ba", "▁a", "a▁", "aab", "▁ab", "abab", "▁aa", "bab"]
    pieces = ["a", "b", "▁", *long]
    # Different scores: where they are equal, a list of merges can't say "the leftmost".
    order = sorted(range(len(long)), key=lambda i: (ranks[i], i))
    scores = [-99.0] * 3 + [-float(order.index(i)) for i in range(len(long))]

    by_score = join(text, {piece: -s for piece, s in zip(pieces, scores, strict=True)})
    merges = merges_from_scores(pieces, scores)
    by_merges = join(text, {pair: rank for rank, pair in enumerate(merges)})

    assert by_merges == by_score


def join(text: str, costs: dict[Any, float]) -> list[str]:
    """Join the cheapest two neighbours, the leftmost of equals, until none can be joined."""
    parts = list(text)
    while True:
        found = [
            (costs[key], at)
            for at, pair in enumerate(pairwise(parts))
            for key in (pair, "".join(pair))
            if key in costs
        ]
        if not found:
            return parts
        at = min(found)[1]
        parts[at : at + 2] = ["".join(parts[at : at + 2])]


def test_the_chat_template_of_the_gguf_is_carried_along(byte_level: dict[str, Path]) -> None:
    tokenizer = og.Tokenizer(og.Model(str(byte_level["smollm"])))
    messages = json.dumps([{"role": "user", "content": "Hi"}])

    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True)

    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("template", "add_bos", "begins"),
    [
        (CHAT_TEMPLATE, True, "<|endoftext|><|im_start|>user"),
        (CHAT_TEMPLATE, False, "<|im_start|>user"),
        ("{{ bos_token }}" + CHAT_TEMPLATE, True, "<|endoftext|><|im_start|>user"),
        ("<|endoftext|>" + CHAT_TEMPLATE, True, "<|endoftext|><|im_start|>user"),
    ],
    ids=["it is missing", "it is not wanted", "the template has it", "the template spells it out"],
)
def test_a_conversation_begins_with_bos_once_if_the_gguf_wants_it(
    template: str, add_bos: bool, begins: str, tmp_path: Path
) -> None:
    fields = {
        "tokenizer.chat_template": template,
        "tokenizer.ggml.add_bos_token": add_bos,
        "tokenizer.ggml.bos_token_id": 0,
    }
    tokenizer = og.Tokenizer(og.Model(str(converted(tmp_path, metadata=fields))))
    messages = json.dumps([{"role": "user", "content": "Hi"}])

    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True)

    assert text.startswith(begins)


@pytest.mark.parametrize(("wanted", "expected"), [(True, 1), (False, 0)])
def test_a_plain_text_begins_with_bos_when_special_tokens_are_asked_for(
    wanted: bool, expected: int, tmp_path: Path
) -> None:
    folder = converted(tmp_path, metadata={"tokenizer.ggml.add_bos_token": wanted})
    tokenizer = og.Tokenizer(og.Model(str(folder)))
    tokenizer.update_options(add_special_tokens="true")

    ids = [int(token) for token in tokenizer.encode("Hi")]

    assert ids.count(1) == expected
