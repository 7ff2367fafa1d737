"""The probe of a calibration: whom it learns from, whom it judges, and what it adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.goal import Goal
from router.calibration.labelled import Labelled
from router.calibration.parts import part
from router.calibration.probing import probed
from router.confidence.evidence import EVIDENCE, PROBE
from router.confidence.measures import auroc
from router.confidence.stored import Binding, from_bytes, to_bytes
from router.layerstate import LayerState

BINDING = Binding(model="m", quantisation="q", engine="e")
GOAL = Goal(amount=0.2, each=False)
WIDTH = 24


def told(rows: list[Labelled], strength: float = 1.5, layer: int = 20) -> list[Labelled]:
    """The rows with states, one direction of which says more or less who is good."""
    draw = np.random.default_rng(8)
    made = []
    for row in rows:
        numbers = draw.normal(size=WIDTH)
        numbers[5] += strength * (row.good - 0.5)
        made.append(
            replace(row, state=LayerState(layer=layer, mean=numbers.astype("<f4").tobytes()))
        )
    return made


def test_what_the_probe_adds_is_said_and_it_goes_into_the_file() -> None:
    made = calibrate(told(labels(800)), GOAL, BINDING, made_at=0.0)

    assert made.probe is not None
    assert made.probe.auroc is not None
    assert made.probe.auroc_without is not None
    assert made.probe.auroc > made.probe.auroc_without + 0.02
    assert made.probe.within is not None
    assert made.probe.within_without is not None
    assert made.probe.within > made.probe.within_without
    assert made.probe.tested == made.probe.known == len(made.judged)
    assert made.calibration is not None
    assert made.calibration.counts is not None
    assert made.probe.fitted == made.calibration.counts.fitted
    back = from_bytes(to_bytes(made.calibration), BINDING)
    assert PROBE in back.estimator.names
    assert back.probe is not None
    assert back.probe.layer == made.probe.layer == 20


def test_a_state_that_tells_tasks_apart_and_nothing_else_adds_nothing_within_one() -> None:
    """Pooled it seems to rank, as one task has more good drafts than the other."""
    rows = labels(600, hard=3.0)
    draw = np.random.default_rng(8)
    numbers = [draw.normal(size=WIDTH) + 4 * (row.task == "words") for row in rows]
    states = [LayerState(layer=20, mean=one.astype("<f4").tobytes()) for one in numbers]
    blind = [replace(row, signals={}, state=one) for row, one in zip(rows, states, strict=True)]

    made = calibrate(blind, GOAL, BINDING, made_at=0.0)

    assert made.probe is not None
    assert made.probe.auroc is not None
    assert made.probe.within is not None
    assert made.probe.auroc > 0.6
    assert made.probe.within < 0.55


def test_the_certificate_s_rows_are_scored_as_the_street_would() -> None:
    made = calibrate(told(labels(800)), GOAL, BINDING, made_at=0.0)
    assert made.calibration is not None
    probe = made.calibration.probe
    assert probe is not None

    for one in made.judged[:50]:
        assert one.row.signals[PROBE] == probe.read_of(one.row.state)
        verdict = made.calibration.verdict(one.row.signals, one.row.task, one.row.language)
        assert verdict.low == pytest.approx(one.low, abs=1e-12)


def test_the_fit_s_own_rows_are_scored_by_a_probe_that_never_saw_them() -> None:
    """Of states that say nothing it says much on its own rows, and nothing on left-out ones."""
    rows = told(labels(300), strength=0.0)
    fit = part(rows).fit

    found, probe = probed(rows, fit)

    assert probe is not None
    good = np.array([rows[at].good for at in fit])
    given = np.array([found[at].signals[PROBE] for at in fit])
    own = np.array([probe.read_of(rows[at].state) for at in fit])
    assert auroc(own, good) > 0.6
    assert auroc(given, good) < 0.58


def test_labels_that_are_not_in_the_fit_change_nothing_of_the_probe() -> None:
    rows = told(labels(300))
    parts = part(rows)
    turned = list(rows)
    for at in parts.test:
        turned[at] = replace(rows[at], right=1 - rows[at].right)

    (_, one), (_, other) = probed(rows, parts.fit), probed(turned, parts.fit)

    assert one is not None
    assert other is not None
    assert one.as_plain() == other.as_plain()


def test_of_several_layers_the_commonest_is_read_and_the_others_are_unknown() -> None:
    rows = told(labels(400))
    rows[::4] = told(rows[::4], layer=7)

    found, probe = probed(rows, part(rows).fit)

    assert probe is not None
    assert probe.layer == 20
    assert [PROBE in row.signals for row in found[:8]] == [False, True, True, True] * 2


@pytest.mark.parametrize("rows", [labels(300), told(labels(60)), told(labels(300))[:40]])
def test_without_states_or_with_too_few_there_is_no_probe_and_no_such_signal(
    rows: list[Labelled],
) -> None:
    found, probe = probed(rows, part(rows).fit)

    assert probe is None
    assert found == rows


def test_without_states_a_calibration_is_as_it_was() -> None:
    made = calibrate(labels(500), GOAL, BINDING, made_at=0.0)

    assert made.probe is None
    assert made.calibration is not None
    assert made.calibration.probe is None
    assert set(made.calibration.estimator.names) <= set(EVIDENCE)
