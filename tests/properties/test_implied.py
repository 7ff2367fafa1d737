"""What is said of predicates without signals is true with any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.policies import predicates, signal_sets, single_tests

from router.policy.implied import (
    cases,
    implied_by,
    never_false,
    never_true,
    opposite,
    spread,
)
from router.policy.predicates import All, AnyOf, Not, Predicate
from router.policy.predicates import Test as OneTest
from router.signals.catalogue import Value

any_signals = signal_sets()


@given(predicates(), any_signals)
def test_a_predicate_is_true_exactly_where_one_of_its_cases_is(
    predicate: Predicate, signals: dict[str, Value]
) -> None:
    found = cases(predicate)

    assert found is not None
    assert AnyOf(tuple(All(case) for case in found)).truth(signals) is predicate.truth(signals)


@given(single_tests(), any_signals)
def test_the_opposite_of_a_test_is_what_not_says(test: OneTest, signals: dict[str, Value]) -> None:
    assert opposite(test).truth(signals) is Not(test).truth(signals)


@given(st.lists(predicates(), min_size=1, max_size=3), st.lists(any_signals, min_size=9))
def test_what_is_never_true_is_not_and_what_is_never_false_is_not(
    parts: list[Predicate], many: list[dict[str, Value]]
) -> None:
    predicate = All(tuple(parts))
    never, always = never_true(predicate), never_false(predicate)

    for signals in many:
        truth = predicate.truth(signals)
        assert not (never and truth is True)
        assert not (always and truth is False)


@given(st.lists(predicates(), min_size=1, max_size=3), any_signals)
def test_what_stays_unknown_is_never_true_where_that_is_said(
    parts: list[Predicate], signals: dict[str, Value]
) -> None:
    dark = {"draft.mean_logprob", "prompt.tokens"}
    predicate = All(tuple(parts))
    there = {name: None if name in dark else value for name, value in signals.items()}

    if never_true(predicate, unknown=dark):
        assert predicate.truth(there) is not True
    if never_false(predicate, unknown=dark):
        assert predicate.truth(there) is not False


@given(single_tests(), single_tests(), single_tests(), st.lists(any_signals, min_size=9))
def test_what_is_implied_holds_whenever_the_other_does(
    a: OneTest, b: OneTest, c: OneTest, many: list[dict[str, Value]]
) -> None:
    for one, others in ((a, (b, c)), (All((a, b)), (c,)), (All((a, b)), (AnyOf((b, c)),))):
        found = implied_by(spread(one), [spread(other) for other in others])
        if found is None:
            continue
        for signals in many:
            if one.truth(signals) is True:
                assert any(others[i].truth(signals) is True for i in found)


@given(single_tests())
def test_everything_implies_itself_unless_it_is_never_true(test: OneTest) -> None:
    assert implied_by(spread(test), [spread(test)]) == (None if never_true(test) else (0,))
