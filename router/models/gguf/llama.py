"""What a Llama-type GGUF holds: its shape, and its tensors under the names `graph.py` asks for.

In: a `Source`. Out: a `Shape`, weights, a plan of bits. What this converter can't do right is
refused here by name, since a graph that lacks a bias or rotates by the wrong angle still talks.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from . import Precision
from .graph import Shape
from .linear import Bits
from .quantize import BLOCK
from .source import Source

FloatArray = npt.NDArray[np.float32]

_ROPE_FACTORS = "rope_freqs.weight"
_HEAD_STEP = 16
_GLOBAL = {"token_embd.weight", "output_norm.weight", "output.weight", _ROPE_FACTORS}
_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_IN_LAYER = re.compile(rf"blk\.\d+\.(attn_norm|ffn_norm|{'|'.join(_MATRICES)})\.weight")
# Even steps of 4 bits over blocks of 32: what `quantize_4_with_offset` keeps exact.
_FOUR_BIT_GRIDS = {"Q4_0", "Q4_1", "Q4_K"}


def read_shape(source: Source) -> Shape:
    """The model's shape, from the metadata and the tensors.

    Raises:
        ModelError: Another architecture; something is missing; something we can't do.
    """
    architecture = source.text("general.architecture")
    if architecture != "llama":
        raise source.error(
            f"the architecture is {architecture or 'not named'}; only llama can be converted"
        )
    hidden = source.size("llama.embedding_length")
    heads = source.size("llama.attention.head_count")
    head_size = source.size("llama.attention.key_length", hidden // heads)
    shape = Shape(
        layers=source.size("llama.block_count"),
        hidden=hidden,
        feed_forward=source.size("llama.feed_forward_length"),
        heads=heads,
        kv_heads=source.size("llama.attention.head_count_kv", heads),
        head_size=head_size,
        vocab=source.tensor_shape("token_embd.weight")[0],
        context_length=source.size("llama.context_length"),
        norm_epsilon=source.number("llama.attention.layer_norm_rms_epsilon"),
        rope_base=source.number("llama.rope.freq_base", 10000.0),
        rope_factors=_rope_factors(source, head_size),
        tied="output.weight" not in source.tensor_names(),
    )
    _refuse_strangers(source, shape)
    _check_tensors(source, shape)
    return shape


def read_weight(source: Source, shape: Shape, name: str) -> FloatArray:
    """A tensor by its GGUF name, query and key rows in the half-split rotary order.

    GGUF keeps the two numbers that rotate together side by side; `GroupQueryAttention` wants the
    first ones of all pairs, then the second ones.
    """
    numbers = source.tensor(name)
    if name.endswith(".attn_q.weight"):
        heads = shape.heads
    elif name.endswith(".attn_k.weight"):
        heads = shape.kv_heads
    else:
        return numbers
    pairs = numbers.reshape(heads, shape.head_size // 2, 2, shape.hidden)
    return pairs.swapaxes(1, 2).reshape(numbers.shape)


def plan_bits(source: Source, shape: Shape, precision: Precision, name: str) -> Bits:
    """How many bits the matrix `name` gets, named as in `graph.py`.

    In an `int4` model the embedding and the output matrix have 8. A matrix that has 4 bits already
    keeps them. Of the others, those that hurt most when they are coarse get 8: query, key and
    value everywhere, and `ffn_down` in the layers where llama.cpp's mixed k-quants spend more.
    """
    if precision == "fp32":
        return 32
    if precision == "int8" or not name.startswith("blk."):
        return 8
    prefix, part = name.rsplit(".", 1)
    parts = [f"{prefix}.attn_{letter}" for letter in "qkv"] if part == "attn_qkv" else [name]
    if all(source.tensor_type(f"{each}.weight") in _FOUR_BIT_GRIDS for each in parts):
        return 4
    if part == "attn_qkv":
        return 8
    if part == "ffn_down" and _deserves_more(int(prefix.split(".")[1]), shape.layers):
        return 8
    return 4


def _deserves_more(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and each third between.

    Source: `use_more_bits` in llama.cpp's quantiser, the rule of its Q4_K_M.
    """
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _rope_factors(source: Source, head_size: int) -> FloatArray | None:
    if _ROPE_FACTORS not in source.tensor_names():
        return None
    factors = source.tensor(_ROPE_FACTORS)
    if factors.shape != (head_size // 2,):
        raise source.error(f"{_ROPE_FACTORS} has the shape {factors.shape}")
    return factors


def _refuse_strangers(source: Source, shape: Shape) -> None:
    """Refuse what would need another graph."""
    scaling = source.text("llama.rope.scaling.type") or "none"
    if scaling != "none":
        raise source.error(f"rotary scaling of the kind {scaling!r} is not supported")
    if source.number("llama.rope.scale_linear", 1.0) != 1.0:
        raise source.error("linear rotary scaling is not supported")
    if source.integer("llama.expert_count", 0):
        raise source.error("a mixture of experts is not supported")
    if source.integer("llama.attention.sliding_window", 0):
        raise source.error("sliding-window attention is not supported")
    if source.integer("llama.rope.dimension_count", shape.head_size) != shape.head_size:
        raise source.error("heads that rotate only in part are not supported")
    if source.integer("llama.attention.value_length", shape.head_size) != shape.head_size:
        raise source.error("values of another size than keys are not supported")
    if shape.head_size % _HEAD_STEP or shape.heads % shape.kv_heads:
        raise source.error(
            f"{shape.heads} heads of {shape.head_size} over {shape.kv_heads} key heads; the runtime"
            f" wants sizes that are multiples of {_HEAD_STEP}, and as many heads for each key head"
        )
    sizes = (shape.hidden, shape.feed_forward, shape.heads * shape.head_size)
    if any(size % BLOCK for size in sizes):
        raise source.error(f"sizes {sizes} are not all multiples of {BLOCK}")
    unknown = sorted(
        name
        for name in source.tensor_names()
        if name not in _GLOBAL and not _IN_LAYER.fullmatch(name)
    )
    if unknown:
        raise source.error(f"the tensor {unknown[0]} is not part of a plain Llama model")


def _check_tensors(source: Source, shape: Shape) -> None:
    """Every tensor is there and has the size that the metadata promise."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    hidden, wide = shape.hidden, shape.feed_forward
    in_layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (hidden,),
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_norm": (hidden,),
        "ffn_gate": (wide, hidden),
        "ffn_up": (wide, hidden),
        "ffn_down": (hidden, wide),
    }
    expected: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (shape.vocab, hidden),
        "output_norm.weight": (hidden,),
    }
    if not shape.tied:
        expected["output.weight"] = (shape.vocab, hidden)
    for layer in range(shape.layers):
        expected |= {f"blk.{layer}.{part}.weight": size for part, size in in_layer.items()}
    for name, size in expected.items():
        if source.tensor_shape(name) != size:
            raise source.error(
                f"the tensor {name} has the shape {source.tensor_shape(name)}, not {size}"
            )
