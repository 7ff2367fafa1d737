"""Numbers in blocks of 32 that share a scale: 8 bits around zero, 4 bits with an offset.

In: a float32 matrix of shape (n_out, n_in), n_in a multiple of 32. Out: codes, scales and zero
points, as ONNX Runtime's `MatMulNBits` keeps them, where a weight is `scale * (code - zero)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

BLOCK = 32
ZERO_8 = 128
_CHUNK_BLOCKS = 1 << 15
# A block that was 4 bits already uses 16 even steps or, with its outermost codes unused, fewer.
_GRIDS = tuple(range(15, 7, -1))
# Error over the width of a block below which it counts as exact; float32 rounding is below 1e-6.
_EXACT = 1e-5
# Half a step and room for rounding.
_HALF = 0.5001
# For all others: the steps the block is first divided into, and how often the line is refitted.
_SEARCHED = (14, 15, 16)
_REFINEMENTS = 3


@dataclass(frozen=True, slots=True)
class Codes:
    """A quantised matrix.

    Attributes:
        codes: One to a byte, shape (n_out, n_blocks, 32).
        scales: Shape (n_out, n_blocks).
        zeros: Shape (n_out, n_blocks).
    """

    codes: ByteArray
    scales: FloatArray
    zeros: ByteArray

    def numbers(self) -> FloatArray:
        """The matrix that these codes stand for, shape (n_out, 32 * n_blocks)."""
        steps = self.codes.astype(np.float32) - self.zeros[..., None]
        return (steps * self.scales[..., None]).reshape(len(self.codes), -1)


def quantize_8(matrix: FloatArray) -> Codes:
    """8 bits around zero. The error is at most half of max|block| / 127.

    Exact for GGUF's Q8_0, whose grid this is.
    """
    n_out, n_in = matrix.shape
    blocks = matrix.reshape(-1, BLOCK)
    codes = np.empty(blocks.shape, np.uint8)
    scales = np.empty(len(blocks), np.float32)
    for begin in range(0, len(blocks), _CHUNK_BLOCKS):
        part = slice(begin, begin + _CHUNK_BLOCKS)
        peak = np.abs(blocks[part]).max(axis=-1)
        scales[part] = np.where(peak > 0, peak / np.float32(127), np.float32(1))
        codes[part] = np.rint(blocks[part] / scales[part, None]) + ZERO_8
    shape = (n_out, n_in // BLOCK)
    zeros = np.full(shape, ZERO_8, np.uint8)
    return Codes(codes.reshape(*shape, BLOCK), scales.reshape(shape), zeros)


def quantize_4(matrix: FloatArray) -> Codes:
    """4 bits between the least and the greatest of each block, zero among them.

    The error is at most one step, (max - min) / 15. A last block that is not full is filled up
    with zeros; this is the one function that takes any n_in.
    """
    n_out, n_in = matrix.shape
    padded = np.pad(matrix, ((0, 0), (0, -n_in % BLOCK)))
    blocks = padded.reshape(n_out, padded.shape[1] // BLOCK, BLOCK)
    low = np.minimum(blocks.min(axis=-1), 0)
    high = np.maximum(blocks.max(axis=-1), 0)
    scales = np.where(high > low, (high - low) / np.float32(15), np.float32(1))
    zeros = np.rint(-low / scales)
    codes = np.clip(np.rint(blocks / scales[..., None]) + zeros[..., None], 0, 15)
    return Codes(codes.astype(np.uint8), scales, zeros.astype(np.uint8))


def quantize_4_with_offset(matrix: FloatArray) -> tuple[Codes, FloatArray]:
    """4 bits and a real offset: a weight is `scale * (code - zero) + offset`.

    Blocks that lie on a grid of 16 even steps, as those of GGUF's Q4_0, Q4_1 and Q4_K do, come out
    exact, if they use more than 8 of the steps and zero is near one of them. For the others the
    scale is searched: for each of several ranges, codes and the least-squares line through them in
    turn, as k-quants do. An offset is at most half a step: a block that lies so far on one side of
    zero that no step is near it is treated as `quantize_4` does, and its offset is 0.

    Returns: The codes, and the offsets, shape (n_out, n_blocks).
    """
    n_out, n_in = matrix.shape
    blocks = matrix.reshape(-1, BLOCK)
    codes = np.empty(blocks.shape, np.uint8)
    scales = np.empty(len(blocks), np.float32)
    starts = np.empty(len(blocks), np.float32)
    for begin in range(0, len(blocks), _CHUNK_BLOCKS):
        part = slice(begin, begin + _CHUNK_BLOCKS)
        lines = _fit_lines(blocks[part])
        codes[part], scales[part], starts[part] = lines.codes, lines.slopes, lines.starts
    # Where all numbers are above zero, higher codes make room for it among the lower ones.
    higher = np.clip(np.rint(starts / scales), 0, 15 - codes.max(axis=-1))
    codes += higher.astype(np.uint8)[:, None]
    starts -= higher * scales
    zeros = np.clip(np.rint(-starts / scales), 0, 15).astype(np.uint8)
    offsets = starts + scales * zeros
    far = np.abs(offsets) > _HALF * scales
    plain = quantize_4(blocks[far])
    codes[far], scales[far], zeros[far] = plain.codes[:, 0], plain.scales[:, 0], plain.zeros[:, 0]
    offsets[far] = 0
    shape = (n_out, n_in // BLOCK)
    fitted = Codes(codes.reshape(*shape, BLOCK), scales.reshape(shape), zeros.reshape(shape))
    return fitted, offsets.reshape(shape)


def pack_4(codes: ByteArray) -> ByteArray:
    """Two codes to a byte along the last axis, the first in the low half."""
    if codes.shape[-1] % 2:
        codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, 1)])
    packed: ByteArray = np.bitwise_or(codes[..., 0::2], codes[..., 1::2] << 4, dtype=np.uint8)
    return packed


@dataclass(slots=True)
class _Lines:
    """For each block the best line `slope * code + start` found so far."""

    codes: ByteArray
    slopes: FloatArray
    starts: FloatArray
    errors: FloatArray

    def improve(self, rows: npt.NDArray[np.intp], other: _Lines) -> None:
        """Take over from `other`, whose row i is about our row `rows[i]`, what is better."""
        better = other.errors < self.errors[rows]
        mine = rows[better]
        self.codes[mine] = other.codes[better]
        self.slopes[mine] = other.slopes[better]
        self.starts[mine] = other.starts[better]
        self.errors[mine] = other.errors[better]


def _fit_lines(blocks: FloatArray) -> _Lines:
    """Fit each row of `blocks`, shape (n, 32)."""
    least = blocks.min(axis=-1)
    width = blocks.max(axis=-1) - least
    # A block of one number only: a step as large as the number puts it on the grid.
    alone = np.where(least != 0, np.abs(least), np.float32(1))
    best = _draw(blocks, _slope(width, _GRIDS[0], alone), least)
    enough = BLOCK * (_EXACT * width) ** 2
    for steps in _GRIDS[1:]:
        rows = np.flatnonzero(best.errors > enough)
        best.improve(
            rows, _draw(blocks[rows], _slope(width[rows], steps, alone[rows]), least[rows])
        )
    rows = np.flatnonzero(best.errors > enough)
    some = blocks[rows]
    for steps in _SEARCHED if len(rows) else ():
        slope = _slope(width[rows], steps, alone[rows])
        lines = _draw(some, slope, least[rows] + (width[rows] - 15 * slope) / 2)
        for _ in range(_REFINEMENTS):
            lines = _draw(some, *_least_squares(some, lines))
        best.improve(rows, lines)
    return best


def _slope(width: FloatArray, steps: int, alone: FloatArray) -> FloatArray:
    return np.where(width > 0, width / np.float32(steps), alone)


def _draw(blocks: FloatArray, slopes: FloatArray, starts: FloatArray) -> _Lines:
    """Round every number to the nearest of the line's 16 points."""
    ideal = (blocks - starts[:, None]) / slopes[:, None]
    codes = np.clip(np.rint(ideal), 0, 15)
    errors = np.square((codes - ideal) * slopes[:, None]).sum(axis=-1)
    return _Lines(codes.astype(np.uint8), slopes, starts, errors)


def _least_squares(blocks: FloatArray, lines: _Lines) -> tuple[FloatArray, FloatArray]:
    """The slope and start that fit the blocks best while the codes stay as they are."""
    codes = lines.codes.astype(np.float32)
    codes -= codes.mean(axis=-1, keepdims=True)
    spread = np.square(codes).sum(axis=-1)
    slopes = (codes * blocks).sum(axis=-1) / np.where(spread > 0, spread, np.float32(1))
    slopes = np.where(slopes > 0, slopes, lines.slopes)
    return slopes, blocks.mean(axis=-1) - slopes * lines.codes.mean(axis=-1)
