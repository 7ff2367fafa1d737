"""A tiny Llama-architecture GGUF with random weights, and what a forward pass over it gives.

`write_tiny_gguf` makes the file; `TinyLlama.forward` is an independent reference in plain numpy,
written after llama.cpp's graph: it rotates neighbouring numbers, as the weights in a GGUF lie,
where the converter's graph rotates halves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from tests.support.tiny_phi3 import TEXT, learn_merges

Array = npt.NDArray[Any]

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Merges that show where a text is cut: runs of spaces, of lines and of digits, a two-byte letter.
_HANDMADE = (
    ("Ġ", "Ġ"),
    ("ĠĠ", "Ġ"),
    ("Ċ", "Ċ"),
    ("ĊĊ", "Ċ"),
    ("Ċ", "Ġ"),
    ("1", "2"),
    ("12", "3"),
    ("123", "4"),
    ("Ġ", "12"),
    ("Ã", "¼"),
    (".", "Ċ"),
    ("'", "s"),
    ("S", "'"),
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True, kw_only=True)
class TinyLlama:
    """Sizes, and after writing the weights as a reader of the file sees them."""

    layers: int = 2
    hidden: int = 64
    feed_forward: int = 96
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 16
    vocab: int = 520
    context_length: int = 128
    epsilon: float = 1e-5
    rope_base: float = 5000.0
    weights: dict[str, Array] = field(default_factory=dict)

    def forward(self, ids: Sequence[int]) -> tuple[Array, list[Array]]:
        """Logits of shape (n, vocab), and the residual stream that enters each layer."""
        w = self.weights
        x = w["token_embd.weight"][list(ids)]
        entering = []
        for layer in range(self.layers):
            entering.append(x)
            p = f"blk.{layer}."
            h = self._norm(x, w[p + "attn_norm.weight"])
            x = x + self._attend(h, p) @ w[p + "attn_output.weight"].T
            h = self._norm(x, w[p + "ffn_norm.weight"])
            gate, up = h @ w[p + "ffn_gate.weight"].T, h @ w[p + "ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "ffn_down.weight"].T
        x = self._norm(x, w["output_norm.weight"])
        return x @ w.get("output.weight", w["token_embd.weight"]).T, entering

    def _norm(self, x: Array, gamma: Array) -> Array:
        return np.asarray(x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * gamma)

    def _attend(self, h: Array, prefix: str) -> Array:
        def heads(part: str, count: int) -> Array:
            y = h @ self.weights[f"{prefix}attn_{part}.weight"].T
            return y.reshape(len(h), count, self.head_size).swapaxes(0, 1)

        q = self._rotate(heads("q", self.heads))
        k, v = self._rotate(heads("k", self.kv_heads)), heads("v", self.kv_heads)
        k, v = (np.repeat(each, self.heads // self.kv_heads, axis=0) for each in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(self.head_size)
        scores = np.where(np.tri(len(h), dtype=bool), scores, -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = share / share.sum(-1, keepdims=True) @ v
        return np.asarray(mixed.swapaxes(0, 1).reshape(len(h), -1))

    def _rotate(self, x: Array) -> Array:
        """Turn each two neighbours by position times frequency."""
        pairs = np.arange(self.head_size // 2)
        frequency = self.rope_base ** (-2.0 * pairs / self.head_size)
        frequency = frequency / self.weights.get("rope_freqs.weight", np.ones(len(pairs)))
        turn = np.exp(1j * np.outer(np.arange(x.shape[1]), frequency))
        turned = (x[..., 0::2] + 1j * x[..., 1::2]) * turn
        return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def write_tiny_gguf(
    path: Path,
    model: TinyLlama | None = None,
    *,
    tied: bool = False,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    rope_factors: Array | None = None,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Array | None] | None = None,
    spm: bool = False,
) -> TinyLlama:
    """Write a GGUF; gives a copy of the model that has its weights, dequantised.

    Args:
        kind: How matrices are kept.
        metadata: Set in place of what would be written, or, with None, left out.
        tensors: The same for tensors.
        spm: A SentencePiece vocabulary instead of a byte-level one.
    """
    model = replace(model or TinyLlama(), weights={})
    drawn: dict[str, Array | None] = dict(_draw(model, tied))
    if rope_factors is not None:
        drawn["rope_freqs.weight"] = rope_factors.astype(np.float32)
    drawn.update(tensors or {})
    writer = gguf.GGUFWriter(path, "llama")
    fields = {**_metadata(model), **(_spm_fields() if spm else _bpe_fields()), **(metadata or {})}
    for key, value in fields.items():
        _add(writer, key, value)
    for name, array in drawn.items():
        if array is None:
            continue
        kept = kind if array.ndim == 2 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(array, kept)
        writer.add_tensor(name, data, raw_dtype=kept)
        model.weights[name] = gguf.quants.dequantize(data, kept).astype(np.float64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def byte_pieces() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in its order of ids."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def _draw(model: TinyLlama, tied: bool) -> dict[str, Array]:
    rng = np.random.default_rng(7)

    def matrix(rows: int, columns: int, size: float = 1.5) -> Array:
        drawn = rng.normal(0.02, size, (rows, columns)) / np.sqrt(columns)
        return np.asarray(drawn, np.float32)

    hidden, wide = model.hidden, model.feed_forward
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    drawn = {"token_embd.weight": matrix(model.vocab, hidden)}
    for layer in range(model.layers):
        p = f"blk.{layer}."
        drawn[p + "attn_norm.weight"] = rng.uniform(0.5, 1.5, hidden).astype(np.float32)
        drawn[p + "attn_q.weight"] = matrix(queries, hidden)
        drawn[p + "attn_k.weight"] = matrix(keys, hidden)
        drawn[p + "attn_v.weight"] = matrix(keys, hidden)
        drawn[p + "attn_output.weight"] = matrix(hidden, queries)
        drawn[p + "ffn_norm.weight"] = rng.uniform(0.5, 1.5, hidden).astype(np.float32)
        drawn[p + "ffn_gate.weight"] = matrix(wide, hidden)
        drawn[p + "ffn_up.weight"] = matrix(wide, hidden)
        drawn[p + "ffn_down.weight"] = matrix(hidden, wide)
    drawn["output_norm.weight"] = rng.uniform(0.5, 1.5, hidden).astype(np.float32)
    if not tied:
        drawn["output.weight"] = matrix(model.vocab, hidden)
    return drawn


def _metadata(model: TinyLlama) -> dict[str, Any]:
    return {
        "general.name": "Tiny",
        "general.license": "apache-2.0",
        "llama.block_count": model.layers,
        "llama.embedding_length": model.hidden,
        "llama.feed_forward_length": model.feed_forward,
        "llama.attention.head_count": model.heads,
        "llama.attention.head_count_kv": model.kv_heads,
        "llama.attention.key_length": model.head_size,
        "llama.attention.layer_norm_rms_epsilon": model.epsilon,
        "llama.context_length": model.context_length,
        "llama.rope.freq_base": model.rope_base,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    adders: dict[type, Any] = {
        bool: writer.add_bool,
        int: writer.add_uint64,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    adders[type(value)](key, value)


def _bpe_fields() -> dict[str, Any]:
    """A byte-level vocabulary: special tokens, bytes, and what merges lead to."""
    words = Counter(tuple("Ġ" + word) for word in TEXT.split())
    merges = [*_HANDMADE, *learn_merges(words, 180)]
    pieces = [*SPECIAL, *byte_pieces(), *(left + right for left, right in merges)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(pieces) - len(SPECIAL)),
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in merges],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def _spm_fields() -> dict[str, Any]:
    """A SentencePiece vocabulary: special tokens, bytes, characters, pieces with scores."""
    words = Counter(tuple("▁" + word) for word in TEXT.split())
    merges = learn_merges(words, 150)
    plain = ["▁", *(chr(code) for code in range(33, 127)), "ü"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *plain]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(plain)]
    scores = [0.0] * 259 + [-1000.0 - i for i in range(len(plain))]
    pieces += [left + right for left, right in merges]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": kinds + [1] * len(merges),
        "tokenizer.ggml.scores": scores + [-float(rank) for rank in range(len(merges))],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
