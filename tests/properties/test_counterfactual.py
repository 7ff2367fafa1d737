"""A counterfactual, applied, flips the decision; no nearer value of that signal does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st
from support.policies import OF_REQUEST, TIERS, rich_policies, signal_sets, used_shares

from router.policy import after, before
from router.policy.counterfactual import Flip, after_flips, before_flips, line
from router.policy.predicates import Test as OneTest
from router.policy.predicates import tests_in as all_tests
from router.policy.rules import Policy, Requirement
from router.signals.catalogue import CATALOGUE, AtMost, Value

any_signals = signal_sets()
any_request = signal_sets(OF_REQUEST)
tiers = st.sampled_from(TIERS)
Changes = Callable[[Value], bool]
"""Whether the decision is another with that value of the signal."""


def bounds_of(policy: Policy, name: str) -> list[float]:
    """Every number that any rule holds the signal against, moved or not."""
    predicates = [*policy.predicates(), *(a.near_budget for a in policy.accept if a.near_budget)]
    found = [test for p in predicates for test in all_tests(p) if test.signal == name]
    return [float(test.bound) for test in found if isinstance(test.bound, int | float)]


def within(name: str, value: float) -> bool:
    signal = CATALOGUE[name]
    low, high = signal.low, signal.high
    return (low is None or value >= low) and (high is None or value <= high)


def numbers(policy: Policy, name: str, near: list[float]) -> Iterator[float]:
    """Values to try by brute force: all bounds, both ends, neighbours, and what lies between."""
    signal = CATALOGUE[name]
    at = [*bounds_of(policy, name), *near, *(e for e in (signal.low, signal.high) if e is not None)]
    at = sorted({*at, *((a + b) / 2 for a in at for b in at)})
    for bound in at:
        if signal.whole:
            whole = math.floor(bound)
            tried: list[float] = [whole - 1, whole, whole + 1, whole + 2]
        else:
            tried = [bound, math.nextafter(bound, -math.inf), math.nextafter(bound, math.inf)]
            tried += [bound - 1e-9, bound + 1e-9, bound - 0.25, bound + 0.25]
        yield from (value for value in tried if within(name, value))


def distance(a: float, b: float) -> Fraction:
    return abs(Fraction(a) - Fraction(b))


def check(policy: Policy, flip: Flip, changes: Changes, drawn: list[float]) -> None:
    """The flip flips, and nothing that is nearer does."""
    signal = CATALOGUE[flip.signal]
    if flip.value is not None:
        assert changes(flip.value)
        assert flip.value != flip.now
        assert flip.would
    if signal.type == "flag":
        others: list[Value] = [flag for flag in (True, False) if flag is not flip.now]
        assert flip.value in others or not any(changes(other) for other in others)
        return
    if signal.type == "word":
        flipping = [word for word in signal.words if word != flip.now and changes(word)]
        assert flip.value == (flipping[0] if flipping else None)
        return
    near = [n for n in (flip.now, flip.value) if isinstance(n, int | float)]
    tried = numbers(policy, flip.signal, [*near, *(d for d in drawn if not signal.whole)])
    if flip.value is None or flip.now is None:
        assert flip.value is not None or not any(changes(value) for value in tried)
        return
    assert isinstance(flip.value, int | float)
    assert within(flip.signal, flip.value)
    assert not signal.whole or isinstance(flip.value, int)
    origin = flip.now.bound if isinstance(flip.now, AtMost) else flip.now
    assert isinstance(origin, int | float)
    far = distance(flip.value, origin)
    for value in tried:
        assert not changes(value) or distance(value, origin) >= far


def changes_after(policy: Policy, tier: str, signals: dict[str, Value], name: str) -> Changes:
    accepted = after(policy, tier, signals).accepted
    return lambda value: after(policy, tier, {**signals, name: value}).accepted is not accepted


def changes_before(policy: Policy, signals: dict[str, Value], name: str) -> Changes:
    now = before(policy, signals)
    return lambda value: (
        before(policy, {**signals, name: value})[0:3:2] != (now.permitted, now.start)
    )


drawn_numbers = st.lists(st.floats(-5, 1), max_size=6)


@given(rich_policies(), any_request, st.lists(st.floats(0, 25), max_size=6))
def test_what_would_have_begun_elsewhere_does_and_nothing_nearer_would(
    policy: Policy, signals: dict[str, Value], drawn: list[float]
) -> None:
    for flip in before_flips(policy, signals):
        check(policy, flip, changes_before(policy, signals, flip.signal), drawn)


@given(rich_policies(), tiers, any_signals, used_shares, drawn_numbers)
def test_what_would_have_been_kept_is_and_nothing_nearer_would(
    policy: Policy,
    tier: str,
    signals: dict[str, Value],
    used: float | None,
    drawn: list[float],
) -> None:
    there = {**signals, "world.budget_used": used}

    for flip in after_flips(policy, tier, there):
        check(policy, flip, changes_after(policy, tier, there, flip.signal), drawn)


@given(
    rich_policies(),
    st.floats(-3, 0),
    st.floats(-3, 0),
    st.floats(0, 3),
    st.floats(0, 0.99),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=8),
)
def test_the_share_of_the_budget_at_which_a_moving_bar_passes_is_found_to_the_last_bit(
    policy: Policy,
    value: float,
    strict: float,
    down: float,
    pace_from: float,
    used: float,
    drawn: list[float],
) -> None:
    bar, loose = (OneTest("draft.mean_logprob", "gte", b) for b in (strict, strict - down))
    paced = replace(
        policy,
        accept=(Requirement("paced", frozenset({"device"}), bar, loose),),
        limits=replace(policy.limits, pace_from=pace_from),
    )
    there: dict[str, Value] = {"draft.mean_logprob": value, "world.budget_used": used}
    flips = {flip.signal: flip for flip in after_flips(paced, "device", there)}
    flip = flips["world.budget_used"]
    changes = changes_after(paced, "device", there, flip.signal)

    check(paced, flip, changes, [*drawn, pace_from])
    if flip.value is not None:
        toward = math.nextafter(flip.value, used)  # type: ignore[arg-type]
        assert not changes(toward), "its neighbour would have done"


@given(rich_policies(), any_request)
def test_every_signal_that_was_read_has_one_counterfactual(
    policy: Policy, signals: dict[str, Value]
) -> None:
    read = [t.signal for c in before(policy, signals).checks for t in all_tests(c.predicate)]
    flips = before_flips(policy, signals)

    assert [flip.signal for flip in flips] == list(dict.fromkeys(read))
    assert all(flip.now == signals.get(flip.signal) for flip in flips)


@given(rich_policies(), tiers, any_signals)
def test_a_counterfactual_is_a_line_for_people(
    policy: Policy, tier: str, signals: dict[str, Value]
) -> None:
    flips = (*before_flips(policy, signals), *after_flips(policy, tier, signals))
    assume(flips)

    for flip in flips:
        text = line(flip)
        assert text.startswith("(")
        assert text.endswith(")")
        assert flip.signal in text
        assert "\n" not in text
