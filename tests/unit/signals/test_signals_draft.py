"""A draft's own probabilities become signals, or unknown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.draft import draft_signals, mean_logprob, quantile
from router.types import Completion, TokenStat, Usage

STATS = (
    TokenStat(-0.1, entropy=0.5, margin=0.8),
    TokenStat(-0.5, entropy=1.5, margin=0.2),
    TokenStat(-0.3, entropy=0.7, margin=0.6),
)
logprobs = st.lists(st.floats(-1000, 0), min_size=1, max_size=50)


def test_a_draft_with_statistics_has_every_signal() -> None:
    draft = Completion(text="x", tokens=STATS, finish="stop", usage=Usage(output_tokens=3))

    assert draft_signals(draft) == {
        "draft.mean_logprob": pytest.approx(-0.3),
        "draft.min_logprob": -0.5,
        "draft.q10_logprob": pytest.approx(-0.46),
        "draft.first_entropy": 0.5,
        "draft.first_margin": 0.8,
        "draft.min_margin": 0.2,
        "draft.tokens": 3,
        "draft.finish": "stop",
    }


def test_a_draft_without_statistics_has_unknown_signals_and_not_one_made_up() -> None:
    assert set(draft_signals(Completion(text="x")).values()) == {None}


def test_a_margin_that_one_token_lacks_is_unknown_for_the_whole() -> None:
    stats = (*STATS, TokenStat(-0.2))

    found = draft_signals(Completion(text="x", tokens=stats))

    assert found["draft.min_margin"] is None
    assert found["draft.first_margin"] == 0.8


@pytest.mark.parametrize("broken", [math.nan, -math.inf, math.inf])
def test_what_is_no_finite_number_is_unknown(broken: float) -> None:
    """A NaN compares as false; under a `not` it would let a draft through."""
    stats = (TokenStat(-0.1, broken, broken), *STATS[1:], TokenStat(broken, broken, broken))

    found = draft_signals(Completion(text="x", tokens=stats))

    assert [value for name, value in found.items() if name != "draft.finish"] == [None] * 7
    assert mean_logprob(stats) is None


@given(logprobs)
def test_the_mean_lies_between_the_least_and_the_most(values: list[float]) -> None:
    mean = mean_logprob([TokenStat(v) for v in values])

    assert mean is not None
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


@given(logprobs, st.floats(0, 1))
def test_a_quantile_lies_between_the_least_and_the_most(values: list[float], q: float) -> None:
    found = quantile(values, q)

    assert found is not None
    assert min(values) - 1e-9 <= found <= max(values) + 1e-9


@given(logprobs, st.floats(0, 1), st.floats(0, 1))
def test_quantiles_do_not_fall(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))

    lower, upper = quantile(values, low), quantile(values, high)

    assert lower is not None
    assert upper is not None
    assert lower <= upper + 1e-9


def test_quantiles_are_those_of_numpys_default() -> None:
    numpy = pytest.importorskip("numpy")
    values = [-3.0, -0.2, -1.0, -0.9, -0.1, -7.0]

    for q in (0, 0.1, 0.25, 0.5, 0.9, 1):
        assert quantile(values, q) == pytest.approx(float(numpy.quantile(values, q)))


def test_nothing_has_no_quantile_and_no_mean() -> None:
    assert quantile([], 0.1) is None
    assert mean_logprob([]) is None
