"""Whatever labels are tested together, apart or again: the doubt is spent once at most."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import times
from support.labels import labels

from router.calibration.goal import Goal
from router.calibration.looks import Looks
from router.confidence.spending import share_of
from router.confidence.stored import Binding

BLOCKS = [labels(4, seed=seed) for seed in range(6)]
GOALS = (Goal(), Goal(amount=0.1), Goal(kind="spend", amount=0.2))
MODELS = (
    Binding(model="tiny", quantisation="int4", engine="e 1"),
    Binding(model="tiny", quantisation="int8", engine="e 1"),
)

Test = tuple[frozenset[int], int, int]
"""Which blocks of labels, which goal, which model."""

HISTORIES = st.lists(
    st.tuples(
        st.frozensets(st.integers(0, len(BLOCKS) - 1), min_size=1, max_size=4),
        st.integers(0, len(GOALS) - 1),
        st.integers(0, len(MODELS) - 1),
    ),
    max_size=25,
)


def numbers(history: list[Test]) -> list[int]:
    """The look that each test was, in order."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for at, (blocks, goal, model) in enumerate(history):
            looks = Looks(Path(folder))  # another run of the command
            rows = [row for block in sorted(blocks) for row in BLOCKS[block]]
            asked = looks.so_far(rows, GOALS[goal], MODELS[model])[1].look
            taken = looks.take(rows, GOALS[goal], MODELS[model], float(at), lambda _: True).look
            assert asked == taken
            found.append(taken)
    return found


@settings(max_examples=times(60), deadline=None)
@given(HISTORIES)
def test_no_history_of_tests_spends_more_than_the_doubt(history: list[Test]) -> None:
    spent: dict[tuple[int, int], Test] = {}
    for test, number in zip(history, numbers(history), strict=True):
        assert spent.setdefault((test[2], number), test) == test, "one share, spent on two tests"
    for model in range(len(MODELS)):
        assert sum(share_of(number) for of, number in spent if of == model) <= 1


@settings(max_examples=times(30), deadline=None)
@given(HISTORIES, HISTORIES)
def test_a_test_that_is_asked_again_costs_nothing_whatever_came_between(
    before: list[Test], between: list[Test]
) -> None:
    found = numbers([*before, *between, *before])

    assert found[len(before) + len(between) :] == found[: len(before)]
    assert len(set(zip([t[2] for t in before + between], found, strict=False))) == len(
        set(before + between)
    )


def test_two_sets_tested_apart_and_then_together_are_three_looks() -> None:
    one, other = frozenset({0}), frozenset({1})

    assert numbers([(one, 0, 0), (other, 0, 0), (one | other, 0, 0), (one, 0, 0)]) == [1, 2, 3, 1]
    assert sum(map(share_of, (1, 2, 3))) <= 1 < sum(map(share_of, (1, 1, 3)))


def test_a_label_that_is_turned_is_another_test() -> None:
    with tempfile.TemporaryDirectory() as folder:
        looks, rows = Looks(Path(folder)), BLOCKS[0]
        turned = [replace(rows[0], right=1 - rows[0].right), *rows[1:]]
        taken = [
            looks.take(some, Goal(), MODELS[0], 0.0, lambda _: True).look
            for some in (rows, turned, rows)
        ]

    assert taken == [1, 2, 1]
