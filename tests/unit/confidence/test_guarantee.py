"""Certified bars: exact bounds, fixed-sequence testing, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from router.confidence.guarantee import (
    Certificate,
    Promise,
    Refused,
    at_most,
    certify,
    labels_needed,
    upper_bound,
)


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert upper_bound(5, 100, 0.95) == pytest.approx(0.102253, abs=1e-5)
    assert upper_bound(3, 3, 0.9) == 1.0


def test_the_binomial_tail_is_exact() -> None:
    assert at_most(1, 3, 0.5) == pytest.approx(0.5)
    assert at_most(2, 10, 0.0) == 1.0
    assert at_most(2, 10, 1.0) == 0.0


def test_a_bar_that_is_certified_keeps_what_it_promises_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(7)
    broken, certified = 0, 0
    for _ in range(200):
        sure = draw.random(400)
        lost = (draw.random(400) < 0.35 * (1 - sure)).astype(np.float64)
        found = certify(sure, lost, Promise(loss=0.05, confidence=0.9))
        if isinstance(found, Certificate):
            certified += 1
            # Share of all requests that are kept and lost: the integral of 0.35 (1 - s) above it.
            broken += 0.35 * (1 - found.bar) ** 2 / 2 > 0.05

    assert certified > 150
    assert broken <= 26


def test_a_stricter_promise_never_keeps_more() -> None:
    draw = np.random.default_rng(3)
    sure = draw.random(600)
    lost = (draw.random(600) < 0.3 * (1 - sure)).astype(np.float64)

    kept = []
    for loss in (0.04, 0.08, 0.12):
        found = certify(sure, lost, Promise(loss=loss))
        assert isinstance(found, Certificate)
        assert found.most_loss <= loss
        kept.append(found.kept)

    assert kept == sorted(kept)


def test_drafts_that_are_equally_sure_are_kept_or_escalated_together() -> None:
    sure = np.repeat([0.9, 0.1], 200)
    lost = np.r_[np.zeros(200), np.ones(200)]

    found = certify(sure, lost, Promise(loss=0.05))

    assert isinstance(found, Certificate)
    assert (found.bar, found.kept) == (0.9, 0.5)


def test_too_few_labels_are_refused_with_how_many_more_would_do() -> None:
    found = certify(np.linspace(0, 1, 20), np.zeros(20), Promise(loss=0.05))

    assert isinstance(found, Refused)
    # 0.95 ** 45 < 0.1 < 0.95 ** 44
    assert found.more_labels == 25
    enough = certify(np.linspace(0, 1, 45), np.zeros(45), Promise(loss=0.05))
    assert isinstance(enough, Certificate)


def test_no_number_of_labels_helps_where_too_much_is_lost() -> None:
    assert labels_needed(0.06, Promise(loss=0.05)) is None
    found = certify(np.ones(100), np.ones(100), Promise(loss=0.05))
    assert isinstance(found, Refused)
    assert found.more_labels is None


def test_no_labels_at_all_are_refused() -> None:
    found = certify(np.zeros(0), np.zeros(0), Promise(loss=0.1))

    assert isinstance(found, Refused)
    assert found.more_labels == 22


def test_loss_per_kept_answer_is_the_stricter_reading() -> None:
    draw = np.random.default_rng(5)
    sure = draw.random(800)
    lost = (draw.random(800) < 0.3 * (1 - sure)).astype(np.float64)

    of_all = certify(sure, lost, Promise(loss=0.08))
    of_kept = certify(sure, lost, Promise(loss=0.08, per="kept"))

    assert isinstance(of_all, Certificate)
    assert not isinstance(of_kept, Certificate) or of_kept.kept <= of_all.kept
