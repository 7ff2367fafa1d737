"""The real device's drafts are judged by fits that never saw them, nor what they are about."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[3] / "benchmarks")


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("device_scores")
    for name in [name for name in sys.modules if name.startswith(("device_", "quality_"))]:
        del sys.modules[name]


def drafts(scores: Any, n: int = 400) -> Any:
    """Four kinds, two questions a subject; the state tells what is right, the tokens a little."""
    draw = np.random.default_rng(3)
    states = draw.normal(size=(n, 6))
    states[5] = np.nan
    hint = np.nan_to_num(states[:, 0])
    right = (hint + 0.5 * draw.normal(size=n) > 0).astype(np.float64)
    names = (*scores.TOKENS, "draft.length")
    rows = draw.normal(size=(n, len(names)))
    rows[:, 0] += 0.5 * right
    return scores.Labelled(
        names=names,
        rows=rows,
        states=states,
        layer=2,
        right=right,
        kinds=tuple(f"kind {at % 4}" for at in range(n)),
        subjects=tuple(f"subject {at // 2}" for at in range(n)),
    )


def turned(data: Any, which: np.ndarray) -> Any:
    return replace(data, right=np.where(which, 1 - data.right, data.right))


def test_a_draft_is_judged_without_its_outcome_or_its_subject_s(scores: Any) -> None:
    data = drafts(scores)
    ways = [way for way in scores.WAYS if way.recipe is scores.LINE]
    subject = np.array(data.subjects) == "subject 7"

    told = scores.known(data, ways)
    blind = scores.known(turned(data, subject), ways)

    assert subject.sum() == 2
    assert np.array_equal(told[subject], blind[subject])
    assert not np.array_equal(told, blind)
    assert np.isfinite(told).all()


def test_an_unseen_kind_is_judged_without_any_of_its_outcomes(scores: Any) -> None:
    data = drafts(scores)
    kind = np.array(data.kinds) == "kind 2"

    told = scores.unseen(data)
    blind = scores.unseen(turned(data, kind))

    assert np.array_equal(told[kind], blind[kind])
    assert not np.array_equal(told, blind)


def test_the_state_is_used_where_it_tells_more(scores: Any) -> None:
    data = drafts(scores)
    plain = [way for way in scores.WAYS if not way.probe and way.recipe is scores.LINE]
    ways = [way for way in scores.WAYS if way.recipe is scores.LINE]

    with_state = scores.within(scores.known(data, ways), data.right, data.kinds)
    without = scores.within(scores.known(data, plain), data.right, data.kinds)

    assert with_state > without + 0.1


def test_a_kind_that_is_always_right_has_no_order_within(scores: Any) -> None:
    score = np.array([0.1, 0.9, 0.2, 0.8])

    assert scores.within(score, np.array([0.0, 1.0, 1.0, 1.0]), ["a", "a", "b", "b"]) == 1.0


def test_on_the_first_day_some_drafts_are_kept_and_none_is_called_certified(scores: Any) -> None:
    device_set = importlib.import_module("device_set")
    device_cache = importlib.import_module("device_cache")
    questions = device_set.read()
    kept = device_cache.unpack(device_cache.kept_here(), questions)
    asked = list(zip(questions, kept.each, strict=True))[:: len(questions) // 100]

    stayed, certified = importlib.import_module("device_first_day").first_day(asked)

    assert 0 < stayed < len(asked)
    assert certified == 0
