"""A tiny Phi-3-shaped model for tests: random weights, a real tokenizer, every code path real.

`build_tiny_phi3(out)` writes a folder of under 1 MB that ONNX Runtime GenAI loads in a few
milliseconds. Its text means nothing. What holds on purpose: greedy decoding never ends by itself
(the three end tokens have a flat logit of zero, below the best of the others), the distribution
is neither flat nor certain, and the same call always writes the same model.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router.models.gguf.genai import genai_config
from router.models.gguf.graph import Shape, add_decoder
from router.models.gguf.onnxfile import OnnxFile
from router.models.gguf.spm import SPACE, spm_document
from router.models.gguf.tokenizer import added_token

VOCAB_SIZE = 600
CONTEXT_LENGTH = 4096
SPECIAL = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)

_SEED = 35
TEXT = """
The small model answers first, on the machine in front of you. When it is not sure of what it
said, the question goes on to a larger one, and the ledger books what each of them cost: time,
tokens and money. There are things that should stay at home. What is the capital of France? How
many legs has a spider? Write a short story about a lighthouse, an old dog and the sea. Explain
why the sky is blue to a child. Which of these two clauses binds us? Please list three reasons.
Bread is made from flour, water and yeast; bake it until the crust is brown and hollow to a knock.
"""


def build_tiny_phi3(out: Path) -> Path:
    """Write the model's folder and give its path back. `out` is made if it isn't there."""
    out.mkdir(parents=True, exist_ok=True)
    shape = Shape(
        layers=2,
        hidden=64,
        feed_forward=128,
        heads=4,
        kv_heads=4,
        head_size=16,
        vocab=VOCAB_SIZE,
        context_length=CONTEXT_LENGTH,
        norm_epsilon=1e-5,
        rope_base=10000.0,
    )
    pieces, merges = _vocabulary()
    ids = {piece: index for index, piece in enumerate(pieces)}
    ends = tuple(ids[piece] for piece in ("<|end|>", "<|assistant|>", "<|endoftext|>"))
    with OnnxFile(out) as file:
        add_decoder(file, shape, _Weights(shape, ends), lambda _: 32)
        file.save(producer="tiny_phi3", properties={})
    config = genai_config(
        shape, model_type="phi3", bos_id=ids["<s>"], eos_ids=ends, pad_id=ids["<|endoftext|>"]
    )
    _write_json(out / "genai_config.json", config)
    added = [added_token(ids[piece], piece) for piece in ("<unk>", "<s>", "</s>")]
    added += [added_token(ids[text], text, rstrip=text != SPECIAL[0]) for text in SPECIAL]
    document = spm_document(pieces, merges, added, unknown="<unk>", space_prefix=True)
    _write_json(out / "tokenizer.json", document)
    _write_json(out / "tokenizer_config.json", _tokenizer_config())
    return out


class _Weights:
    """Seeded random tensors by GGUF name, each seeded by itself: their order is nothing."""

    def __init__(self, shape: Shape, ends: tuple[int, ...]) -> None:
        s = shape
        self._ends = list(ends)
        self._sizes = {
            "token_embd": (s.vocab, s.hidden),
            "output": (s.vocab, s.hidden),
            "attn_q": (s.hidden, s.hidden),
            "attn_k": (s.hidden, s.hidden),
            "attn_v": (s.hidden, s.hidden),
            "attn_output": (s.hidden, s.hidden),
            "ffn_gate": (s.feed_forward, s.hidden),
            "ffn_up": (s.feed_forward, s.hidden),
            "ffn_down": (s.hidden, s.feed_forward),
        }

    def __call__(self, name: str) -> npt.NDArray[np.float32]:
        part = name.removesuffix(".weight").split(".")[-1]
        if part.endswith("norm"):
            return np.ones(self._sizes["attn_q"][0], np.float32)
        rng = np.random.default_rng([_SEED, *name.encode()])
        rows, columns = self._sizes[part]
        scale = 1.0 if part == "token_embd" else 2.0 / np.sqrt(columns)
        matrix = scale * rng.standard_normal((rows, columns))
        if part == "output":
            matrix[self._ends] = 0.0
        return matrix.astype(np.float32)


def _vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces in the order of their ids, and the merges that lead to the long ones."""
    pieces = ["<unk>", "<s>", "</s>"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += [SPACE, *(chr(code) for code in range(33, 127))]
    room = VOCAB_SIZE - len(pieces) - len(SPECIAL)
    words = Counter(tuple(SPACE + word) for word in TEXT.split())
    merges = learn_merges(words, room)
    pieces += [left + right for left, right in merges]
    return [*pieces, *SPECIAL], merges


def learn_merges(words: Counter[tuple[str, ...]], count: int) -> list[tuple[str, str]]:
    """Plain byte-pair encoding: again and again join the commonest two neighbours."""
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = Counter({_join(word, best): times for word, times in words.items()})
    return merges


def _join(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": False,
        "add_eos_token": False,
        "legacy": False,
        "model_max_length": CONTEXT_LENGTH,
        "bos_token": "<s>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<unk>",
        "chat_template": CHAT_TEMPLATE,
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
