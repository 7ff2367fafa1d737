"""`benchmarks/quality.py` reads of a row it judges nothing that is not known when it is judged."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[3] / "benchmarks")
SMALL, CHEAP = "gemma-2-2b-it", "gpt-4o-mini-2024-07-18"


def row(at: int, split: str) -> dict[str, Any]:
    draw = np.random.default_rng((at, len(split)))
    one, other = (int(x) for x in draw.integers(2, 30, 2))
    right = int(draw.random() < 0.6)
    said = one + other + (0 if right else 1)
    return {
        "id": f"{split}-{at}",
        "dataset": "sums" if at % 2 else "more sums",
        "prompt": f"What is {one} plus {other}?",
        "reference": str(one + other),
        "weak_output": f"{one} + {other} = {said}. The answer is {said}.",
        "weak_answer": str(said),
        "weak_correct": right,
        "strong_answer": str(one + other),
        "strong_correct": int(draw.random() < 0.9),
        "strong_cost": 0.002,
        "peers": {
            SMALL: {"answer": str(one + other), "correct": 1, "tokens": 5, "cost": 0.0},
            CHEAP: {"answer": str(one + other), "correct": 1, "tokens": 9, "cost": 0.0001},
        },
    }


def without_the_truth(judged: dict[str, Any]) -> dict[str, Any]:
    """The row as it is when it is judged: what came of it is turned into its opposite."""
    hidden = dict(judged)
    for name in ("weak_correct", "strong_correct"):
        hidden[name] = 1 - judged[name]
    hidden |= {"reference": "?", "strong_answer": "?", "strong_cost": 99.0}
    hidden["peers"] = {
        model: said | {"correct": 1 - said["correct"], "cost": 99.0}
        for model, said in judged["peers"].items()
    }
    return hidden


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("quality_scores")
    for name in [name for name in sys.modules if name.startswith("quality_")]:
        del sys.modules[name]


@pytest.mark.parametrize("kinds", [("draft",), ("draft", "votes")])
def test_a_pair_is_judged_without_its_outcome(scores: Any, kinds: tuple[str, ...]) -> None:
    train, judged = [row(at, "train") for at in range(80)], [row(at, "test") for at in range(30)]
    recipe = scores.LINE

    told = scores.pair(_sets(), train, judged, *kinds, recipe=recipe)
    blind = scores.pair(
        _sets(), train, [without_the_truth(x) for x in judged], *kinds, recipe=recipe
    )

    assert np.array_equal(told.good, blind.good)
    assert np.array_equal(told.escalate, blind.escalate)
    assert told.good.std() > 0.05


def test_a_prompt_is_judged_without_its_outcome_beside_another_pair(scores: Any) -> None:
    train, judged = [row(at, "train") for at in range(80)], [row(at, "test") for at in range(30)]
    beside = [row(at, "beside") for at in range(40)]
    same = [without_the_truth(x) for x in judged]

    told = scores.prompt_only(_sets(), train, judged, beside)

    assert np.array_equal(told, scores.prompt_only(_sets(), train, same, beside))
    assert np.array_equal(told, scores.prompt_only(_sets(), train, judged, [*beside, *same]))
    assert not np.allclose(told, scores.prompt_only(_sets(), train, judged))


def test_an_unknown_task_is_judged_without_its_outcome(scores: Any) -> None:
    train, judged = [row(at, "train") for at in range(80)], [row(at, "test") for at in range(30)]

    told = scores.unseen_task(_sets(), train, judged)
    blind = scores.unseen_task(_sets(), train, [without_the_truth(x) for x in judged])

    assert np.array_equal(told.good, blind.good)


def test_three_tiers_are_walked_without_the_outcome(scores: Any) -> None:
    tiers = importlib.import_module("quality_tiers")
    train, judged = [row(at, "train") for at in range(80)], [row(at, "test") for at in range(30)]
    walk = tiers.Walk(_sets(), train, votes=True, recipe=scores.LINE)

    told = walk.believe(judged)
    again = tiers.Walk(_sets(), train, votes=True, recipe=scores.LINE)
    blind = again.believe([without_the_truth(x) for x in judged])

    for name in ("first", "ends", "goes_on", "second", "cheap_usd", "strong_usd"):
        assert np.array_equal(getattr(told, name), getattr(blind, name)), name


def _sets() -> Any:
    """Signals anew, so that none is remembered of the row with its truth."""
    return importlib.import_module("quality_sets").Sets(Path())
