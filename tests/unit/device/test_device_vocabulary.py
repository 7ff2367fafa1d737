from __future__ import annotations

import json

import msgspec
import pytest

from router.device.detokenize import FromPieces, pieces_tell_the_text
from router.device.vocabulary import Vocabulary, read_vocabulary

SENTENCE_PIECE = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


def write(folder, vocab, decoder, added=(), config=None):
    document = {
        "added_tokens": [{"id": i, "content": c, "special": s} for i, c, s in added],
        "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    }
    (folder / "tokenizer.json").write_text(json.dumps(document))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return read_vocabulary(folder)


def test_byte_level_pieces_are_the_bytes_their_characters_stand_for(tmp_path):
    vocab = {"\u0120the": 0, "\u010a": 1, "\u00f0\u0141\u013a": 2, "\u0100": 3}
    found = write(tmp_path, vocab, {"type": "ByteLevel"})

    assert found.pieces == (b" the", b"\n", b"\xf0\x9f\x98", b"\x00")
    assert not found.leading_space


def test_every_byte_has_its_character(tmp_path):
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(moved)}
    found = write(tmp_path, {c: b for b, c in alphabet.items()}, {"type": "ByteLevel"})

    assert found.pieces == tuple(bytes([b]) for b in range(256))


def test_sentence_pieces_have_spaces_and_bytes(tmp_path):
    found = write(tmp_path, {"\u2581the": 0, "<0xE2>": 1, "a\u2581b": 2}, SENTENCE_PIECE)

    assert found.pieces == (b" the", b"\xe2", b"a b")
    assert found.leading_space


def test_special_tokens_add_no_text_and_other_added_ones_do(tmp_path):
    added = [(1, "<|end|>", True), (3, "<tool>", False)]
    found = write(tmp_path, {"a": 0}, {"type": "ByteLevel"}, added)

    assert found.pieces == (b"a", b"", b"", b"<tool>")


def test_special_strings_come_from_both_files(tmp_path):
    config = {
        "bos_token": "<s>",
        "eos_token": {"content": "</s>"},
        "pad_token": None,
        "additional_special_tokens": ["<x>"],
        "added_tokens_decoder": {"5": {"content": "<y>"}},
    }
    added = [(1, "<|end|>", True), (2, "<tool>", False), (3, "   ", False)]
    found = write(tmp_path, {"a": 0}, {"type": "ByteLevel"}, added, config)

    assert set(found.special) == {"<|end|>", "<tool>", "<s>", "</s>", "<x>", "<y>"}


def test_a_tokenizer_of_another_kind_has_no_pieces(tmp_path):
    assert write(tmp_path, {"a": 0}, {"type": "WordPiece"}).pieces is None
    assert write(tmp_path, {"a": 0}, None).pieces is None


def test_a_broken_file_is_an_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")

    with pytest.raises(msgspec.DecodeError):
        read_vocabulary(tmp_path)


def feed(pieces, tokens, *, leading_space=False):
    detokenizer = FromPieces(pieces, leading_space=leading_space)
    return [detokenizer.feed(token) for token in tokens]


def test_a_character_in_four_tokens_comes_when_it_is_whole():
    assert feed((b"\xf0", b"\x9f", b"\x98", b"\x80"), [0, 1, 2, 3]) == ["", "", "", "\U0001f600"]


def test_what_follows_a_broken_character_is_not_lost():
    assert "".join(feed((b"\xe2\x82", b"A", b"B"), [0, 1, 2])) == "\ufffdAB"


def test_only_the_first_space_of_an_answer_is_no_text():
    assert feed((b" the", b""), [1, 0, 0], leading_space=True) == ["", "the", " the"]
    assert feed((b" the",), [0], leading_space=False) == [" the"]


def test_an_id_past_the_vocabulary_adds_nothing():
    assert feed((b"a",), [0, 7]) == ["a", ""]


def test_pieces_that_give_another_text_are_not_trusted():
    def vocabulary(pieces):
        return Vocabulary(special=(), pieces=pieces, leading_space=False)

    right = tuple(bytes([b]) for b in range(256))
    wrong = right[::-1]

    def encode(text):
        return list(text.encode())

    assert pieces_tell_the_text(vocabulary(right), encode)
    assert not pieces_tell_the_text(vocabulary(wrong), encode)
    assert not pieces_tell_the_text(vocabulary(right[:50]), encode)
    assert not pieces_tell_the_text(vocabulary(None), encode)
