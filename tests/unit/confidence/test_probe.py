"""A line over a middle layer's states: what it finds, what it refuses, and how it is stored."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from router.confidence import probe
from router.confidence.arrays import FloatArray
from router.confidence.measures import auroc
from router.confidence.probe import LEAST, FittedProbe, Probe, fit_probe

WIDTH = 96


def states(rows: int, seed: int = 0, width: int = WIDTH) -> tuple[FloatArray, FloatArray]:
    """A few things that vary, seen in many numbers of unlike sizes; one says who is right."""
    draw = np.random.default_rng(seed)
    size = np.geomspace(0.1, 300.0, width)
    seen = np.random.default_rng(99).normal(size=(12, width))
    causes = draw.normal(size=(rows, 12))
    made = causes @ seen + draw.normal(size=(rows, width))
    right = draw.random(rows) < 1 / (1 + np.exp(-3 * causes[:, 0]))
    return made * size + 5 * size, right.astype(np.float64)


def keys(rows: int) -> list[str]:
    return [f"question {n}" for n in range(rows)]


@pytest.fixture(scope="module")
def fitted() -> FittedProbe:
    found = fit_probe(*states(900), keys(900), layer=20)
    assert found is not None
    return found


def as_bytes(state: FloatArray) -> bytes:
    return state.astype("<f4").tobytes()


def test_new_rows_are_ranked_and_rows_left_out_say_how_well(fitted: FittedProbe):
    _, right = states(900)
    fresh, true = states(3000, seed=1)

    outside = auroc(fitted.probe.line.logit(fresh), true)
    inside = auroc(fitted.crossed, right)

    assert outside > 0.8
    assert abs(inside - outside) < 0.04


@pytest.mark.parametrize("width", [WIDTH, 500], ids=["narrow", "wider than there are rows"])
def test_states_that_say_nothing_leave_nothing_to_say(width: int):
    draw = np.random.default_rng(5)
    noise, right = draw.normal(size=(300, width)), (draw.random(300) < 0.5).astype(np.float64)

    found = fit_probe(noise, right, keys(300), layer=0)

    assert found is not None
    assert 0.4 < auroc(found.crossed, right) < 0.6
    assert found.ridge >= 300.0


def test_states_wider_than_there_are_rows_are_read_too():
    found = fit_probe(*states(300, width=500), keys(300), layer=1)
    assert found is not None
    fresh, true = states(2000, seed=1, width=500)

    assert auroc(found.probe.line.logit(fresh), true) > 0.8


def test_the_widest_directions_alone_are_read_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(probe, "_DIRECTIONS", 12)
    found = fit_probe(*states(400), keys(400), layer=1)
    assert found is not None
    fresh, true = states(2000, seed=1)
    monkeypatch.setattr(probe, "_DIRECTIONS", 1)
    poor = fit_probe(*states(400), keys(400), layer=1)
    assert poor is not None

    assert auroc(found.probe.line.logit(fresh), true) > 0.8
    assert auroc(poor.probe.line.logit(fresh), true) < 0.75


def test_rows_of_one_key_are_never_judged_by_each_other():
    draw = np.random.default_rng(3)
    once, labels = draw.normal(size=(100, 40)), (draw.random(100) < 0.5).astype(np.float64)
    twice, both = np.repeat(once, 4, axis=0), np.repeat(labels, 4)

    kept = fit_probe(twice, both, [str(n // 4) for n in range(400)], layer=0)
    parted = fit_probe(twice, both, keys(400), layer=0)

    assert kept is not None
    assert parted is not None
    assert auroc(kept.crossed, both) < 0.65
    assert auroc(parted.crossed, both) > 0.75


def test_a_state_s_bytes_are_read_as_the_fit_read_it(fitted: FittedProbe):
    fresh, _ = states(20, seed=2)

    read = [fitted.probe.read(20, as_bytes(state)) for state in fresh]

    assert read == pytest.approx(fitted.probe.line.logit(fresh), abs=1e-4)


def test_what_is_not_its_layer_s_state_is_unknown(fitted: FittedProbe):
    state = as_bytes(states(1)[0][0])
    broken = as_bytes(np.full(WIDTH, np.nan))

    assert fitted.probe.read(20, state) is not None
    assert fitted.probe.read(19, state) is None
    assert fitted.probe.read(20, state[:-4]) is None
    assert fitted.probe.read(20, b"") is None
    assert fitted.probe.read(20, broken) is None


def test_it_comes_back_from_a_file_the_same_to_the_last_bit(fitted: FittedProbe):
    text = json.dumps(fitted.probe.as_plain())
    back = Probe.from_plain(json.loads(text))
    state = as_bytes(states(1)[0][0])

    assert back.read(20, state) == fitted.probe.read(20, state)
    assert back.as_plain() == fitted.probe.as_plain()
    assert len(text) < 45 * WIDTH


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer", -1),
        ("layer", "20"),
        ("base", None),
        ("base", float("nan")),
        ("centre", [1.0]),
        ("slope", []),
        ("slope", ["a"] * WIDTH),
        ("slope", None),
        ("scale", [0.0] * WIDTH),
        ("centre", [math.inf] * WIDTH),
    ],
)
def test_what_does_not_fit_together_is_refused(fitted: FittedProbe, name: str, value: object):
    with pytest.raises(ValueError, match=r"probe|could not"):
        Probe.from_plain(fitted.probe.as_plain() | {name: value})


def test_what_lacks_a_part_is_refused(fitted: FittedProbe):
    plain = fitted.probe.as_plain()
    del plain["scale"]

    with pytest.raises(ValueError, match="missing"):
        Probe.from_plain(plain)


@pytest.mark.parametrize("right", [0, 4, LEAST])
def test_too_few_rows_or_rows_all_alike_are_no_ground_for_one(right: int):
    target = (np.arange(LEAST) < right).astype(np.float64)

    assert fit_probe(states(LEAST)[0], target, keys(LEAST), layer=0) is None
    assert fit_probe(*states(LEAST - 1), keys(LEAST - 1), layer=0) is None


def test_rows_of_a_single_key_can_not_be_left_out():
    assert fit_probe(*states(200), ["one"] * 200, layer=0) is None
