"""A tiny model whose tokenizer is of the other kind: byte-level pieces and the ChatML template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MERGES = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("<", "|"), ("|", ">"), ("i", "m")]


def build_byte_level(tiny_phi3: Path, out: Path) -> Path:
    """Copy the tiny Phi-3 and give it this tokenizer; the weights stay, they mean nothing."""
    shutil.copytree(tiny_phi3, out)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in printable]
    pieces = [chr(byte) for byte in printable] + [chr(256 + n) for n, _ in enumerate(moved)]
    pieces += [left + right for left, right in MERGES]
    first = len(pieces)
    added = [
        {
            "id": first + n,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for n, text in enumerate(SPECIAL)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "vocab": {piece: n for n, piece in enumerate(pieces)},
            "merges": [list(pair) for pair in MERGES],
        },
    }
    _write(out / "tokenizer.json", document)
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
    config = {"tokenizer_class": "GPT2Tokenizer", "chat_template": CHAT_TEMPLATE, **names}
    _write(out / "tokenizer_config.json", config)
    genai = json.loads((out / "genai_config.json").read_text(encoding="utf-8"))
    genai["model"]["eos_token_id"] = [first, first + 2]
    genai["model"]["pad_token_id"] = first
    _write(out / "genai_config.json", genai)
    return out


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")
