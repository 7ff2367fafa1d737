"""Fitting, blending, buckets, unknown tasks, and what is stored of them."""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from router.confidence.arrays import chance
from router.confidence.estimator import Estimator
from router.confidence.fitting import Fitted, Recipe, fit
from router.confidence.gain import expected_gain
from router.confidence.logistic import fit_line
from router.confidence.measures import auroc, ece
from router.confidence.shift import settle
from router.confidence.stored import Binding, Calibration, from_bytes, to_bytes
from router.confidence.trees import Growth, grow
from router.errors import ConfigError

NAMES = ("plain", "curved", "noise")
QUICK = Recipe(growth=Growth(trees=40, rate=0.1))
BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


def answers(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Signals, labels, tasks and the true chances: one task is much harder."""
    draw = np.random.default_rng(seed)
    made = draw.normal(size=(rows, 3))
    tasks = ["easy" if hard else "hard" for hard in draw.random(rows) < 0.5]
    logit = 1.2 * made[:, 0] + 1.5 * (np.abs(made[:, 1]) < 0.7) - 0.8
    logit += np.where(np.array(tasks) == "easy", 1.5, -1.5)
    true = chance(logit)
    made[draw.random(made.shape) < 0.05] = np.nan
    return made, (draw.random(rows) < true).astype(np.float64), tasks, true


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    rows, right, tasks, _ = answers(1200)
    return fit(rows, NAMES, right, tasks, [str(x) for x in range(len(rows))], QUICK)


def test_chances_on_unseen_rows_rank_and_are_calibrated(fitted: Fitted) -> None:
    rows, right, tasks, true = answers(4000, seed=1)

    told = fitted.estimator.probabilities(rows, tasks)

    assert auroc(told, right) > auroc(true, right) - 0.03
    assert ece(told, right) < 0.04


def test_rows_left_out_are_judged_about_as_well_as_new_ones(fitted: Fitted) -> None:
    _, right, _, _ = answers(1200)
    rows, fresh, tasks, _ = answers(4000, seed=1)

    inside = auroc(fitted.crossed, right)
    outside = auroc(fitted.estimator.probabilities(rows, tasks), fresh)

    assert abs(inside - outside) < 0.03


def test_trees_find_what_a_line_cannot(fitted: Fitted) -> None:
    rows, right, _, _ = answers(1500)
    fresh, truth, _, _ = answers(3000, seed=2)

    line = fit_line(rows[:, 1:2], right, 1.0).logit(fresh[:, 1:2])
    trees = grow(rows[:, 1:2], right, Growth(trees=60, share=1.0)).logit(fresh[:, 1:2])

    assert auroc(line, truth) < 0.53
    assert auroc(trees, truth) > 0.57


def test_the_same_rows_give_the_same_forest() -> None:
    rows, right, _, _ = answers(300)

    one, other = grow(rows, right, Growth(trees=10)), grow(rows, right, Growth(trees=10))

    assert np.array_equal(one.leaf, other.leaf)
    assert np.array_equal(one.cut, other.cut)


def test_labels_that_are_all_alike_give_a_chance_and_no_error() -> None:
    rows, _, tasks, _ = answers(60)

    told = fit(rows, NAMES, np.ones(60), tasks, [str(x) for x in range(60)], QUICK)

    assert told.crossed.min() > 0.7
    assert np.isfinite(told.crossed).all()


def test_an_unknown_task_gets_a_wider_interval_and_a_lower_bar_value(fitted: Fitted) -> None:
    signals = {"plain": 1.0, "curved": 0.1, "noise": 0.0}

    known = fitted.estimator.estimate(signals, "easy")
    unknown = fitted.estimator.estimate(signals, "never seen")

    assert (known.bucket, unknown.bucket) == ("easy", None)
    assert unknown.high - unknown.low > 2 * (known.high - known.low)
    assert unknown.low < known.low < known.probability < known.high


def test_a_task_that_is_taken_out_is_judged_as_an_unknown_one(fitted: Fitted) -> None:
    rows, _, _, _ = answers(50)

    without = fitted.estimator.without_bucket("easy").probabilities(rows, ["easy"] * 50)

    assert np.array_equal(without, fitted.estimator.probabilities(rows, [None] * 50))


def test_a_small_task_is_held_near_all_the_others() -> None:
    rows, right, tasks, _ = answers(800)
    tasks[:3], right[:3] = ["tiny"] * 3, np.ones(3)

    told = fit(rows, NAMES, right, tasks, [str(x) for x in range(800)], QUICK).estimator

    offset = dict(zip(told.buckets, told.offset, strict=True))
    doubt = dict(zip(told.buckets, told.doubt, strict=True))
    assert abs(offset["tiny"]) < 0.7
    assert doubt["tiny"] > 2 * doubt["easy"]


def test_what_speaks_for_an_answer_is_named(fitted: Fitted) -> None:
    because = fitted.estimator.because({"plain": 2.0, "curved": 0.0, "noise": 0.0}, "hard")

    assert because[0][0] == "plain"
    assert because[0][1] > 0


def test_words_of_a_prompt_can_be_read_as_one_more_signal() -> None:
    draw = np.random.default_rng(0)
    right = (draw.random(400) < 0.5).astype(np.float64)
    prompts = [f"{'poem' if x else 'proof'} number {at}" for at, x in enumerate(right)]
    recipe = dataclasses.replace(QUICK, words=256, words_ridge=1.0)

    told = fit(np.full((400, 1), np.nan), ("none",), right, ["t"] * 400, prompts, recipe).estimator

    assert told.estimate({}, "t", "a poem").probability > 0.7
    assert told.estimate({}, "t", "a proof").probability < 0.3


def test_unlabelled_drafts_of_a_hard_task_pull_its_chances_down() -> None:
    draw = np.random.default_rng(0)
    right = draw.random(2000) < 0.15
    seen = chance(np.where(right, 1.2, -1.2) + draw.normal(size=2000))

    settled = settle(seen, 0.5)

    assert abs(settled.mean() - 0.15) < abs(seen.mean() - 0.15) / 2
    assert auroc(settled, right.astype(np.float64)) == pytest.approx(
        auroc(seen, right.astype(np.float64))
    )


def test_escalating_what_the_strong_tier_fails_too_gains_nothing() -> None:
    gain = expected_gain(np.array([0.1, 0.1, 0.9]), np.array([0.9, 0.0, 0.9]), np.full(3, 0.1))

    assert gain[0] > gain[2]
    assert gain[1] < 0


def test_what_is_stored_says_the_same_when_read_again(fitted: Fitted) -> None:
    rows, _, tasks, _ = answers(100)

    again = from_bytes(to_bytes(_calibration(fitted.estimator)), BINDING).estimator

    assert np.array_equal(
        again.probabilities(rows, tasks), fitted.estimator.probabilities(rows, tasks)
    )


@pytest.mark.parametrize("field", ["model", "quantisation", "engine"])
def test_a_foreign_calibration_is_refused_by_what_differs(fitted: Fitted, field: str) -> None:
    data = to_bytes(_calibration(fitted.estimator))

    with pytest.raises(ConfigError, match=field):
        from_bytes(data, dataclasses.replace(BINDING, **{field: "another"}))


def test_a_stale_calibration_is_refused(fitted: Fitted) -> None:
    data = to_bytes(_calibration(fitted.estimator))

    with pytest.raises(ConfigError, match="signals"):
        from_bytes(data, dataclasses.replace(BINDING, signals=99))


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[:-40],
        lambda data: b"",
        lambda data: b'{"format": 1}',
        lambda data: data.replace(b'"spread":', b'"spread":1', 1),
        lambda data: data.replace(b'"format":2', b'"format":3', 1),
    ],
)
def test_a_broken_calibration_is_refused(fitted: Fitted, broken: object) -> None:
    data = to_bytes(_calibration(fitted.estimator))
    assert callable(broken)

    with pytest.raises(ConfigError, match="escalated"):
        from_bytes(broken(data), BINDING)


def test_arrays_that_do_not_fit_are_refused_though_the_digest_is_right(fitted: Fitted) -> None:
    wrong = dataclasses.replace(fitted.estimator, names=("plain",))

    with pytest.raises(ConfigError, match=r"fit each other|does not name"):
        from_bytes(to_bytes(_calibration(wrong)), BINDING)


@pytest.mark.parametrize(
    "array",
    [{}, 7, {"type": "f", "shape": [9], "values": [1.0]}, {"type": "x", "shape": [], "values": []}],
)
def test_an_array_that_is_none_is_refused_though_the_digest_is_right(
    fitted: Fitted, array: object
) -> None:
    found = msgspec.json.decode(to_bytes(_calibration(fitted.estimator)))
    found["calibration"]["estimator"]["offset"] = array
    body = msgspec.json.encode(found["calibration"])
    found["sha256"] = sha256(body).hexdigest()

    with pytest.raises(ConfigError, match="escalated"):
        from_bytes(msgspec.json.encode(found), BINDING)


def test_the_file_is_plain_json(fitted: Fitted) -> None:
    found = msgspec.json.decode(to_bytes(_calibration(fitted.estimator)))

    assert found["format"] == 2
    assert found["calibration"]["estimator"]["names"] == list(NAMES)


def _calibration(estimator: Estimator) -> Calibration:
    return Calibration(binding=BINDING, estimator=estimator)
