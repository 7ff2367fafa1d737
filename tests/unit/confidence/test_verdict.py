"""What a calibration says of one draft: the strictest bar that applies, or that none does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from router.confidence.early import Aborts, Commit, EarlyBar, EarlyBars
from router.confidence.estimator import Estimator
from router.confidence.fitting import Recipe, fit
from router.confidence.guarantee import Certificate
from router.confidence.stored import Binding, Calibration, Counts, from_bytes, to_bytes

BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


def certificate(bar: float) -> Certificate:
    return Certificate(bar=bar, kept=0.5, loss=0.01, most_loss=0.04, labels=200)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(400, 1))
    right = (draw.random(400) < 1 / (1 + np.exp(-3 * rows[:, 0]))).astype(np.float64)
    tasks = ["sums", "words"] * 200
    keys = [str(at) for at in range(400)]
    return fit(rows, ["sure"], right, tasks, keys, Recipe(growth=None)).estimator


@pytest.fixture
def calibration(estimator: Estimator) -> Calibration:
    return Calibration(
        binding=BINDING,
        estimator=estimator,
        certificate=certificate(0.6),
        says="a promise",
        tasks={"sums": certificate(0.7)},
        languages={"de": certificate(0.8)},
        early=EarlyBars(
            aborts=Aborts(
                bars=(EarlyBar(tokens=16, mean_logprob=-2.0),),
                cut=0.0,
                most_cut=0.02,
                drafts=120,
                given_up=0.4,
            ),
            commits=(
                Commit(
                    bar=EarlyBar(tokens=32, mean_logprob=-0.1),
                    shown=0.2,
                    loss=0.01,
                    most_loss=0.04,
                    drafts=300,
                ),
            ),
        ),
        counts=Counts(
            labels=400,
            fitted=200,
            certified=200,
            tasks={"sums": 200, "words": 200},
            languages={"en": 300, "de": 100},
        ),
        made_at=1_780_000_000.0,
        valid_until=1_790_000_000.0,
    )


def test_the_strictest_bar_that_applies_is_held(calibration: Calibration) -> None:
    assert calibration.bar("words", "en") == 0.6
    assert calibration.bar("sums", "en") == 0.7
    assert calibration.bar("sums", "de") == 0.8


def test_nothing_is_promised_where_nobody_labelled(calibration: Calibration) -> None:
    sure = {"sure": 3.0}

    for task, language in (("poems", "en"), (None, "en"), ("words", "fr"), ("words", None)):
        found = calibration.verdict(sure, task, language)
        assert (found.bar, found.certified) == (None, None)


def test_a_draft_is_certified_from_the_bar_on(calibration: Calibration) -> None:
    found = calibration.verdict({"sure": 3.0}, "words", "en")

    assert found.certified is True
    assert found.bar is not None
    assert found.bar <= found.low < found.probability < found.high
    assert calibration.verdict({"sure": -3.0}, "words", "en").certified is False


def test_without_a_certificate_nothing_is_certified(estimator: Estimator) -> None:
    bare = Calibration(binding=BINDING, estimator=estimator)

    assert bare.verdict({"sure": 3.0}, "words", "en").certified is None


def test_every_part_is_there_when_it_is_read_again(calibration: Calibration) -> None:
    again = from_bytes(to_bytes(calibration), BINDING)

    for part in dataclasses.fields(Calibration):
        if part.name != "estimator":
            assert getattr(again, part.name) == getattr(calibration, part.name)
    assert again.verdict({"sure": 1.0}, "sums", "de") == calibration.verdict(
        {"sure": 1.0}, "sums", "de"
    )


def test_whatever_it_was_made_for_can_be_looked_at(calibration: Calibration) -> None:
    assert from_bytes(to_bytes(calibration), None).binding == BINDING


def test_its_time_may_be_over(calibration: Calibration) -> None:
    assert not calibration.stale(1_790_000_000.0)
    assert calibration.stale(1_790_000_001.0)
    assert not dataclasses.replace(calibration, valid_until=None).stale(9e9)


def test_lows_are_those_of_single_estimates(estimator: Estimator) -> None:
    rows = np.array([[0.3], [-1.0], [2.0]])
    tasks = ["sums", "poems", "words"]

    lows = estimator.lows(rows, tasks)

    for low, row, task in zip(lows, rows, tasks, strict=True):
        assert low == pytest.approx(estimator.estimate({"sure": row[0]}, task).low)
