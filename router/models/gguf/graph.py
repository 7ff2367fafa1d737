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
import onnx

from . import HIDDEN_OUTPUT
from .linear import Bits, Linears
from .onnxfile import OnnxFile
from .quantize import BLOCK

FloatArray = npt.NDArray[np.float32]
WeightSource = Callable[[str], FloatArray]
BitPlan = Callable[[str], Bits]


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
        bits: Gives the precision of a matrix by its GGUF name without `.weight`; query, key and
            value are one matrix, `blk.N.attn_qkv`. The embedding has 8 or 32; an output matrix
            that is tied to it has the same.
        hidden_layer: Show the residual stream that enters this layer, 0 for the first, as the
            output `hidden_state` of shape (batch, tokens, hidden).
        on_layer: Called with the number of layers finished.
    """
    _Decoder(file, shape, weights, bits, hidden_layer).add(on_layer)


class _Decoder:
    """The graph's parts, in the order in which a token walks through them."""

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
        self._linears = Linears(file)
        self._embedding: list[str] = []

    def add(self, on_layer: Callable[[int], None]) -> None:
        file, shape = self._file, self._shape
        ids = file.input("input_ids", np.int64, ("batch", "tokens"))
        self._add_lengths(file.input("attention_mask", np.int64, ("batch", "total")))
        self._add_rotary_tables()
        residual = self._embed(ids)
        delta = ""
        for layer in range(shape.layers):
            prefix = f"blk.{layer}"
            into = self._residual_name(layer)
            normed, residual = self._norm(f"{prefix}.attn_norm", residual, delta, into)
            delta = self._attention(layer, normed)
            into = f"{prefix}.ffn_residual"
            normed, residual = self._norm(f"{prefix}.ffn_norm", residual, delta, into)
            delta = self._feed_forward(prefix, normed)
            on_layer(layer + 1)
        normed, _ = self._norm("output_norm", residual, delta, "")
        self._project(normed)
        file.output("logits", np.float32, ("batch", "tokens", shape.vocab))
        if self._hidden_layer is not None:
            file.output(HIDDEN_OUTPUT, np.float32, ("batch", "tokens", shape.hidden))

    def _residual_name(self, layer: int) -> str:
        return HIDDEN_OUTPUT if layer == self._hidden_layer else f"blk.{layer}.residual"

    def _embed(self, ids: str) -> str:
        name, out = "token_embd.weight", self._residual_name(0)
        matrix = self._weights(name)
        if self._bits("token_embd") == 32:
            self._embedding = [self._file.weight(name, matrix)]
            return self._file.node("Gather", [*self._embedding, ids], [out])
        self._embedding = self._linears.weights_8(name, matrix)
        codes, scales = self._embedding
        # The same bytes that `MatMulNBits` sees as blocks.
        rows = self._file.view(f"{name}.rows", codes, matrix.shape)
        return self._file.node(
            "GatherBlockQuantized",
            [rows, ids, scales],
            [out],
            microsoft=True,
            bits=8,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )

    def _project(self, x: str) -> None:
        shape = self._shape
        if not shape.tied:
            self._linear("output", x, out="logits")
        elif self._bits("token_embd") == 32:
            turned = self._file.node("Transpose", self._embedding, ["output.weight"], perm=[1, 0])
            self._file.node("MatMul", [x, turned], ["logits"])
        else:
            size = (shape.vocab, shape.hidden)
            self._linears.product_8(x, self._embedding, size, out="logits")

    def _linear(self, name: str, x: str, *, parts: tuple[str, ...] = (), out: str = "") -> str:
        """A product by the matrix `name`, or by several that lie upon each other in `parts`."""
        matrices = [self._weights(f"{part}.weight") for part in parts or (name,)]
        matrix = np.concatenate(matrices) if parts else matrices[0]
        return self._linears.add(name, x, matrix, self._bits(name), out=out or f"{name}.out")

    def _add_lengths(self, mask: str) -> None:
        """What `GroupQueryAttention` wants instead of a mask: the last index, and the length."""
        file = self._file
        one = file.constant("one", np.array([1], np.int64))
        count = file.node("ReduceSum", [mask, one], ["mask.count"], keepdims=0)
        last = file.node("Sub", [count, one], ["mask.last"])
        file.node("Cast", [last], ["seqlens_k"], to=onnx.TensorProto.INT32)
        size = file.node("Shape", [mask], ["mask.size"])
        second = file.constant("second", np.array(1, np.int64))
        total = file.node("Gather", [size, second], ["mask.total"])
        file.node("Cast", [total], ["total_length"], to=onnx.TensorProto.INT32)

    def _add_rotary_tables(self) -> None:
        shape = self._shape
        # In float32 from the first step on, as models are trained: far into a long text its
        # rounding turns angles by some 1e-4, and the exact ones are not what the model knows.
        exponents = np.arange(0, shape.head_size, 2, dtype=np.float32) / shape.head_size
        frequencies = 1 / np.float32(shape.rope_base) ** exponents
        if shape.rope_factors is not None:
            frequencies = frequencies / shape.rope_factors
        positions = np.arange(shape.context_length, dtype=np.float32)
        angles = np.outer(positions, frequencies).astype(np.float32)
        self._file.weight("rope.cos", np.cos(angles))
        self._file.weight("rope.sin", np.sin(angles))

    def _norm(self, name: str, residual: str, delta: str, into: str) -> tuple[str, str]:
        """Add `delta`, if there is one, to the residual, as `into`, and norm it; gives both."""
        gamma = self._file.weight(f"{name}.weight", self._weights(f"{name}.weight"))
        out, epsilon = f"{name}.out", self._shape.norm_epsilon
        if not delta:
            op = "SimplifiedLayerNormalization"
            return self._file.node(op, [residual, gamma], [out], epsilon=epsilon), residual
        normed = self._file.node(
            "SkipSimplifiedLayerNormalization",
            [residual, delta, gamma],
            [out, "", "", into] if into else [out],
            microsoft=True,
            epsilon=epsilon,
        )
        return normed, into

    def _attention(self, layer: int, x: str) -> str:
        file, shape, prefix = self._file, self._shape, f"blk.{layer}"
        parts = tuple(f"{prefix}.attn_{part}" for part in "qkv")
        qkv = self._linear(f"{prefix}.attn_qkv", x, parts=parts)
        past, present = [], []
        for part in ("key", "value"):
            sizes = (shape.kv_heads, shape.head_size)
            old = ("batch", sizes[0], "past", sizes[1])
            past.append(file.input(f"past_key_values.{layer}.{part}", np.float32, old))
            present.append(f"present.{layer}.{part}")
            file.output(present[-1], np.float32, ("batch", sizes[0], "total", sizes[1]))
        attended = file.node(
            "GroupQueryAttention",
            [qkv, "", "", *past, "seqlens_k", "total_length", "rope.cos", "rope.sin"],
            [f"{prefix}.attn", *present],
            microsoft=True,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=1,
        )
        return self._linear(f"{prefix}.attn_output", attended)

    def _feed_forward(self, prefix: str, x: str) -> str:
        file = self._file
        gate = self._linear(f"{prefix}.ffn_gate", x)
        up = self._linear(f"{prefix}.ffn_up", x)
        sigmoid = file.node("Sigmoid", [gate], [f"{prefix}.sigmoid"])
        silu = file.node("Mul", [gate, sigmoid], [f"{prefix}.silu"])
        gated = file.node("Mul", [silu, up], [f"{prefix}.gated"])
        return self._linear(f"{prefix}.ffn_down", gated)
