"""A weight matrix as nodes of the graph: `y = x W^T` in float32, or over blocks of 8 or 4 bits.

In: an `OnnxFile`, the name of the input value, a matrix of shape (n_out, n_in). Out: the name of
the output value. The product over blocks is ONNX Runtime's `MatMulNBits`; it turns the input to
8-bit integers on its way (`accuracy_level` 4), which is what makes it fast.

Four bits need more thought. `MatMulNBits` wants `w = scale * (code - zero)` with a whole `zero`,
but a 4-bit GGUF has `w = scale * code + start` with any real start, and rounding start to a
multiple of scale costs as much as quantising anew. What is left over is one number for each block
of 32 inputs, the block's offset. So

    sum_k w_k x_k  =  sum_k scale (code_k - zero) x_k  +  sum_blocks offset_b (sum of x over b).

The sums over the blocks are appended to the input and the offsets to the matrix, as n_in / 32 more
columns of the same 4-bit kind. An offset is at most half a step, so 4 bits leave a thirtieth of a
step. The matrix grows by 3 %, and a source in 4 bits stays what it was. Matrices that read the same
input share the sums.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .onnxfile import OnnxFile
from .quantize import BLOCK, Codes, pack_4, quantize_4, quantize_4_with_offset, quantize_8

FloatArray = npt.NDArray[np.float32]
Bits: TypeAlias = Literal[4, 8, 32]

_INTEGER_INPUT = 4


class Linears:
    """Adds matrices to one graph."""

    def __init__(self, file: OnnxFile) -> None:
        self._file = file
        self._with_sums: dict[str, str] = {}

    def add(self, name: str, x: str, matrix: FloatArray, bits: Bits, *, out: str) -> str:
        """Add one product; gives `out` back.

        Args:
            name: Goes before the names of the weights.
            x: A value of shape (batch, tokens, n_in).
            matrix: Shape (n_out, n_in); n_in is a multiple of 32.
            bits: 32 keeps the numbers as they are.
        """
        if bits == 32:
            return self._file.node("MatMul", [x, self._file.weight(name, matrix.T)], [out])
        if bits == 8:
            coded = self.weights_8(name, matrix)
            return self.product_8(x, coded, matrix.shape, out=out)
        n_out, n_in = matrix.shape
        coded = self._weights_4(name, matrix)
        shape = (n_out, n_in + n_in // BLOCK)
        return self._product(self._append_sums(x, n_in), coded, shape, 4, out)

    def weights_8(self, name: str, matrix: FloatArray) -> list[str]:
        """Write a matrix in 8 bits; gives the names of codes and scales."""
        coded = quantize_8(matrix)
        return [
            self._file.weight(f"{name}.codes", coded.codes),
            self._file.weight(f"{name}.scales", coded.scales),
        ]

    def product_8(self, x: str, coded: list[str], shape: tuple[int, ...], *, out: str) -> str:
        """Multiply by what `weights_8` wrote. `shape` is the matrix's."""
        return self._product(x, coded, shape, 8, out)

    def _weights_4(self, name: str, matrix: FloatArray) -> list[str]:
        """Write a matrix in 4 bits, its offsets behind it; gives the names of the three parts."""
        main, offsets = quantize_4_with_offset(matrix)
        rest = quantize_4(offsets)
        both = Codes(
            np.concatenate([main.codes, rest.codes], axis=1),
            np.concatenate([main.scales, rest.scales], axis=1),
            np.concatenate([main.zeros, rest.zeros], axis=1),
        )
        return [
            self._file.weight(f"{name}.codes", pack_4(both.codes)),
            self._file.weight(f"{name}.scales", both.scales),
            self._file.weight(f"{name}.zeros", pack_4(both.zeros)),
        ]

    def _append_sums(self, x: str, n_in: int) -> str:
        """`x` with the sums over its blocks behind it."""
        if x not in self._with_sums:
            file = self._file
            shape = np.array([0, 0, n_in // BLOCK, BLOCK], np.int64)
            grid = file.constant(f"blocks.{n_in}", shape)
            last = file.constant("last", np.array([-1], np.int64))
            blocks = file.node("Reshape", [x, grid], [f"{x}.blocks"])
            sums = file.node("ReduceSum", [blocks, last], [f"{x}.sums"], keepdims=0)
            self._with_sums[x] = file.node("Concat", [x, sums], [f"{x}.with_sums"], axis=-1)
        return self._with_sums[x]

    def _product(
        self, x: str, coded: list[str], shape: tuple[int, ...], bits: int, out: str
    ) -> str:
        return self._file.node(
            "MatMulNBits",
            [x, *coded],
            [out],
            microsoft=True,
            N=shape[0],
            K=shape[1],
            bits=bits,
            block_size=BLOCK,
            accuracy_level=_INTEGER_INPUT,
        )
