"""The decoder of a Llama-type model as an ONNX graph for ONNX Runtime GenAI.

In: the model's shape and a way to ask for its weights by their GGUF names (`blk.0.attn_q.weight`
and so on). Out: nodes and weights in an `OnnxFile`.

The graph's inputs are `input_ids`, `attention_mask` and a key and a value cache for each layer;
its outputs are `logits` for every position given, the caches, and on request the residual stream
that enters one layer. Attention, rotary embedding included, is ONNX Runtime's
`GroupQueryAttention`, whose description gives the layout of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .linear import Bits, add_linear
from .onnxfile import OnnxFile

FloatArray = npt.NDArray[np.float32]
WeightSource = Callable[[str], FloatArray]
BitPlan = Callable[[str], Bits]

HIDDEN_OUTPUT = "hidden_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers that fix a Llama-type model's graph.

    Attributes:
        head_size: Numbers per attention head; all of them rotate.
        context_length: Tokens the model was trained for; rows of the rotary tables.
        rope_base: Base of the rotary frequencies.
        rope_factors: Divide the rotary frequencies; shape (head_size / 2,). None: all 1.
        tied: The output matrix is the embedding.
    """

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    context_length: int
    norm_epsilon: float
    rope_base: float
    rope_factors: FloatArray | None = None
    tied: bool = False


def add_decoder(
    file: OnnxFile,
    shape: Shape,
    weights: WeightSource,
    bits: BitPlan,
    *,
    hidden_layer: int | None = None,
    on_layer: Callable[[int], None] = lambda _: None,
) -> None:
    """Add the whole decoder to `file`.

    Args:
        weights: Gives a tensor by its GGUF name: a matrix as (n_out, n_in), a norm as (n,). Query
            and key rows are in the half-split rotary order, not GGUF's interleaved one.
        bits: Gives the precision of a matrix by its GGUF name.
        hidden_layer: Show the residual stream that enters this layer, 0 for the first, as the
            output `hidden_state` of shape (batch, tokens, hidden).
        on_layer: Called with the number of layers finished.
    """
    _Decoder(file, shape, weights, bits, hidden_layer).add(on_layer)


class _Decoder:
    def __init__(
        self,
        file: OnnxFile,
        shape: Shape,
        weights: WeightSource,
        bits: BitPlan,
        hidden_layer: int | None,
    ) -> None:
        self._file = file
        self._shape = shape
        self._weights = weights
        self._bits = bits
        self._hidden_layer = hidden_layer

    def add(self, on_layer: Callable[[int], None]) -> None:
        file, shape = self._file, self._shape
        ids = file.input("input_ids", np.int64, ("batch", "tokens"))
        self._add_lengths(file.input("attention_mask", np.int64, ("batch", "total")))
        self._add_rotary_tables()
        residual = file.node("Gather", [self._weight("token_embd.weight"), ids], ["embedding"])
        delta: str | None = None
        for layer in range(shape.layers):
            prefix = f"blk.{layer}"
            normed, residual = self._norm(f"{prefix}.attn_norm", residual, delta)
            if layer == self._hidden_layer:
                residual = file.node("Identity", [residual], [HIDDEN_OUTPUT])
                file.output(HIDDEN_OUTPUT, np.float32, ("batch", "tokens", shape.hidden))
            delta = self._attention(layer, normed)
            normed, residual = self._norm(f"{prefix}.ffn_norm", residual, delta)
            delta = self._feed_forward(prefix, normed)
            on_layer(layer + 1)
        normed, _ = self._norm("output_norm", residual, delta)
        logits = self._linear("output", normed)
        file.node("Identity", [logits], ["logits"])
        file.output("logits", np.float32, ("batch", "tokens", shape.vocab))

    def _weight(self, name: str) -> str:
        return self._file.weight(name, self._weights(name))

    def _linear(self, name: str, x: str) -> str:
        tensor = f"{name}.weight"
        return add_linear(self._file, name, x, self._weights(tensor), self._bits(tensor))

    def _add_lengths(self, mask: str) -> None:
        """What `GroupQueryAttention` wants instead of a mask: the last index, and the length."""
        file = self._file
        one = file.constant("one", np.array([1], np.int64))
        kept = file.node("ReduceSum", [mask, one], ["mask.sum"], keepdims=0)
        last = file.node("Sub", [kept, one], ["mask.last"])
        file.node("Cast", [last], ["seqlens_k"], to=6)
        size = file.node("Shape", [mask], ["mask.shape"])
        axis = file.constant("second", np.array(1, np.int64))
        total = file.node("Gather", [size, axis], ["mask.total"])
        file.node("Cast", [total], ["total_length"], to=6)

    def _add_rotary_tables(self) -> None:
        shape = self._shape
        steps = np.arange(0, shape.head_size, 2, dtype=np.float64) / shape.head_size
        frequencies = shape.rope_base**-steps
        if shape.rope_factors is not None:
            frequencies = frequencies / shape.rope_factors
        angles = np.outer(np.arange(shape.context_length), frequencies)
        self._file.weight("rope.cos", np.cos(angles).astype(np.float32))
        self._file.weight("rope.sin", np.sin(angles).astype(np.float32))

    def _norm(self, name: str, residual: str, delta: str | None) -> tuple[str, str]:
        """Add `delta` to the residual and normalise the sum; gives both."""
        gamma = self._weight(f"{name}.weight")
        epsilon = self._shape.norm_epsilon
        if delta is None:
            normed = self._file.node(
                "SimplifiedLayerNormalization", [residual, gamma], [f"{name}.out"], epsilon=epsilon
            )
            return normed, residual
        normed = self._file.node(
            "SkipSimplifiedLayerNormalization",
            [residual, delta, gamma],
            [f"{name}.out", "", "", f"{name}.residual"],
            microsoft=True,
            epsilon=epsilon,
        )
        return normed, f"{name}.residual"

    def _attention(self, layer: int, x: str) -> str:
        file, shape, prefix = self._file, self._shape, f"blk.{layer}"
        qkv = [self._linear(f"{prefix}.attn_{part}", x) for part in ("q", "k", "v")]
        past, present = [], []
        for part in ("key", "value"):
            cache = ("batch", shape.kv_heads, "past", shape.head_size)
            past.append(file.input(f"past_key_values.{layer}.{part}", np.float32, cache))
            present.append(f"present.{layer}.{part}")
        attended = file.node(
            "GroupQueryAttention",
            [*qkv, *past, "seqlens_k", "total_length", "rope.cos", "rope.sin"],
            [f"{prefix}.attn", *present],
            microsoft=True,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=1,
        )
        for name in present:
            cache = ("batch", shape.kv_heads, "total", shape.head_size)
            file.output(name, np.float32, cache)
        return self._linear(f"{prefix}.attn_output", attended)

    def _feed_forward(self, prefix: str, x: str) -> str:
        file = self._file
        gate = self._linear(f"{prefix}.ffn_gate", x)
        up = self._linear(f"{prefix}.ffn_up", x)
        sigmoid = file.node("Sigmoid", [gate], [f"{prefix}.sigmoid"])
        silu = file.node("Mul", [gate, sigmoid], [f"{prefix}.silu"])
        both = file.node("Mul", [silu, up], [f"{prefix}.gated"])
        return self._linear(f"{prefix}.ffn_down", both)
