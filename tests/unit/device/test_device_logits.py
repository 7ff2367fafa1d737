from __future__ import annotations

import math

import numpy as np
import pytest

from router.device.logits import RowReader
from router.errors import Unavailable


def in_float64(row, chosen):
    row = row.astype(np.float64)
    logprobs = row - row.max()
    logprobs -= np.log(np.exp(logprobs).sum())
    probs = np.exp(logprobs)
    second, first = np.sort(probs)[-2:]
    entropy = -float((probs * np.where(probs > 0, logprobs, 0.0)).sum())
    return float(logprobs[chosen]), entropy, float(first - second)


@pytest.mark.parametrize("size", [2, 600, 49_152, 200_000])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_the_statistics_equal_a_float64_computation(size, scale):
    rng = np.random.default_rng(size)
    row = (scale * rng.standard_normal(size)).astype(np.float32)
    read = RowReader()

    for chosen in (int(row.argmax()), 0, size - 1):
        stat = read(row, chosen)
        logprob, entropy, margin = in_float64(row, chosen)
        assert stat.logprob == pytest.approx(logprob, abs=1e-5, rel=1e-6)
        assert stat.entropy == pytest.approx(entropy, abs=1e-5, rel=1e-5)
        assert stat.margin == pytest.approx(margin, abs=1e-5)


def test_a_row_whose_largest_is_known_is_read_the_same():
    row = np.random.default_rng(3).normal(size=500).astype(np.float32)
    first = int(row.argmax())

    assert RowReader()(row, 7, first) == RowReader()(row, 7)


def test_the_row_is_left_as_it_was():
    row = np.arange(10, dtype=np.float32)

    RowReader()(row, 3)

    assert row.tolist() == list(range(10))


def test_a_certain_token_has_probability_one_and_no_entropy():
    row = np.full(50, -200.0, np.float32)
    row[7] = 100.0

    stat = RowReader()(row, 7)

    assert (stat.logprob, stat.entropy, stat.margin) == (0.0, 0.0, 1.0)


def test_two_equal_best_tokens_have_no_margin():
    stat = RowReader()(np.array([1.0, 5.0, 5.0], np.float32), 1)

    assert stat.margin == 0.0


def test_masked_tokens_count_for_nothing():
    row = np.array([2.0, -np.inf, 1.0, -np.inf], np.float32)

    stat = RowReader()(row, 0)
    alone = RowReader()(np.array([2.0, 1.0], np.float32), 0)

    assert stat == alone
    assert math.isfinite(stat.entropy)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error_and_not_a_statistic(bad):
    row = np.array([1.0, bad, 2.0], np.float32)

    with pytest.raises(Unavailable, match="not numbers"):
        RowReader()(row, 0)
