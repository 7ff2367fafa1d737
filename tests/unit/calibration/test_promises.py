"""How a promise could be false though nobody lies: copies, gaps, bars that are not held."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.labels import labels

from router.calibration.calibrate import Made, calibrate
from router.calibration.goal import Goal
from router.calibration.labelled import Labelled
from router.confidence.guarantee import Certificate, Refused
from router.confidence.stored import Binding

BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


def made(rows: list[Labelled], **goal: object) -> Made:
    return calibrate(rows, Goal(**goal), BINDING, made_at=0.0)  # type: ignore[arg-type]


def kept(found: Made) -> list[bool]:
    """What the street would do with the tested drafts, asked of the file itself."""
    assert found.calibration is not None
    told = [
        found.calibration.verdict(one.row.signals, one.row.task, one.row.language)
        for one in found.judged
    ]
    return [one.certified is True for one in told]


def test_copies_of_the_same_labels_certify_nothing_more() -> None:
    rows = labels(60)
    once = made(rows)
    copied = made(rows * 10)

    assert isinstance(once.pooled, Refused)
    assert isinstance(copied.pooled, Refused)
    assert copied.pooled.labels == once.pooled.labels
    assert copied.repeated == 9 * once.pooled.labels


def test_a_quality_is_not_promised_of_a_strong_tier_that_nobody_judged() -> None:
    rows = [dataclasses.replace(row, strong_right=None) for row in labels(1500)]

    found = made(rows, kind="quality", amount=0.9)

    assert isinstance(found.pooled, Refused)
    assert found.pooled.more_labels is None
    assert "strong tier was right" in found.pooled.reason


def test_a_quality_holds_where_some_of_the_strong_tiers_answers_are_unknown() -> None:
    """Half of its answers are right where they are known, and of the rest none is in truth."""
    rows = [
        dataclasses.replace(row, strong_right=None if at % 2 else 1.0)
        for at, row in enumerate(labels(3000))
    ]

    found = made(rows, kind="quality", amount=0.8)

    assert found.calibration is not None
    assert found.calibration.promise is not None
    assert found.calibration.promise.loss <= 0.2 * 0.5


def test_a_spend_counts_drafts_that_the_street_can_only_escalate() -> None:
    """Every third row is of a task of its own, which the fit can't have seen."""
    rows = [
        row if at % 3 else dataclasses.replace(row, task=f"task {at}")
        for at, row in enumerate(labels(900))
    ]

    found = made(rows, kind="spend", amount=0.3)

    if isinstance(found.pooled, Certificate):
        assert 1 - np.mean(kept(found)) <= 0.3
    assert isinstance(found.pooled, Refused)


@pytest.mark.parametrize("goal", [{}, {"kind": "spend", "amount": 0.4}, {"each": False}])
def test_what_is_said_to_be_kept_is_what_the_street_keeps(goal: dict[str, object]) -> None:
    found = made(labels(1200, hard=1.0), **{"amount": 0.08, **goal})

    assert found.kept() == kept(found)


def test_abort_bars_are_tested_on_the_drafts_that_the_street_keeps() -> None:
    rows = labels(2500, hard=2.0)

    found = made(rows, amount=0.08, early=True)

    assert found.calibration is not None
    assert found.calibration.early is not None
    aborts = found.calibration.early.aborts
    assert aborts is not None
    from router.calibration.parts import part

    told = [
        found.calibration.verdict(rows[at].signals, rows[at].task, rows[at].language)
        for at in part(rows, early=True).early
    ]
    assert aborts.drafts == sum(one.certified is True for one in told)
