"""What a matrix loses on its way into blocks of 8 and 4 bits, for any numbers."""

from __future__ import annotations

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from router.models.gguf.quantize import (
    BLOCK,
    Codes,
    pack_4,
    quantize_4,
    quantize_4_with_offset,
    quantize_8,
)

Matrix = npt.NDArray[np.float32]

numbers = st.floats(-100, 100, width=32, allow_subnormal=False).map(
    lambda x: x if abs(x) > 1e-6 else 0.0
)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    rows, blocks = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return draw(hnp.arrays(np.float32, (rows, blocks * BLOCK), elements=numbers))


def in_blocks(matrix: Matrix) -> Matrix:
    return matrix.reshape(len(matrix), -1, BLOCK)


def with_offset(codes: Codes, offsets: Matrix) -> Matrix:
    return codes.numbers() + np.repeat(offsets, BLOCK, axis=1)


@given(matrices())
@settings(max_examples=25, deadline=None)
def test_8_bits_are_off_by_half_a_step_of_the_greatest_number(matrix: Matrix) -> None:
    codes = quantize_8(matrix)

    error = np.abs(in_blocks(codes.numbers() - matrix))
    step = np.abs(in_blocks(matrix)).max(-1, keepdims=True) / 127

    assert (error <= 0.5001 * step + 1e-9).all()
    assert (codes.zeros == 128).all()
    assert codes.codes.min() >= 1, "the grid is even on both sides"


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 70)), elements=numbers))
@settings(max_examples=25, deadline=None)
def test_4_bits_are_off_by_a_step_of_the_range_at_most_and_any_width_will_do(
    matrix: Matrix,
) -> None:
    codes = quantize_4(matrix)

    width = matrix.shape[1]
    numbers = codes.numbers()
    padded = np.pad(matrix, ((0, 0), (0, -width % BLOCK)))
    blocks = in_blocks(padded)
    step = (np.maximum(blocks.max(-1), 0) - np.minimum(blocks.min(-1), 0))[..., None] / 15
    assert numbers.shape == padded.shape
    assert (np.abs(in_blocks(numbers - padded)) <= 1.001 * step + 1e-9).all()
    assert codes.codes.max() <= 15
    assert codes.zeros.max() <= 15


@given(matrices())
@settings(max_examples=25, deadline=None)
def test_4_bits_with_an_offset_are_never_worse_than_even_steps_over_the_range(
    matrix: Matrix,
) -> None:
    codes, offsets = quantize_4_with_offset(matrix)

    blocks = in_blocks(matrix)
    low = np.minimum(blocks.min(-1, keepdims=True), 0)
    high = np.maximum(blocks.max(-1, keepdims=True), 0)
    step = np.where(high > low, (high - low) / 15, 1)
    plain = np.rint((blocks - low) / step) * step + low
    error = np.square(in_blocks(with_offset(codes, offsets) - matrix)).sum(-1)
    scale = np.square(blocks).max(-1)
    # A block that has numbers of one sign only is held on a grid with zero on it.
    bound = np.where((low < 0) & (high > 0), np.square(plain - blocks).sum(-1, keepdims=True), 0)
    one_sided = BLOCK * np.square(1.001 * step)
    bound = np.where((low < 0) & (high > 0), bound, one_sided)[..., 0]
    assert (error <= 1.001 * bound + 1e-8 * scale).all()


@given(matrices())
@settings(max_examples=25, deadline=None)
def test_an_offset_is_half_a_step_at_most(matrix: Matrix) -> None:
    codes, offsets = quantize_4_with_offset(matrix)

    assert (np.abs(offsets) <= 0.501 * codes.scales).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_block_far_from_zero_has_no_offset_and_a_coarser_step(sign: int) -> None:
    matrix = sign * np.linspace(10, 10.5, 64, dtype=np.float32).reshape(2, 32)

    codes, offsets = quantize_4_with_offset(matrix)

    assert not offsets.any()
    np.testing.assert_allclose(with_offset(codes, offsets), matrix, atol=10.5 / 15)


@pytest.mark.parametrize("constant", [0.0, 0.25, -3.0])
def test_a_block_of_one_number_is_exact(constant: float) -> None:
    matrix = np.full((2, 64), constant, np.float32)

    codes, offsets = quantize_4_with_offset(matrix)

    np.testing.assert_allclose(with_offset(codes, offsets), matrix, rtol=1e-6)
    assert not offsets.any()


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_what_was_4_bits_in_a_gguf_stays_exactly_what_it_was(name: str, seed: int) -> None:
    kind = gguf.GGMLQuantizationType[name]
    drawn = np.random.default_rng(seed).normal(0.1, 1, (8, 96)).astype(np.float32)
    source = gguf.quants.dequantize(gguf.quants.quantize(drawn, kind), kind)

    codes, offsets = quantize_4_with_offset(source)

    np.testing.assert_allclose(with_offset(codes, offsets), source, atol=2e-5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_blocks_of_q4_k_stay_exactly_what_they_were(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Its blocks of 32 are scale * code - least, both multiples of a half float.
    scale = np.float32(np.float16(0.01)) * rng.integers(1, 64, (8, 3, 1)).astype(np.float32)
    half = np.float32(np.float16(0.02))
    least = half * np.floor(scale * rng.integers(0, 16, (8, 3, 1)) / half)  # zero is a step
    low, high = rng.integers(0, 4, (8, 3, 1)), rng.integers(12, 16, (8, 3, 1))
    code = np.clip(rng.integers(0, 16, (8, 3, BLOCK)), low, high)
    source = (scale * code - least).reshape(8, 96).astype(np.float32)

    codes, offsets = quantize_4_with_offset(source)

    np.testing.assert_allclose(with_offset(codes, offsets), source, atol=2e-5)


def test_what_was_q8_0_in_a_gguf_stays_exactly_what_it_was() -> None:
    kind = gguf.GGMLQuantizationType.Q8_0
    drawn = np.random.default_rng(1).normal(0, 1, (8, 96)).astype(np.float32)
    source = gguf.quants.dequantize(gguf.quants.quantize(drawn, kind), kind)

    np.testing.assert_allclose(quantize_8(source).numbers(), source, rtol=1e-5)


def test_the_search_makes_random_weights_an_eighth_better_than_even_steps() -> None:
    matrix = np.random.default_rng(5).normal(0, 1, (64, 640)).astype(np.float32)
    blocks = in_blocks(matrix)
    low, step = blocks.min(-1, keepdims=True), np.ptp(blocks, axis=-1, keepdims=True) / 15
    plain = np.square(np.rint((blocks - low) / step) * step + low - blocks).mean()

    codes, offsets = quantize_4_with_offset(matrix)

    assert np.square(with_offset(codes, offsets) - matrix).mean() < 7 / 8 * plain


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=st.integers(0, 15)
    )
)
@settings(max_examples=25, deadline=None)
def test_packed_codes_are_two_to_a_byte_the_first_one_low(codes: npt.NDArray[np.uint8]) -> None:
    packed = pack_4(codes)

    assert packed.shape == (len(codes), (codes.shape[1] + 1) // 2)
    unpacked = np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(codes), -1)
    np.testing.assert_array_equal(unpacked[:, : codes.shape[1]], codes)
