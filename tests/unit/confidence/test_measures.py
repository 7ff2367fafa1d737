"""The measures, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from router.confidence.measures import (
    apgr,
    aurc,
    auroc,
    curve,
    ece,
    realised_loss,
    spend_at,
    static_mixture,
)

WEAK = np.array([1.0, 0.0, 0.0, 1.0])
STRONG = np.array([1.0, 1.0, 1.0, 1.0])


def test_auroc_is_the_share_of_pairs_in_order_with_ties_as_half() -> None:
    draw = np.random.default_rng(0)
    score, right = draw.integers(0, 5, 60).astype(float), (draw.random(60) < 0.4).astype(float)
    pairs = [
        (good > bad) + (good == bad) / 2 for good in score[right == 1] for bad in score[right == 0]
    ]

    assert auroc(score, right) == pytest.approx(np.mean(pairs))
    assert math.isnan(auroc(score, np.ones(60)))


def test_ece_is_zero_for_chances_that_come_true_and_grows_with_the_gap() -> None:
    right = np.array([1.0, 0.0, 1.0, 0.0])

    assert ece(np.full(4, 0.5), right) == 0.0
    assert ece(np.full(4, 1.0), right) == 0.5


def test_aurc_is_the_mean_risk_over_coverages() -> None:
    found = aurc(np.array([0.9, 0.5, 0.1]), np.array([1.0, 0.0, 1.0]))

    assert found == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_apgr_is_half_for_no_order_and_best_for_the_right_one() -> None:
    assert apgr(np.zeros(4), WEAK, STRONG) == pytest.approx(0.5)
    assert apgr(1 - WEAK, WEAK, STRONG) == pytest.approx(0.75)
    assert apgr(WEAK, WEAK, STRONG) == pytest.approx(0.25)


def test_a_curve_runs_straight_across_ties() -> None:
    spend, quality = curve(np.array([2.0, 2.0, 1.0, 1.0]), WEAK, STRONG)

    assert spend.tolist() == [0.0, 0.5, 1.0]
    assert quality.tolist() == [0.5, 0.75, 1.0]
    assert spend_at(spend, quality, 0.625) == pytest.approx(0.25)
    assert math.isnan(spend_at(spend, quality, 1.1))


def test_the_blind_mix_takes_the_cheapest_way_to_a_quality() -> None:
    costs, qualities = [0.0, 1.0, 10.0], [0.5, 0.8, 0.9]

    assert static_mixture(costs, qualities, 0.8) == pytest.approx(1.0)
    assert static_mixture(costs, qualities, 0.85) == pytest.approx(5.5)
    assert math.isnan(static_mixture(costs, qualities, 0.95))


def test_a_loss_is_a_kept_draft_that_was_wrong_where_the_strong_tier_was_right() -> None:
    assert realised_loss(np.array([1.0, 1.0, 0.0, 1.0]), WEAK, STRONG) == 0.25
