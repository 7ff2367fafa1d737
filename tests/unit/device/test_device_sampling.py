"""Which token is chosen, held to what the words mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.device.sampling import OUTSIDE, Sampler, Sampling
from router.errors import Refused

ROW = np.log(np.array([0.4, 0.3, 0.15, 0.1, 0.05], np.float32))


def drawn(row=ROW, times=4000, **wishes):
    sampler = Sampler(Sampling(**{"temperature": 1.0, "seed": 7, **wishes}))
    chosen = [int(sampler.scores(row).argmax()) for _ in range(times)]
    return np.bincount(chosen, minlength=row.size) / times


def test_draws_have_the_model_s_probabilities():
    assert drawn() == pytest.approx([0.4, 0.3, 0.15, 0.1, 0.05], abs=0.03)


def test_temperature_flattens_and_sharpens():
    hot = np.exp(ROW / 2.0)
    cold = np.exp(ROW / 0.5)

    assert drawn(temperature=2.0) == pytest.approx(hot / hot.sum(), abs=0.03)
    assert drawn(temperature=0.5) == pytest.approx(cold / cold.sum(), abs=0.03)


@pytest.mark.parametrize(
    ("wishes", "kept"),
    [
        ({"top_k": 2}, 2),
        ({"top_p": 0.5}, 2),
        ({"top_p": 0.4}, 1),
        ({"top_p": 0.71}, 3),
        ({"min_p": 0.3}, 3),
        ({"top_k": 3, "top_p": 0.5}, 2),
        ({"top_k": 2, "min_p": 0.2}, 2),
        ({"top_k": 4, "min_p": 0.5}, 2),
        ({"top_p": 0.5, "min_p": 0.2}, 2),
        ({"top_k": 99}, 5),
        ({"top_p": 1.0}, 5),
    ],
)
def test_cuts_keep_the_likeliest_in_their_proportions(wishes, kept):
    expected = np.exp(ROW) * (np.arange(5) < kept)

    assert drawn(**wishes) == pytest.approx(expected / expected.sum(), abs=0.03)


def test_a_cut_token_is_still_the_choice_where_a_guide_leaves_no_other():
    scores = Sampler(Sampling(temperature=1.0, seed=1, top_k=1)).scores(ROW)

    assert np.isfinite(scores).all()
    assert list(np.argsort(-scores[1:])) == [0, 1, 2, 3]
    assert scores[0] - scores[1] > OUTSIDE / 2


@pytest.mark.parametrize("cut", [{"top_p": 0.3}, {"min_p": 0.9}])
def test_among_cut_tokens_that_a_guide_leaves_the_draw_goes_by_their_odds(cut):
    sampler = Sampler(Sampling(temperature=1.0, seed=1, **cut))
    left = [1 + int(sampler.scores(ROW)[1:].argmax()) for _ in range(4000)]
    odds = np.exp(ROW[1:]) / np.exp(ROW[1:]).sum()

    assert np.bincount(left, minlength=5)[1:] / 4000 == pytest.approx(odds, abs=0.03)


def test_without_a_guide_the_cut_tokens_cost_no_noise():
    scores = Sampler(Sampling(temperature=1.0, seed=1, top_p=0.3), guided=False).scores(ROW)

    assert scores[1:] == pytest.approx(ROW[1:] - OUTSIDE, abs=0.01)


@given(st.integers(-(2**70), 2**70))
def test_the_same_seed_draws_the_same(seed):
    one, other = (
        [Sampler(Sampling(temperature=1.0, seed=seed)).scores(ROW) for _ in range(2)]
        for _ in range(2)
    )

    assert np.array_equal(one, other)


@pytest.mark.parametrize("temperature", [1e-6, 1e-39])
def test_a_draw_that_is_hardly_one_stays_finite(temperature):
    scores = Sampler(Sampling(temperature=temperature, seed=1, top_p=0.5)).scores(ROW * 40)

    assert np.isfinite(scores).all()
    assert int(scores.argmax()) == 0


def test_penalties_are_openai_s():
    sampler = Sampler(Sampling(frequency_penalty=0.5, presence_penalty=0.25))
    for token in (1, 1, 3):
        sampler.took(token)

    change = sampler.scores(ROW) - ROW

    assert change == pytest.approx([0, -1.25, 0, -0.75, 0], abs=1e-6)


def test_a_bias_is_added_and_an_unknown_token_is_refused():
    assert int(Sampler(Sampling(logit_bias=((4, 100.0),))).scores(ROW).argmax()) == 4
    with pytest.raises(Refused, match="token 5"):
        Sampler(Sampling(logit_bias=((5, 1.0),))).scores(ROW)


@pytest.mark.parametrize(
    ("wishes", "greedy"),
    [
        ({}, True),
        ({"temperature": 0.0, "seed": 3, "top_p": 0.3}, True),
        ({"temperature": 0.1}, False),
        ({"temperature": 1e-6}, False),
        ({"temperature": 1e-39}, True),
        ({"presence_penalty": 1.0}, False),
        ({"logit_bias": ((1, 1.0),)}, False),
    ],
)
def test_only_what_changes_the_choice_costs_anything(wishes, greedy):
    assert Sampler(Sampling(**wishes)).greedy is greedy


@pytest.mark.parametrize(
    "wishes",
    [
        {"temperature": 2.1},
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"min_p": -0.1},
        {"frequency_penalty": 2.5},
        {"presence_penalty": float("nan")},
        {"logit_bias": ((1, 101.0),)},
        {"logit_bias": ((-1, 1.0),)},
    ],
)
def test_a_number_out_of_range_is_refused(wishes):
    with pytest.raises(Refused):
        Sampling(**wishes).check()


def test_the_row_itself_is_left_as_it_is():
    row = ROW.copy()
    Sampler(Sampling(temperature=0.7, top_p=0.5, logit_bias=((1, 3.0),))).scores(row)

    assert np.array_equal(row, ROW)
