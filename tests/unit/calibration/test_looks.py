"""Looks at a model: counted, shared out of one doubt, and remembered."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labels import labels

from router.calibration.calibrate import calibrate, may_pass
from router.calibration.goal import Goal, look_in_words
from router.calibration.labelled import Labelled
from router.calibration.looks import Looks
from router.confidence.guarantee import Certificate, Promise, Refused, certify
from router.confidence.spending import confidence_of, share_of, sure
from router.confidence.stored import Binding
from router.errors import ConfigError

TINY = Binding(model="tiny", quantisation="int4", engine="e 1")


def take(
    folder: Path,
    rows: list[Labelled],
    goal: Goal | None = None,
    binding: Binding = TINY,
    counts: Callable[[Goal], bool] = lambda _: True,
) -> int:
    return Looks(folder).take(rows, goal or Goal(), binding, 0.0, counts).look


def test_the_shares_of_all_looks_are_one_whole() -> None:
    shares = [share_of(look) for look in range(1, 10_001)]

    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert sum(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert confidence_of(0.9, 1) == pytest.approx(0.93)
    assert confidence_of(0.9, 2) == pytest.approx(0.985)


def test_more_labels_another_goal_and_another_confidence_are_looks(tmp_path: Path) -> None:
    rows = labels(60)

    assert take(tmp_path, rows[:40]) == 1
    assert take(tmp_path, rows) == 2
    assert take(tmp_path, rows, Goal(amount=0.1)) == 3
    assert take(tmp_path, rows, Goal(kind="spend", amount=0.2)) == 4
    assert take(tmp_path, rows, Goal(confidence=0.8)) == 5
    assert take(tmp_path, [replace(row, right=1 - row.right) for row in rows]) == 6


def test_the_same_test_again_is_the_same_look(tmp_path: Path) -> None:
    rows = labels(60)
    take(tmp_path, rows[:40])
    take(tmp_path, rows)

    assert take(tmp_path, rows[:40]) == 1
    assert take(tmp_path, rows, Goal(each=False)) == 2
    assert take(tmp_path, [replace(row, source="a copy elsewhere") for row in rows]) == 2
    assert take(tmp_path, labels(61)[60:] + rows) == 3


def test_another_model_or_build_begins_anew_and_labels_that_are_wholly_new_do_not(
    tmp_path: Path,
) -> None:
    first, second = labels(60, seed=1), labels(60, seed=2)
    take(tmp_path, first)

    assert take(tmp_path, second) == 2
    assert take(tmp_path, first + second) == 3
    assert take(tmp_path, first, binding=replace(TINY, quantisation="int8")) == 1
    assert take(tmp_path, first, binding=replace(TINY, model="small")) == 1
    assert take(tmp_path, first, binding=replace(TINY, engine="e 2")) == 1
    assert take(tmp_path, second) == 2


def test_a_test_that_can_not_pass_is_no_look(tmp_path: Path) -> None:
    rows = labels(400)
    few, same = rows[:60], [replace(row, right=1.0) for row in rows]

    for unfit in (few, same):
        goal = Goal()
        assert not may_pass(unfit, goal)
        assert take(tmp_path, unfit, goal, counts=lambda asked, u=unfit: may_pass(u, asked)) == 1
        assert isinstance(calibrate(unfit, goal, TINY, made_at=0.0).pooled, Refused)
    assert not (tmp_path / "looks.json").exists()
    assert take(tmp_path, rows, counts=lambda goal: may_pass(rows, goal)) == 1
    assert take(tmp_path, rows[:300], counts=lambda goal: may_pass(rows, goal)) == 2


@pytest.mark.parametrize("goal", [Goal(), Goal(kind="spend", amount=0.05), Goal(per="kept")])
def test_what_is_no_look_would_be_refused_though_every_label_were_the_best(goal: Goal) -> None:
    """One label fewer than `may_pass` asks for, all of them kept and none of them lost."""
    best = labels(400)
    for count in range(30, 400):
        rows = [
            replace(row, right=float(at % 4 > 0), strong_right=0.0)
            for at, row in enumerate(best[:count])
        ]
        if may_pass(rows, goal):
            break
        assert isinstance(calibrate(rows, goal, TINY, made_at=0.0).pooled, Refused)
    assert 90 < count < 120


def test_a_refusal_names_the_labels_that_the_next_look_will_need() -> None:
    sure, lost = np.ones(60), np.r_[np.ones(3), np.zeros(57)]
    now = certify(sure, lost, Promise(loss=0.06))
    later = certify(sure, lost, Promise(loss=0.06), again=0.99)

    assert isinstance(now, Refused)
    assert isinstance(later, Refused)
    assert now.more_labels is not None
    assert later.more_labels is not None
    assert later.more_labels > now.more_labels


def test_a_confidence_below_one_is_never_shown_as_one() -> None:
    assert "look 1000 at this model, tested at 0.99999997 conf" in look_in_words(Goal(look=1000))
    assert "tested at 0.99946 conf" in look_in_words(Goal(look=8))
    refused = certify(np.ones(20), np.zeros(20), Promise(loss=0.05, confidence=0.999995))
    assert isinstance(refused, Refused)
    assert "with confidence 0.999995." in refused.reason


def test_a_later_look_keeps_less_and_says_what_it_was_tested_at() -> None:
    rows = labels(1500)
    kept = []
    for look in (1, 2, 10):
        goal = Goal(amount=0.05, look=look)
        found = calibrate(rows, goal, TINY, made_at=0.0)
        assert isinstance(found.pooled, Certificate)
        assert found.calibration is not None
        assert found.calibration.promise is not None
        assert found.calibration.look == look
        assert found.calibration.promise.confidence == goal.tested
        assert found.calibration.says.startswith("with 0.9 confidence")
        said = f"look {look} at this model, tested at {sure(goal.tested)} conf"
        assert said in look_in_words(goal)
        kept.append(found.pooled.kept)

    assert kept[0] > kept[1] > kept[2]


def losses(sure: np.ndarray) -> np.ndarray:
    """Chance of a loss at a confidence: of all requests, 5 % at a bar of .426 and 20 % at none."""
    return 0.5 * (1 - sure) ** 1.5


def broken(draw: np.random.Generator, sizes: list[int], at: Callable[[int], float]) -> bool:
    """Whether any look on the way certified a bar that loses more than 5 % in truth."""
    sure = draw.random(sizes[-1])
    lost = (draw.random(sizes[-1]) < losses(sure)).astype(np.float64)
    for look, size in enumerate(sizes, 1):
        found = certify(sure[:size], lost[:size], Promise(loss=0.05, confidence=at(look)))
        if isinstance(found, Certificate) and 0.2 * (1 - found.bar) ** 2.5 > 0.05:
            return True
    return False


def test_ten_looks_break_a_promise_no_more_often_than_it_says() -> None:
    """Without a share for each look they do; `benchmarks/looks.py` has more of it."""
    sizes = [round(size) for size in np.geomspace(50, 600, 10)]
    runs = 150

    def share(at: Callable[[int], float]) -> float:
        draw = np.random.default_rng(5)
        return sum(broken(draw, sizes, at) for _ in range(runs)) / runs

    assert share(lambda _: 0.9) > 0.15
    assert share(lambda look: confidence_of(0.9, look)) <= 0.1


def test_what_is_remembered_names_no_question_and_is_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    take(folder, labels(60))
    path = folder / "looks.json"

    assert "question" not in path.read_text()
    if sys.platform != "win32":
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.stat(folder).st_mode & 0o777 == 0o700
    assert sorted(one.name for one in folder.iterdir() if one.suffix != ".lock") == ["looks.json"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 1, "counts": []}', '{"looks": []}', '{"format": 2, "looks": 3}'],
)
def test_a_broken_memory_is_told_and_nothing_is_tested(tmp_path: Path, content: str) -> None:
    (tmp_path / "looks.json").write_text(content)

    with pytest.raises(ConfigError, match="move it away to count from one again"):
        take(tmp_path, labels(60))
    assert (tmp_path / "looks.json").read_text() == content


def test_without_a_place_to_remember_nothing_is_tested(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be held"):
        take(tmp_path / "file", labels(60))
