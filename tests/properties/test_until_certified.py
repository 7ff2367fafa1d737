"""Unknown never accepts, and never certifies: whatever the policy, the signals and the file say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.policies import OF_ANY, rich_policies, signal_sets, used_shares

from router.policy.decide import after
from router.policy.predicates import All, AnyOf, Not, Predicate, demands
from router.policy.predicates import Test as OneTest
from router.policy.rules import CERTIFIED, Policy, Requirement, Starter
from router.signals.catalogue import Value

BAR = OneTest("draft.mean_logprob", "gte", -1.0)
flags = st.sampled_from([True, False, None])
tiers = st.sampled_from(["device", "cloud-fast", "cloud-strong"])


@st.composite
def demanding(draw: st.DrawFn) -> Predicate:
    """Something that holds only where a draft is certified, written in one of many ways."""
    one: Predicate = CERTIFIED
    for _ in range(draw(st.integers(0, 3))):
        other = draw(st.sampled_from([BAR, OneTest("draft.finish", "is", "stop"), Not(BAR)]))
        one = All((one, other)) if draw(st.booleans()) else All((other, one))
    return one


def told(
    signals: dict[str, Value], certified: bool | None, calibrated: bool | None
) -> dict[str, Value]:
    return {**signals, "draft.certified": certified, "world.calibrated": calibrated}


def with_bar(policy: Policy, tier: str, require: Predicate) -> Policy:
    own = Requirement("own", frozenset({tier}), require, None, Starter(BAR, None))
    return replace(policy, accept=(*policy.accept, own))


@given(rich_policies(), tiers, signal_sets(OF_ANY), demanding(), flags, used_shares)
def test_unknown_confidence_never_accepts_once_a_file_is_configured(
    policy: Policy,
    tier: str,
    signals: dict[str, Value],
    require: Predicate,
    certified: bool | None,
    used: float | None,
) -> None:
    of = {**told(signals, certified, True), "world.budget_used": used}
    found = after(with_bar(policy, tier, require), tier, of)

    assert found.accepted <= (certified is True)
    assert found.certified is found.accepted


@given(rich_policies(), tiers, signal_sets(OF_ANY), demanding(), flags, flags)
def test_unknown_raw_signals_accept_nothing_without_a_file(
    policy: Policy,
    tier: str,
    signals: dict[str, Value],
    require: Predicate,
    certified: bool | None,
    calibrated: bool | None,
) -> None:
    of = {**told(signals, certified, calibrated), "draft.mean_logprob": None}
    found = after(with_bar(policy, tier, require), tier, of)

    assert found.accepted <= (calibrated is not False and certified is True)


@given(rich_policies(), tiers, signal_sets(OF_ANY), demanding(), flags)
def test_what_a_starter_keeps_is_never_certified(
    policy: Policy,
    tier: str,
    signals: dict[str, Value],
    require: Predicate,
    certified: bool | None,
) -> None:
    found = after(with_bar(policy, tier, require), tier, told(signals, certified, False))

    assert not found.certified


@given(demanding(), signal_sets(OF_ANY), flags)
def test_what_demands_a_certificate_is_true_only_with_one(
    predicate: Predicate, signals: dict[str, Value], certified: bool | None
) -> None:
    assert demands(predicate, CERTIFIED)
    if predicate.truth(told(signals, certified, True)) is True:
        assert certified is True
    assert not demands(AnyOf((predicate, BAR)), CERTIFIED)
