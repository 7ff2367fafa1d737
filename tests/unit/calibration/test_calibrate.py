"""Labels to a calibration: the honest split, what is certified, what is refused and why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.goal import LEAST, Goal, first_labels, in_words, outlook
from router.calibration.labelled import Labelled
from router.calibration.parts import part
from router.confidence.guarantee import Certificate, Refused
from router.confidence.stored import Binding

BINDING = Binding(model="phi", quantisation="int4", engine="ort 0.18")


def made(rows: list[Labelled], **goal: object):  # type: ignore[no-untyped-def]
    return calibrate(rows, Goal(**goal), BINDING, made_at=0.0)  # type: ignore[arg-type]


def test_a_bar_is_certified_on_rows_that_the_fit_never_saw() -> None:
    rows = labels(800)
    parts = part(rows)

    found = made(rows)

    assert isinstance(found.pooled, Certificate)
    assert found.calibration is not None
    assert [one.row for one in found.judged] == [rows[at] for at in parts.test]
    assert found.pooled.labels == len(parts.test)
    # What the fit doesn't hang on is what was not fitted on.
    turned = [
        dataclasses.replace(row, right=1 - row.right) if at in set(parts.test.tolist()) else row
        for at, row in enumerate(rows)
    ]
    assert [one.low for one in made(turned).judged] == [one.low for one in found.judged]


def test_the_file_says_what_it_was_made_of_and_what_it_promises() -> None:
    found = made(labels(800)).calibration

    assert found is not None
    assert found.counts is not None
    assert found.counts.labels == found.counts.fitted + found.counts.certified == 800
    assert found.counts.tasks == {"sums": 400, "words": 400}
    assert found.counts.languages == {"en": 600, "de": 200}
    assert found.says.startswith("with 0.9 confidence, at most 5.0% of requests")


def test_the_certified_bar_is_the_one_the_street_holds_drafts_against() -> None:
    found = made(labels(800))

    assert found.calibration is not None
    assert isinstance(found.pooled, Certificate)
    kept = [
        found.calibration.verdict(one.row.signals, one.row.task, one.row.language).low
        >= found.pooled.bar
        for one in found.judged
    ]
    assert np.mean(kept) == pytest.approx(found.pooled.kept)


def test_each_task_and_language_is_a_promise_of_its_own() -> None:
    found = made(labels(1200, hard=3.0), amount=0.08)

    assert set(found.tasks) == {"sums", "words"}
    assert set(found.languages) == {"de", "en"}
    tested = [one.labels for one in found.tasks.values()]
    assert isinstance(found.pooled, Certificate)
    assert sum(tested) == found.pooled.labels
    sums, words = found.tasks["sums"], found.tasks["words"]
    assert isinstance(sums, Certificate)
    assert isinstance(words, Refused) or words.kept < sums.kept


def test_a_refused_task_stops_nothing() -> None:
    rows = labels(800) + [
        dataclasses.replace(row, task="rare", key=f"rare {row.key}") for row in labels(6, seed=9)
    ]

    found = made(rows)

    assert found.calibration is not None
    assert isinstance(found.tasks["rare"], Refused)
    assert found.tasks["rare"].more_labels is not None
    assert "rare" not in found.calibration.tasks


def test_one_task_that_is_all_is_not_promised_twice() -> None:
    assert made(labels(400, tasks=("only",)), amount=0.1).tasks == {}


def test_a_pooled_promise_is_for_all_together_alone() -> None:
    found = made(labels(800), each=False)

    assert (found.tasks, found.languages) == ({}, {})
    assert isinstance(found.pooled, Certificate)
    assert found.calibration is not None
    assert found.calibration.bar("sums", "de") == found.pooled.bar


def test_too_few_labels_are_refused_with_how_many_more_would_do() -> None:
    found = made(labels(LEAST - 1))

    assert found.calibration is None
    assert isinstance(found.pooled, Refused)
    needed, lost, seen = outlook(labels(LEAST - 1), Goal())
    assert needed is not None
    assert (found.pooled.more_labels, seen) == (needed - (LEAST - 1), True)
    assert lost == np.mean([row.lost for row in labels(LEAST - 1)])


def test_without_labels_half_of_the_drafts_are_taken_to_be_losses() -> None:
    needed, lost, seen = outlook([], Goal())

    assert needed is not None
    assert needed > 90
    assert (lost, seen) == (0.5, False)


def test_labels_that_all_say_the_same_are_refused() -> None:
    rows = [dataclasses.replace(row, right=1.0) for row in labels(200)]

    found = made(rows)

    assert found.calibration is None
    assert isinstance(found.pooled, Refused)
    assert found.pooled.more_labels is None


def test_drafts_that_lose_too_much_everywhere_are_refused_for_good() -> None:
    draw = np.random.default_rng(0)
    rows = [
        dataclasses.replace(row, right=float(draw.random() < 0.1), strong_right=1.0)
        for row in labels(600)
    ]

    found = made(rows, per="kept")

    assert found.calibration is None
    assert isinstance(found.pooled, Refused)


def test_a_wrong_draft_counts_as_lost_where_the_strong_tier_is_not_known() -> None:
    row = Labelled(key="k", right=0.0)

    assert row.lost == 1.0
    assert dataclasses.replace(row, strong_right=0.0).lost == 0.0
    assert dataclasses.replace(row, right=0.5).lost == 0.0


def test_a_spend_keeps_most_and_promises_nothing_of_tasks() -> None:
    found = made(labels(400), kind="spend", amount=0.2)

    assert isinstance(found.pooled, Certificate)
    assert found.pooled.kept >= 0.8
    assert found.tasks == {}


def test_a_share_of_quality_is_certified_as_the_loss_it_allows() -> None:
    found = made(labels(1500), kind="quality", amount=0.9)

    assert isinstance(found.pooled, Certificate)
    assert found.calibration is not None
    assert found.calibration.goal == "quality"
    assert found.calibration.promise is not None
    assert 0.08 < found.calibration.promise.loss < 0.09  # a tenth of what is about 0.9 right


def test_early_bars_are_tested_on_rows_of_their_own() -> None:
    rows = labels(2500)
    parts = part(rows, early=True)

    found = made(rows, amount=0.08, early=True)

    assert found.calibration is not None
    assert found.calibration.early is not None
    assert found.calibration.counts is not None
    assert found.calibration.counts.early == len(parts.early)
    aborts = found.calibration.early.aborts
    assert aborts is not None
    assert aborts.most_cut <= 0.02
    assert aborts.drafts <= len(parts.early)


def test_the_first_certificate_takes_as_many_labels_as_are_said() -> None:
    assert first_labels(Goal()) == 104
    assert first_labels(Goal(early=True)) == 174
    assert first_labels(Goal(), rate=0.05) is None
    assert in_words(Goal(kind="spend", amount=0.2)).endswith("20.0% of requests are escalated")


def test_the_same_labels_give_the_same_calibration() -> None:
    rows = labels(400)

    one, other = made(rows), made(rows)

    assert one.pooled == other.pooled
