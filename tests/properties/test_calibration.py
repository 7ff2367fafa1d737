"""Whatever the labels: no question on two sides, and nothing written that was refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.goal import Goal
from router.calibration.labelled import Labelled
from router.calibration.parts import part
from router.calibration.tracefile import read_labelled
from router.confidence.guarantee import Certificate, at_most
from router.confidence.stored import Binding

BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


@given(st.lists(st.text(max_size=6), max_size=60), st.booleans())
def test_every_row_is_in_one_part_and_every_question_on_one_side(
    keys: list[str], early: bool
) -> None:
    parts = part([Labelled(key=key, right=1.0) for key in keys], early=early)

    together = [*parts.fit, *parts.test, *parts.early]
    assert sorted(together) == list(range(len(keys)))
    sides = [{keys[at] for at in some} for some in (parts.fit, parts.test, parts.early)]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]


@given(st.lists(st.text(min_size=1, max_size=6), max_size=30), st.text(min_size=1, max_size=6))
def test_more_labels_never_move_a_question_to_the_other_side(keys: list[str], more: str) -> None:
    def side(rows: list[str]) -> dict[str, bool]:
        found = part([Labelled(key=key, right=1.0) for key in rows]).fit.tolist()
        return {key: at in found for at, key in enumerate(rows)}

    before, after = side(keys), side([more, *keys])
    assert all(after[key] == before[key] for key in before)


@settings(max_examples=25)
@given(
    st.integers(0, 240),
    st.integers(0, 5),
    st.sampled_from(["loss", "spend", "quality"]),
    st.sampled_from([0.01, 0.05, 0.2]),
    st.sampled_from(["all", "kept"]),
)
def test_a_calibration_is_there_only_with_a_bar_that_passes_its_test(
    count: int, seed: int, kind: Any, amount: float, per: Any
) -> None:
    share = 1 - amount if kind == "quality" else amount
    goal = Goal(kind=kind, amount=share, per=per)

    found = calibrate(labels(count, seed=seed), goal, BINDING, made_at=0.0)

    assert (found.calibration is None) == (not isinstance(found.pooled, Certificate))
    if found.calibration is None or kind == "spend":
        return
    assert isinstance(found.pooled, Certificate)
    promise = found.calibration.promise
    assert promise is not None
    kept = [one for one in found.judged if one.low >= found.pooled.bar]
    lost = round(sum(one.row.lost for one in kept))
    trials = len(kept) if per == "kept" and kind == "loss" else len(found.judged)
    assert at_most(lost, trials, promise.loss) <= 1 - promise.confidence


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
LINE = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {},
        optional={
            name: JSON | st.just("text") | st.just(1)
            for name in ("prompt", "messages", "draft", "right", "logprobs", "strong_right", "cost")
        },
    ),
)


@given(st.lists(LINE, max_size=8))
def test_every_line_is_a_row_or_a_complaint(lines: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

        found = read_labelled(path)

    assert len(found.rows) + len(found.bad) == len(lines)
    assert all(f"{path}:" in bad for bad in found.bad)
