"""What asking the strong tier is expected to add: counted by task, drawn towards all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.calibrations import calibration
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.goal import Goal
from router.confidence.gain import Gains, Odds, gains
from router.confidence.stored import Binding, from_bytes, to_bytes
from router.errors import ConfigError

BINDING = Binding(model="m", quantisation="q", engine="e")


def test_a_wrong_draft_that_the_strong_tier_fails_too_gains_nothing() -> None:
    good = [False] * 40 + [True] * 40
    hard = gains(good, [False] * 40 + [True] * 40, ["t"] * 80)
    easy = gains(good, [True] * 80, ["t"] * 80)

    assert hard is not None
    assert easy is not None
    assert hard.expected(0.1, "t") == 0
    assert easy.expected(0.1, "t") == pytest.approx(0.9)


def test_where_the_strong_tier_spoils_what_was_right_the_gain_is_below_zero() -> None:
    found = gains([False] * 20 + [True] * 20, [True] * 20 + [False] * 20, ["t"] * 40)

    assert found is not None
    assert found.expected(0.9, "t") == pytest.approx(0.1 - 0.9)


def test_a_task_of_few_labels_is_drawn_towards_all_and_one_of_none_is_all() -> None:
    """Of 100 wrong drafts of one task half are rescued, of 2 of the other both."""
    good = [False] * 102 + [True] * 20
    strong = [True, False] * 50 + [True] * 22
    found = gains(good, strong, ["many"] * 100 + ["few"] * 2 + ["many"] * 20)

    assert found is not None
    overall = found.overall.rescue
    assert overall == pytest.approx(52 / 102)
    assert found.tasks["few"].rescue == pytest.approx((2 + 20 * overall) / 22)
    assert found.tasks["many"].rescue == pytest.approx((50 + 20 * overall) / 120)
    assert found.expected(0.5, "none") == found.expected(0.5, None) == 0.5 * overall


def test_of_too_few_drafts_of_a_kind_nothing_is_said() -> None:
    assert gains([False] * 9 + [True] * 90, [True] * 99, ["t"] * 99) is None
    assert gains([False] * 90 + [True] * 9, [True] * 99, ["t"] * 99) is None


def test_a_calibration_keeps_it_and_labels_that_don_t_tell_leave_it_unknown() -> None:
    rows = labels(900)
    made = calibrate(rows, Goal(amount=0.1), BINDING, made_at=0.0).calibration
    silent = [replace(row, strong_right=None) for row in rows]
    mute = calibrate(silent, Goal(amount=0.1), BINDING, made_at=0.0).calibration

    assert made is not None
    assert made.gains is not None
    assert from_bytes(to_bytes(made), BINDING).gains == made.gains
    told = [made.verdict(row.signals, row.task, row.language) for row in rows]
    for one, row in zip(told, rows, strict=True):
        assert one.gain == pytest.approx(made.gains.expected(one.probability, row.task))
    # The strong tier is right nine times of ten, whatever the draft is.
    assert made.gains.overall.rescue == pytest.approx(0.9, abs=0.05)
    assert made.gains.overall.slip == pytest.approx(0.1, abs=0.05)
    said, was = (
        np.array([one.gain for one in told]),
        np.array([r.strong_right - r.right for r in rows]),
    )
    third = np.argsort(said)
    assert was[third[:300]].mean() + 0.3 < was[third[-300:]].mean()
    if mute is not None:
        assert mute.gains is None
        assert mute.verdict(rows[0].signals, rows[0].task, rows[0].language).gain is None


def test_chances_that_are_none_are_refused() -> None:
    made = replace(calibration(), gains=Gains(overall=Odds(rescue=1.5, slip=0.0), tasks={}))

    with pytest.raises(ConfigError, match="chances that are none"):
        from_bytes(to_bytes(made), None)
