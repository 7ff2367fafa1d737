"""What is found out about a set, and what is said of two on the same rows."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from router.confidence.guarantee import Certificate, Promise, upper_bound
from router.confidence.measures import risks
from router.evaluation.asjson import plain
from router.evaluation.compare import compare
from router.evaluation.findings import find
from router.evaluation.judged import Judged, Tier, numbered
from router.evaluation.looks import coverage, groups, reliability, worths
from router.evaluation.measured import measure
from router.evaluation.resample import intervals, resamples, share_interval

DRAW = np.random.default_rng(7)
N = 400
TRUTH = DRAW.random(N)
RIGHT = (DRAW.random(N) < TRUTH).astype(float)
SET = Judged(
    name="made",
    source="the truth",
    confidence=TRUTH,
    device=Tier(name="small", right=RIGHT, usd=np.zeros(N)),
    others=(
        Tier(name="cheap", right=(DRAW.random(N) < 0.85).astype(float), usd=np.full(N, 0.0002)),
        Tier(name="strong", right=(DRAW.random(N) < 0.95).astype(float), usd=np.full(N, 0.01)),
    ),
    tasks=tuple("sums" if at % 4 else "names" for at in range(N)),
    languages=tuple("en" if at % 2 else "de" for at in range(N)),
    prompts=numbered([str(at) for at in range(N)]),
    raw=np.clip(TRUTH + 0.3, 0, 1),
    raw_name="raw",
    signals={"truth": TRUTH, "noise": DRAW.random(N), "less": -TRUTH, "same": np.ones(N)},
)


def test_figures_have_intervals_that_hold_them() -> None:
    found = find(SET, bar=0.7, times=60)

    for name in ("AUROC", "AURC", "APGR", "calls at 95 %", "kept", "loss", "quality", "spend"):
        figure = found.figure(name)
        assert figure is not None, name
        assert figure.interval is not None
        assert figure.interval.low <= figure.value <= figure.interval.high


def test_a_figure_that_cannot_be_told_is_left_out() -> None:
    alone = replace(SET, others=(), device=replace(SET.device, right=np.ones(N)))
    found = find(alone, times=10)

    assert [figure.name for figure in found.figures] == ["ECE", "AURC"]
    assert found.routing is None
    assert found.bar is None


def test_a_strong_tier_that_is_no_stronger_has_no_gap_to_recover() -> None:
    worse = replace(SET, others=(Tier(name="strong", right=np.zeros(N), usd=np.ones(N)),))

    assert "APGR" not in measure(worse, None)
    assert find(worse, times=10).routing is None


def test_at_a_bar_kept_right_loss_and_spend_are_counts_of_rows() -> None:
    found = measure(SET, 0.7)
    kept = TRUTH >= 0.7

    assert found["kept"] == kept.mean()
    assert found["right when kept"] == RIGHT[kept].mean()
    assert found["loss"] == (kept & (SET.strong.right > RIGHT)).mean()
    assert found["spend"] == pytest.approx((~kept).mean())


def test_without_a_bar_one_is_picked_here_and_said_to_be() -> None:
    found = find(SET, times=10)

    assert found.bar is not None
    assert found.bar.here
    quality = found.figure("quality")
    assert quality is not None
    assert quality.value >= 0.95 * SET.strong.right.mean()


def test_a_certified_bar_comes_with_its_promise_and_the_bound_seen_here() -> None:
    promise = Promise(loss=0.05, confidence=0.95, per="kept")
    certificate = Certificate(bar=0.8, kept=0.2, loss=0.0, most_loss=0.04, labels=200)
    found = find(SET, certificate=certificate, promise=promise, times=10)
    kept = TRUTH >= 0.8
    lost = int((kept & (SET.strong.right > RIGHT)).sum())

    assert found.bar is not None
    assert not found.bar.here
    assert (found.bar.value, found.bar.promise) == (0.8, promise)
    assert found.bar.most_loss == upper_bound(lost, int(kept.sum()), 0.95)
    mine = find(SET, bar=0.6, certificate=certificate, promise=promise, times=10).bar
    assert mine is not None
    assert (mine.value, mine.promise) == (0.6, None)


def test_the_same_rows_give_the_same_findings() -> None:
    assert plain(find(SET, times=10)) == plain(find(SET, times=10))


def test_findings_are_json_without_numbers_that_are_none() -> None:
    told = find(replace(SET, confidence=np.zeros(N)), bar=0.5, times=10)

    text = json.dumps(plain(told), allow_nan=False)
    assert '"AUROC"' in text


def test_rows_of_one_prompt_are_drawn_together() -> None:
    keys = numbered(["a", "b", "a", "c", "b", "a"])

    for rows in resamples(keys, times=20):
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3


def test_a_figure_most_samples_lack_has_no_interval() -> None:
    ends = intervals(lambda rows: {"x": math.nan, "y": 1.0}, numbered(["a", "b"]), times=10)

    assert set(ends) == {"y"}


def test_wilsons_interval_is_that_of_the_book() -> None:
    found = share_interval(8, 10)

    assert (found.low, found.high) == (
        pytest.approx(0.5413, abs=1e-3),
        pytest.approx(0.9312, abs=1e-3),
    )
    assert share_interval(0, 0).high == 1.0
    assert share_interval(0, 5).low == 0.0


def test_risk_does_not_hang_on_the_order_of_tied_rows() -> None:
    tied, right = np.array([0.5, 0.5, 0.5, 0.9]), np.array([1.0, 0.0, 0.0, 1.0])

    assert risks(tied, right) == pytest.approx([0, (2 / 3) / 2, (4 / 3) / 3, 2 / 4])
    assert risks(tied[::-1], right[::-1]) == pytest.approx(risks(tied, right))


def test_bins_hold_every_answer_once() -> None:
    told = reliability("confidence", np.array([0.0, 0.05, 0.55, 1.0]), np.array([0.0, 1, 1, 1]))

    assert [(each.rows, each.right) for each in told.bins] == [(2, 0.5), (1, 1.0), (1, 1.0)]
    assert told.bins[0].confidence == pytest.approx(0.025)


def test_coverage_ends_with_all_answers() -> None:
    told = coverage("confidence", TRUTH, RIGHT)

    assert told.coverage[-1] == 1
    assert told.risk[-1] == pytest.approx(1 - RIGHT.mean())


def test_signals_are_turned_so_that_each_is_worth_at_least_chance() -> None:
    told = {worth.signal: worth for worth in worths(SET, lambda name: np.full(N, 0.5))}

    assert "same" not in told  # what is alike everywhere tells nothing
    assert told["truth"].alone == pytest.approx(told["less"].alone)
    assert (told["truth"].more, told["less"].more) == (True, False)
    assert told["truth"].alone > 0.75
    assert 0.6 > told["noise"].alone >= 0.5
    assert told["truth"].adds == pytest.approx(measure(SET, None)["AUROC"] - 0.5)
    assert told["truth"].within == pytest.approx(told["truth"].alone, abs=0.05)


def test_groups_are_counted_and_the_largest_is_first() -> None:
    sums, names = groups(SET, SET.tasks, 0.7)

    assert (sums.name, sums.rows, names.rows) == ("sums", 300, 100)
    here = np.array(SET.tasks) == "sums"
    kept = here & (TRUTH >= 0.7)
    assert sums.kept == pytest.approx(kept.sum() / 300)
    assert sums.wrong_kept == pytest.approx(1 - RIGHT[kept].mean())


def test_a_better_confidence_is_told_from_a_worse_on_the_same_rows() -> None:
    noise = replace(SET, confidence=np.random.default_rng(1).random(N), source="noise")
    there = {change.name: change.verdict for change in compare(SET, noise, times=60)}
    back = {change.name: change.verdict for change in compare(noise, SET, times=60)}

    assert there["AUROC"] == there["AURC"] == there["APGR"] == "worse"
    assert back["AUROC"] == back["AURC"] == back["APGR"] == "better"
    assert "blind mix at 95 %" not in there


def test_a_confidence_is_not_told_from_itself() -> None:
    for change in compare(SET, SET, times=20):
        assert change.verdict == "can't be told"


def test_pairing_sees_what_two_intervals_do_not() -> None:
    slightly = replace(
        SET, confidence=np.clip(TRUTH + np.random.default_rng(2).normal(0, 0.1, N), 0, 1)
    )
    change = next(c for c in compare(SET, slightly, times=200) if c.name == "AUROC")
    alone = find(SET, times=200).figure("AUROC")

    assert change.interval is not None
    assert alone is not None
    assert alone.interval is not None
    assert change.verdict == "worse"
    assert alone.interval.low < change.other < alone.interval.high


def test_two_sets_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        compare(SET, SET.some(np.arange(10)))


def test_nothing_is_not_judged() -> None:
    with pytest.raises(ValueError, match="nothing to judge"):
        find(SET.some(np.arange(0)))
