"""Cost against quality, on four answers that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from router.evaluation.curves import (
    at_bar,
    break_even,
    cascade,
    cascades,
    cheapest_bar,
    mixture,
    oracle,
    references,
)
from router.evaluation.judged import Judged, Tier, numbered

DEVICE = Tier(name="small", right=np.array([1.0, 0, 0, 1]), usd=np.zeros(4))
CHEAP = Tier(name="cheap", right=np.array([1.0, 1, 0, 1]), usd=np.array([0.2, 0.1, 0.1, 0.4]))
STRONG = Tier(name="strong", right=np.array([1.0, 1, 1, 0]), usd=np.array([2.0, 1, 1, 4]))
FOUR = Judged(
    name="four",
    source="by hand",
    confidence=np.array([0.9, 0.2, 0.4, 0.6]),
    device=DEVICE,
    others=(CHEAP, STRONG),
    tasks=("a", "a", "b", "b"),
    languages=("", "", "", ""),
    prompts=numbered(["1", "2", "3", "4"]),
)


def test_the_least_sure_are_escalated_first_and_their_own_calls_are_paid() -> None:
    found = cascade(FOUR, STRONG)

    assert found.escalated.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.spend.tolist() == [0, 1 / 8, 2 / 8, 6 / 8, 1]
    assert found.quality.tolist() == [0.5, 0.75, 1, 0.75, 0.75]


def test_spend_of_a_cascade_to_the_cheap_tier_is_held_against_the_strong_one() -> None:
    cheap, strong = cascades(FOUR)

    assert cheap.spend == pytest.approx([0, 0.1 / 8, 0.2 / 8, 0.6 / 8, 0.8 / 8])
    assert strong.name == "strong"


def test_a_draft_that_costs_is_paid_for_whether_it_is_kept_or_not() -> None:
    dear = replace(FOUR, device=replace(DEVICE, usd=np.ones(4)))

    assert cascade(dear, STRONG).spend == pytest.approx([0.5, 0.625, 0.75, 1.25, 1.5])
    assert break_even(dear).cost_ratio == 0.5
    assert break_even(dear).rate == 0.5


def test_tiers_asked_always_and_the_blind_mix_between_them() -> None:
    always = references(FOUR)
    spend, quality = mixture(always)

    assert [(point.spend, point.quality) for point in always] == [
        (0, 0.5),
        (pytest.approx(0.1), 0.75),
        (1, 0.75),
    ]
    assert spend == pytest.approx([0, 0.1])
    assert quality.tolist() == [0.5, 0.75]


def test_a_tier_under_the_straight_between_two_others_is_no_corner_of_the_mix() -> None:
    low = replace(FOUR, others=(replace(CHEAP, right=np.array([1.0, 0.1, 0, 1])), STRONG))
    spend, _ = mixture(references(low))

    assert spend == pytest.approx([0, 0.1, 1])
    dearer = replace(CHEAP, right=np.array([1.0, 0.1, 0, 1]), usd=np.ones(4))
    spend, _ = mixture(references(replace(FOUR, others=(dearer, STRONG))))
    assert spend == pytest.approx([0, 1])


def test_who_knows_beforehand_asks_the_cheapest_that_will_be_right() -> None:
    found = oracle(FOUR)

    assert found.quality == 1
    assert found.spend == pytest.approx(1.1 / 8)


def test_a_bar_lies_on_the_curve() -> None:
    point = at_bar(FOUR, STRONG, 0.5, "bar")

    assert (point.escalated, point.spend, point.quality) == (0.5, 2 / 8, 1)
    assert at_bar(FOUR, STRONG, float("inf"), "none").escalated == 1


def test_the_cheapest_bar_reaches_what_is_wanted_and_none_does_what_cannot_be() -> None:
    assert cheapest_bar(FOUR, 0.72) == 0.4
    assert cheapest_bar(FOUR, 0.9) == 0.6
    assert cheapest_bar(FOUR, 1.1) is None
    assert cheapest_bar(FOUR, 0.5) == 0.2  # even the least sure is kept


def test_every_draft_escalated_is_a_bar_that_nothing_reaches() -> None:
    useless = replace(FOUR, device=replace(DEVICE, right=np.zeros(4)))

    assert cheapest_bar(useless, 0.5) == 0.6
    better = replace(useless, others=(replace(STRONG, right=np.ones(4)),))
    assert cheapest_bar(better, 1.0) == float("inf")


def test_against_the_cheap_tier_few_escalations_break_even() -> None:
    found = break_even(FOUR)

    assert found.rate == 1
    assert found.under_cheap == pytest.approx(0.2)


def test_without_dollars_calls_of_the_strong_tier_are_counted_and_others_left_out() -> None:
    bare = replace(FOUR, others=(CHEAP, replace(STRONG, usd=None)))

    assert not bare.priced
    assert cascade(bare, bare.strong).spend.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert [point.name for point in references(bare)] == ["small", "strong"]
    assert at_bar(bare, bare.strong, 0.5, "bar").spend == 0.5
    assert oracle(bare).spend == 0.5
    assert break_even(bare).under_cheap is None


def test_rows_nobody_judged_at_the_strong_tier_are_left_out_of_routing_alone() -> None:
    some = replace(FOUR, others=(replace(STRONG, right=np.array([1.0, np.nan, 1, 0])),))
    routed = some.routed()

    assert len(some) == 4
    assert routed is not None
    assert len(routed) == 3
    assert replace(FOUR, others=()).routed() is None
