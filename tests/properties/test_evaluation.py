"""Whatever the rows, figures of an evaluation keep to what they mean."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router.confidence.measures import aurc, risks
from router.evaluation.curves import (
    at_bar,
    cascades,
    cheapest_bar,
    mixture,
    oracle,
    references,
)
from router.evaluation.judged import Judged, Tier, numbered
from router.evaluation.looks import coverage, reliability

_ROWS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5001, 0.9, 1.0]),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([0.0, 0.1]),
        st.sampled_from([0.2, 0.3]),
        st.sampled_from([1.0, 4.0]),
    ),
    min_size=1,
    max_size=30,
)


def judged(rows: list[tuple[float, ...]]) -> Judged:
    sure, weak, cheap, strong, *usd = (np.array(column) for column in zip(*rows, strict=True))
    return Judged(
        name="drawn",
        source="drawn",
        confidence=sure,
        device=Tier(name="device", right=weak, usd=usd[0]),
        others=(
            Tier(name="cheap", right=cheap, usd=usd[1]),
            Tier(name="strong", right=strong, usd=usd[2]),
        ),
        tasks=("t",) * len(rows),
        languages=("",) * len(rows),
        prompts=numbered([str(at) for at in range(len(rows))]),
    )


@given(_ROWS)
def test_a_curve_goes_from_always_the_device_to_always_the_tier_and_never_gets_cheaper(
    rows: list[tuple[float, ...]],
) -> None:
    made = judged(rows)
    for curve, tier in zip(cascades(made), made.others, strict=True):
        assert np.all(np.diff(curve.spend) >= -1e-12)
        assert np.all(np.diff(curve.escalated) > 0)
        assert (curve.escalated[0], curve.escalated[-1]) == (0, 1)
        assert np.isclose(curve.quality[0], made.device.right.mean())
        assert np.isclose(curve.quality[-1], tier.right.mean())


@given(_ROWS, st.floats(0, 1.1))
def test_every_bar_lies_on_the_curve(rows: list[tuple[float, ...]], bar: float) -> None:
    made = judged(rows)
    for curve, tier in zip(cascades(made), made.others, strict=True):
        point = at_bar(made, tier, bar, "bar")
        at = np.flatnonzero(np.isclose(curve.escalated, point.escalated))
        assert len(at) == 1
        assert np.isclose(curve.spend[at[0]], point.spend)
        assert np.isclose(curve.quality[at[0]], point.quality)


@given(_ROWS)
def test_nobody_is_better_than_who_knows_beforehand(rows: list[tuple[float, ...]]) -> None:
    made = judged(rows)
    best = oracle(made).quality

    assert all(point.quality <= best + 1e-9 for point in references(made))
    assert all(curve.quality.max() <= best + 1e-9 for curve in cascades(made))


@given(_ROWS)
def test_no_tier_lies_above_the_blind_mix(rows: list[tuple[float, ...]]) -> None:
    always = references(judged(rows))
    spend, quality = mixture(always)

    assert np.all(np.diff(spend) > 0)
    assert np.all(np.diff(quality) > 0)
    for point in always:
        assert point.quality <= np.interp(point.spend, spend, quality) + 1e-9


@given(_ROWS, st.floats(0, 1))
def test_the_cheapest_bar_reaches_what_was_wanted(
    rows: list[tuple[float, ...]], wanted: float
) -> None:
    made = judged(rows)
    bar = cheapest_bar(made, wanted)
    reached = [step for step in cascades(made)[-1].quality if step >= wanted]

    if bar is None:
        assert not reached
    else:
        assert at_bar(made, made.strong, bar, "bar").quality >= wanted - 1e-9


@given(_ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_makes_no_difference(
    rows: list[tuple[float, ...]], draw: object
) -> None:
    one = judged(rows)
    shuffled = list(rows)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    other = judged(shuffled)

    assert np.allclose(risks(one.confidence, one.good), risks(other.confidence, other.good))
    assert np.isclose(aurc(one.confidence, one.good), aurc(other.confidence, other.good))
    for a, b in zip(cascades(one), cascades(other), strict=True):
        assert np.allclose(a.quality, b.quality)
        assert np.allclose(a.spend, b.spend)


@given(_ROWS)
def test_bins_and_coverage_count_every_row(rows: list[tuple[float, ...]]) -> None:
    made = judged(rows)
    bins = reliability("confidence", made.confidence, made.good).bins

    assert sum(each.rows for each in bins) == len(rows)
    assert np.isclose(sum(each.rows * each.right for each in bins), made.good.sum())
    for each in bins:
        assert each.interval.low <= each.right <= each.interval.high
    assert coverage("confidence", made.confidence, made.good).coverage[-1] == 1
