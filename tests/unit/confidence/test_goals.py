"""A spend and a share of quality as promises: exact, and kept as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from router.confidence.goals import mean_interval, of_quality, within_spend
from router.confidence.guarantee import Certificate, Refused, at_most


def test_a_spend_is_kept_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    broken = 0
    for _ in range(300):
        sure = draw.random(200)
        found = within_spend(sure, np.zeros(200), 0.2, 0.9)
        assert isinstance(found, Certificate)
        broken += found.bar > 0.2  # uniform: the bar is the share escalated

    assert broken <= 46  # 30 on average; three standard deviations more


def test_a_spend_needs_labels_only_to_say_the_loss() -> None:
    sure, lost = np.linspace(0, 1, 100), np.zeros(100)

    found = within_spend(sure, lost, 0.2, 0.9)

    assert isinstance(found, Certificate)
    escalated = round((1 - found.kept) * 100)
    assert at_most(escalated, 100, 0.2) <= 0.1 < at_most(escalated + 1, 100, 0.2)


def test_a_spend_from_too_few_drafts_is_refused() -> None:
    found = within_spend(np.linspace(0, 1, 5), np.zeros(5), 0.2, 0.9)

    assert isinstance(found, Refused)
    assert found.more_labels == 6  # 0.8 ** 11 < 0.1 < 0.8 ** 10


def test_a_share_of_quality_is_held_by_a_bound_on_losses() -> None:
    draw = np.random.default_rng(2)
    sure = draw.random(2_000)
    device = draw.random(2_000) < sure
    strong = draw.random(2_000) < 0.9
    lost = (strong & ~device).astype(np.float64)

    found, bound = of_quality(sure, lost, strong.astype(np.float64), 0.95, 0.9)

    assert isinstance(found, Certificate)
    assert 0.05 * 0.85 < bound < 0.05 * 0.9
    kept = sure >= found.bar
    assert np.where(kept, device, strong).mean() >= 0.95 * strong.mean()


def test_a_strong_tier_that_is_never_right_allows_no_loss() -> None:
    found, bound = of_quality(np.linspace(0, 1, 50), np.ones(50), np.zeros(50), 0.95, 0.9)

    assert bound == 0.0
    assert isinstance(found, Refused)


def test_the_interval_of_a_mean_holds_the_mean() -> None:
    mean, low, high = mean_interval([0.0] * 50 + [1.0] * 50, 0.9)

    assert low < mean == 0.5 < high
    assert high - low == pytest.approx(2 * 1.645 * 0.05, rel=0.15)
