"""A weight matrix as a node: `y = x W^T` in float32, or over blocks of 4 or 8 bits.

In: an `OnnxFile`, the name of the input value, a matrix as GGUF keeps it (rows are outputs).
Out: the name of the output value.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from .onnxfile import OnnxFile

FloatArray = npt.NDArray[np.float32]
Bits = Literal[4, 8, 32]


def add_linear(file: OnnxFile, name: str, x: str, matrix: FloatArray, bits: Bits) -> str:
    """Add one matrix product.

    Args:
        x: A value of shape (batch, tokens, n_in).
        matrix: Shape (n_out, n_in).
        bits: 32 keeps the numbers as they are.
    """
    if bits == 32:
        return file.node("MatMul", [x, file.weight(f"{name}.weight", matrix.T)], [f"{name}.out"])
    raise ValueError(bits)
