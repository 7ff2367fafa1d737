"""What every decision keeps to, whatever the policy and whatever is known."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.policies import (
    OF_REQUEST,
    TIERS,
    policies,
    predicates,
    signal_sets,
    single_tests,
    some_tiers,
)

from router.policy import PolicyTrace, after, before
from router.policy.predicates import All, AnyOf, Not, Predicate, Signals, Truth
from router.policy.predicates import Test as OneTest
from router.policy.predicates import tests_in as all_tests
from router.policy.rules import Guard, Policy, Requirement, Route
from router.signals.catalogue import CATALOGUE, AtMost, Value

any_signals = signal_sets()
any_request = signal_sets(OF_REQUEST)
truths = st.sampled_from([True, False, None])


class Told:
    """A predicate that says what it is told to say."""

    def __init__(self, says: Truth) -> None:
        self.says = says

    def truth(self, signals: Signals) -> Truth:
        return self.says


# Kleene's three-valued logic


@given(st.lists(truths, min_size=1, max_size=5))
def test_all_is_false_if_any_part_is_and_else_unknown_if_any_part_is(said: list[Truth]) -> None:
    expected = False if False in said else None if None in said else True

    assert All(tuple(Told(t) for t in said)).truth({}) is expected


@given(st.lists(truths, min_size=1, max_size=5))
def test_any_is_true_if_any_part_is_and_else_unknown_if_any_part_is(said: list[Truth]) -> None:
    expected = True if True in said else None if None in said else False

    assert AnyOf(tuple(Told(t) for t in said)).truth({}) is expected


@given(predicates(), any_signals)
def test_not_twice_is_nothing(predicate: Predicate, signals: dict[str, Value]) -> None:
    assert Not(Not(predicate)).truth(signals) is predicate.truth(signals)


@given(st.lists(predicates(), min_size=1, max_size=4), any_signals)
def test_not_any_is_all_not(parts: list[Predicate], signals: dict[str, Value]) -> None:
    neither = Not(AnyOf(tuple(parts))).truth(signals)

    assert neither is All(tuple(Not(part) for part in parts)).truth(signals)


@given(st.lists(predicates(), min_size=1, max_size=4), any_signals, st.randoms())
def test_the_order_of_parts_means_nothing(
    parts: list[Predicate], signals: dict[str, Value], random: object
) -> None:
    shuffled = sorted(parts, key=lambda _: random.random())  # type: ignore[attr-defined]

    for kind in (All, AnyOf):
        assert kind(tuple(parts)).truth(signals) is kind(tuple(shuffled)).truth(signals)


@given(predicates(), any_signals, st.data())
def test_what_is_said_without_a_signal_is_not_unsaid_when_it_becomes_known(
    predicate: Predicate, signals: dict[str, Value], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(CATALOGUE)))
    told = predicate.truth({**signals, name: None})

    if told is not None:
        assert predicate.truth(signals) is told


@given(single_tests(), any_signals)
def test_a_test_of_an_unknown_signal_is_unknown(test: OneTest, signals: dict[str, Value]) -> None:
    assert test.truth({**signals, test.signal: None}) is None
    del signals[test.signal]
    assert test.truth(signals) is None


counts = st.integers(1, 20)


@given(predicates(OF_REQUEST), any_request, counts, counts)
def test_what_a_bound_decides_holds_for_every_number_under_it(
    predicate: Predicate, signals: dict[str, Value], most: int, less: int
) -> None:
    told = predicate.truth({**signals, "prompt.tokens": AtMost(most)})

    if told is not None:
        assert predicate.truth({**signals, "prompt.tokens": max(1, most - less)}) is told


@given(single_tests([CATALOGUE["prompt.tokens"]]), st.integers(21, 99))
def test_a_bound_above_everything_decides_nothing(test: OneTest, most: int) -> None:
    assert test.truth({"prompt.tokens": AtMost(most)}) is None


@given(single_tests([CATALOGUE["prompt.tokens"]]))
def test_a_bound_below_everything_decides_all(test: OneTest) -> None:
    assert test.truth({"prompt.tokens": AtMost(0.5)}) is not None


# Guards, routes, requirements


@given(policies(), any_request)
def test_a_guard_always_wins(policy: Policy, signals: dict[str, Value]) -> None:
    found = before(policy, signals)

    for guard in policy.guards:
        if guard.when.truth(signals) is not False:
            assert guard.id in found.forbidden_by
            assert not guard.forbid & set(found.permitted)
            assert found.start not in guard.forbid


@given(policies(), any_request)
def test_what_no_guard_forbids_is_permitted(policy: Policy, signals: dict[str, Value]) -> None:
    found = before(policy, signals)
    forbidden = {t for g in policy.guards if g.id in found.forbidden_by for t in g.forbid}

    assert found.permitted == tuple(t for t in TIERS if t not in forbidden)
    assert (found.start is None) == (not found.permitted)
    assert found.start is None or found.start in found.permitted


@given(policies(), any_request, single_tests([CATALOGUE["prompt.tokens"]]), some_tiers)
def test_unknown_in_a_guard_forbids(
    policy: Policy, signals: dict[str, Value], test: OneTest, forbid: frozenset[str]
) -> None:
    """Unless another part of the guard already says no."""
    policy = _with_guards(policy, (*policy.guards, Guard("unknown", test, forbid)))

    found = before(policy, {**signals, "prompt.tokens": None})

    assert "unknown" in found.forbidden_by
    assert not forbid & set(found.permitted)


@given(policies(), any_request, predicates(OF_REQUEST), some_tiers)
def test_another_guard_never_permits_more(
    policy: Policy, signals: dict[str, Value], when: Predicate, forbid: frozenset[str]
) -> None:
    more = _with_guards(policy, (Guard("one-more", when, forbid), *policy.guards))

    assert set(before(more, signals).permitted) <= set(before(policy, signals).permitted)


@given(policies(), any_request)
def test_the_order_of_guards_means_nothing(policy: Policy, signals: dict[str, Value]) -> None:
    turned = before(_with_guards(policy, policy.guards[::-1]), signals)
    found = before(policy, signals)

    assert (found.permitted, found.start) == (turned.permitted, turned.start)


@given(policies(), any_request, single_tests([CATALOGUE["prompt.tokens"]]), st.sampled_from(TIERS))
def test_unknown_in_a_route_does_not_match(
    policy: Policy, signals: dict[str, Value], test: OneTest, start: str
) -> None:
    signals = {**signals, "prompt.tokens": None}
    first = (Route("unknown", test, start), *policy.route)

    assert before(_with_route(policy, first), signals).start == before(policy, signals).start


@given(policies(), any_request)
def test_the_first_route_that_matches_decides(policy: Policy, signals: dict[str, Value]) -> None:
    matching = [r for r in policy.route if r.when.truth(signals) is True]
    wanted = matching[0].start if matching else TIERS[0]
    found = before(policy, signals)

    if wanted in found.permitted:
        assert found.start == wanted
    looked_at = [check.id for check in found.checks if check.kind == "route"]
    first = policy.route.index(matching[0]) if matching else len(policy.route)
    assert looked_at == [r.id for r in policy.route[: first + 1]]


@given(policies(), st.sampled_from(TIERS), any_signals)
def test_a_draft_is_kept_only_if_every_requirement_on_its_tier_is_known_to_hold(
    policy: Policy, tier: str, signals: dict[str, Value]
) -> None:
    found = after(policy, tier, signals)
    failing = [r.id for r in policy.accept if tier in r.on and r.require.truth(signals) is not True]

    assert found.accepted == (not failing)
    assert list(found.failed) == failing


@given(policies(), st.sampled_from(TIERS), any_signals, single_tests())
def test_unknown_never_accepts(
    policy: Policy, tier: str, signals: dict[str, Value], test: OneTest
) -> None:
    stricter = _with_accept(
        policy, (*policy.accept, Requirement("unknown", frozenset({tier}), test))
    )

    assert not after(stricter, tier, {**signals, test.signal: None}).accepted


@given(policies(), st.sampled_from(TIERS), any_signals, st.floats(-3, 0), st.floats(-3, 0))
def test_a_higher_bar_never_keeps_more(
    policy: Policy, tier: str, signals: dict[str, Value], a: float, b: float
) -> None:
    low, high = sorted((a, b))

    if after(_with_bar(policy, tier, high), tier, signals).accepted:
        assert after(_with_bar(policy, tier, low), tier, signals).accepted


@given(policies(), any_signals)
def test_the_same_in_gives_the_same_trace_out(policy: Policy, signals: dict[str, Value]) -> None:
    """Byte by byte, whatever the order in which the signals were measured."""

    def trace(of: dict[str, Value]) -> str:
        found = (*before(policy, of).checks, *after(policy, "device", of).checks)
        return json.dumps(PolicyTrace(found).as_json(), allow_nan=False)

    assert trace(signals) == trace(dict(reversed(signals.items())))


@given(policies(), any_signals)
def test_only_the_signals_it_names_can_change_a_decision(
    policy: Policy, signals: dict[str, Value]
) -> None:
    named = {name: value for name, value in signals.items() if name in policy.signals()}

    assert before(policy, named)[:4] == before(policy, signals)[:4]
    for tier in TIERS:
        assert after(policy, tier, named)[:3] == after(policy, tier, signals)[:3]


@given(predicates())
def test_every_test_of_a_predicate_is_found(predicate: Predicate) -> None:
    found = all_tests(predicate)

    assert found
    assert all(isinstance(test, OneTest) for test in found)


def _with_guards(policy: Policy, guards: tuple[Guard, ...]) -> Policy:
    return _changed(policy, guards=guards)


def _with_route(policy: Policy, route: tuple[Route, ...]) -> Policy:
    return _changed(policy, route=route)


def _with_accept(policy: Policy, accept: tuple[Requirement, ...]) -> Policy:
    return _changed(policy, accept=accept)


def _with_bar(policy: Policy, tier: str, bar: float) -> Policy:
    test = OneTest("draft.mean_logprob", "gte", bar)
    return _with_accept(policy, (*policy.accept, Requirement("bar", frozenset({tier}), test)))


def _changed(policy: Policy, **parts: object) -> Policy:
    return replace(policy, **parts)  # type: ignore[arg-type]
