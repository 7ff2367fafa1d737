"""What holds of every tier's chance beside a draft, and of every ranking by it."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from router.confidence.gain import Gains, Odds, tier_gains
from router.policy.gain import Offer, ranked
from router.policy.rules import Gain

shares = st.floats(0, 1)
odds = st.builds(Odds, rescue=shares, slip=shares)
dollars = st.none() | st.decimals(0, 10, places=6)
spans = st.none() | st.floats(0, 1000)
TIERS = ("cheap", "middle", "strong")
offers = st.tuples(
    *(
        st.builds(Offer, st.just(tier), dollars, spans, st.none() | st.floats(-1, 1))
        for tier in TIERS
    )
)
weights = st.builds(
    Gain,
    share=st.none() | st.fixed_dictionaries(dict.fromkeys(TIERS, shares)),
    second_usd=st.decimals(0, 1, places=4),
)


@given(odds, shares)
def test_a_chance_is_a_number_within_its_bounds(fares: Odds, good: float) -> None:
    said = Gains(overall=fares, tasks={}).chance(good, "any")

    assert 0 <= said.good <= 1
    assert -1 <= said.gain <= 1
    assert math.isclose(said.good, good + said.gain, abs_tol=1e-12)


@given(odds, shares, shares)
def test_more_doubt_never_lowers_what_a_tier_adds(fares: Odds, one: float, other: float) -> None:
    """Rescuing gets likelier and spoiling less likely, whatever the odds are."""
    both = Gains(overall=fares, tasks={})
    less, more = sorted((one, other))

    assert both.chance(less, None).gain >= both.chance(more, None).gain


@given(st.lists(st.tuples(st.booleans(), st.none() | st.booleans(), st.sampled_from("ab"))))
def test_a_tier_is_told_of_with_numbers_or_not_at_all(
    rows: list[tuple[bool, bool | None, str]],
) -> None:
    good, told, tasks = zip(*rows, strict=True) if rows else ((), (), ())
    tiers = [{} if one is None else {"cheap": one} for one in told]

    found = tier_gains(good, tiers, tasks)

    known = [right for right, one in zip(good, told, strict=True) if one is not None]
    assert ("cheap" in found) is (min(sum(known), len(known) - sum(known)) >= 10)
    for counted in found.values():
        for one in (counted.overall, *counted.tasks.values()):
            assert 0 <= one.rescue <= 1
            assert 0 <= one.slip <= 1


@given(weights, offers)
def test_a_ranking_has_each_tier_once_and_says_who_told(
    gain: Gain, given: tuple[Offer, ...]
) -> None:
    found = ranked(gain, given)

    assert sorted(tier for tier, _ in found) == sorted(TIERS)
    by_labels = all(offer.gain is not None for offer in given)
    for _, why in found:
        assert ("by labels" in why) is by_labels
        assert ("by share" in why) is (not by_labels and gain.share is not None)


@given(weights, offers)
def test_what_nobody_tells_of_is_never_taken_for_nothing(
    gain: Gain, given: tuple[Offer, ...]
) -> None:
    """With one estimate unknown, the others' values change nothing."""
    partly = (*given[:2], Offer(given[2].tier, given[2].usd, given[2].seconds, None))
    without = tuple(Offer(one.tier, one.usd, one.seconds, None) for one in given)

    assert [tier for tier, _ in ranked(gain, partly)] == [tier for tier, _ in ranked(gain, without)]


@given(weights, offers, st.floats(-1, 0))
def test_a_tier_that_gains_nothing_never_comes_before_one_that_does(
    gain: Gain, given: tuple[Offer, ...], nothing: float
) -> None:
    priced = [Offer(one.tier, one.usd or Decimal(1), one.seconds, 0.1) for one in given]
    priced[1] = Offer(priced[1].tier, Decimal(0), 0.0, nothing)

    assert ranked(gain, priced)[-1][0] == TIERS[1]
