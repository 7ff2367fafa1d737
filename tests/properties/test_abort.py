"""What holds of every policy that gives drafts up: nothing is shown, nobody is worse off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.policies import (
    OF_REQUEST,
    TIERS,
    Walked,
    replies,
    rich_ladders,
    rich_policies,
    signal_sets,
)

from router.cascade import Call, Rung, Seen
from router.policy.decide import given_up
from router.policy.predicates import Test as OneTest
from router.policy.rules import Abort, Bar, Limits, Policy
from router.policy.trace import Taken
from router.signals.catalogue import Value

Ladder = dict[str, tuple[Rung, ...]]
Reply = Callable[[Call, Rung], Seen]

requests = signal_sets(OF_REQUEST)
bounds = st.sampled_from([-3.0, -2.0, -1.0, -0.5, 0.5])
tier_sets = st.sampled_from([frozenset(TIERS[:1]), frozenset(TIERS[:2]), frozenset(TIERS)])


def with_bar(policy: Policy, on: frozenset[str], bound: float) -> Policy:
    bar = Bar(8, OneTest("draft.mean_logprob", "lt", bound))
    return replace(policy, early=(), abort=(Abort(on, (bar,)),))


def giving_up(reply: Reply) -> Reply:
    """The same, where a bar is looked at before the end."""

    def found(call: Call, rung: Rung) -> Seen:
        seen = reply(call, rung)
        if call.abort is None or seen.signals is None:
            return seen
        check = given_up(call.tier, call.abort.bars[0], seen.signals)
        if check.truth is not True:
            return replace(seen, early=(check,))
        return replace(
            seen, signals=None, returnable=False, committed=False, early=(check,), aborted=True
        )

    return found


def walked(policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply) -> Walked:
    return Walked(policy, signals, rungs, giving_up(reply))


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets, bounds)
def test_what_is_given_up_is_never_the_answer(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    on: frozenset[str],
    bound: float,
) -> None:
    found = walked(with_bar(policy, on, bound), signals, rungs, reply)
    given_back = found.verdict.answered_by

    assert given_back is None or not found.seen[given_back + 1].aborted


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets, bounds)
def test_a_target_is_asked_again_only_after_its_draft_was_given_up_and_then_it_commits(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    on: frozenset[str],
    bound: float,
) -> None:
    found = walked(with_bar(policy, on, bound), signals, rungs, reply)
    asked: dict[str, int] = {}
    for i, call in enumerate(found.calls):
        before = asked.get(call.target)
        assert before is None or (found.seen[before + 1].aborted and call.commits)
        asked[call.target] = i
    assert len(found.calls) <= len(asked) + 1


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets, bounds)
def test_a_call_that_commits_or_is_the_last_allowed_is_never_given_up(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    on: frozenset[str],
    bound: float,
) -> None:
    barred = with_bar(policy, on, bound)
    for call in walked(barred, signals, rungs, reply).calls:
        hops = barred.limits.hops
        taken = call.hop + (1 if call.rival is None else 2)
        alone = call.commits or (hops is not None and taken >= hops)
        assert call.abort == (None if alone else barred.abort_on(call.tier))


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets)
def test_a_bar_that_nothing_is_below_changes_nothing_but_the_looks(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, on: frozenset[str]
) -> None:
    free = replace(policy, early=())
    without = walked(free, signals, rungs, reply)
    found = walked(with_bar(policy, on, -99.0), signals, rungs, reply)

    assert [c.target for c in found.calls] == [c.target for c in without.calls]
    assert (found.verdict.status, found.verdict.answered_by, found.verdict.flags) == (
        without.verdict.status, without.verdict.answered_by, without.verdict.flags,
    )  # fmt: skip


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets, bounds, bounds)
def test_a_lower_bar_never_gives_the_first_draft_up_where_a_higher_one_lets_it_pass(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    on: frozenset[str],
    a: float,
    b: float,
) -> None:
    low, high = sorted((a, b))
    first = [
        [s.aborted for s in walked(with_bar(policy, on, x), signals, rungs, reply).seen[1:2]]
        for x in (low, high)
    ]

    assert first[0] <= first[1]


@given(rich_policies(), requests, rich_ladders(), replies(), tier_sets, bounds)
def test_without_limits_whoever_had_an_answer_without_the_bar_has_one_with_it(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    on: frozenset[str],
    bound: float,
) -> None:
    """Nobody is left with nothing because a draft was given up."""

    def sound(call: Call, rung: Rung) -> Seen:
        return replace(reply(call, rung), returnable=True, presentable=True, committed=False)

    free = replace(policy, early=(), limits=Limits(), on_failure="draft")
    without = walked(free, signals, rungs, sound)
    found = walked(with_bar(free, on, bound), signals, rungs, sound)

    assert (found.verdict.status == "answered") == (without.verdict.status == "answered")
    taken = [entry for entry in found.verdict.entries if isinstance(entry, Taken)]
    assert len(taken) == len(found.calls)
