"""What holds of every policy with all its parts: pacing, early commit, best gain, tool loops."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

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
    used_shares,
)

from router.cascade import Call, Rung, Seen
from router.policy import PolicyTrace, after, before
from router.policy.decide import pace
from router.policy.predicates import Test as OneTest
from router.policy.rules import Gain, Policy, Requirement
from router.policy.trace import Taken
from router.signals.catalogue import Value

Ladder = dict[str, tuple[Rung, ...]]
Reply = Callable[[Call, Rung], Seen]

requests = signal_sets(OF_REQUEST)
any_signals = signal_sets()
tiers = st.sampled_from(TIERS)
loops = st.none() | st.sampled_from([f"{tier}-{i}" for tier in TIERS for i in range(2)])
days = st.sampled_from([None, Decimal("0.03"), Decimal("0.1"), Decimal(1)])


def with_budget(signals: dict[str, Value], used: float | None) -> dict[str, Value]:
    return {**signals, "world.budget_used": used}


@given(rich_policies(), requests, rich_ladders(), replies(), loops, loops)
def test_a_guard_always_wins_and_a_forbidden_tier_is_never_called(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stay: str | None,
    asked: str | None,
) -> None:
    """Neither a tool loop, nor a caller's wish, nor the best gain gets past one."""
    walked = Walked(policy, signals, rungs, reply, stay=stay, asked=asked)
    forbidden = {t for g in policy.guards if g.when.truth(signals) is not False for t in g.forbid}

    assert not forbidden & {call.tier for call in walked.calls}
    assert not forbidden & set(walked.first.permitted)


@given(rich_policies(), requests, rich_ladders(), replies())
def test_best_gain_goes_only_to_permitted_tiers_and_to_each_at_most_once(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    gain = Gain(share={"device": 0.0, "cloud-fast": 0.5, "cloud-strong": 0.9})
    walked = Walked(replace(policy, escalate="best_gain", gain=gain), signals, rungs, reply)
    targets = [call.target for call in walked.calls]

    assert {call.tier for call in walked.calls} <= set(walked.first.permitted)
    assert len(targets) == len(set(targets))


@given(rich_policies(), requests, rich_ladders(), replies(), loops)
def test_a_target_that_is_not_able_to_is_never_asked(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, stay: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, stay=stay)
    unable = {rung.name for of in rungs.values() for rung in of if rung.unable}

    assert not unable & {call.target for call in walked.calls}


@given(rich_policies(), requests, rich_ladders(), replies(), loops)
def test_hops_never_exceed_the_limit(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, stay: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, stay=stay)

    assert policy.limits.hops is None or len(walked.calls) <= policy.limits.hops


@given(rich_policies(), requests, rich_ladders(), replies(), days, loops)
def test_the_day_is_never_overdrawn_when_worst_cases_are_true(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    day: Decimal | None,
    stay: str | None,
) -> None:
    walked = Walked(policy, signals, rungs, reply, day_left_usd=day, stay=stay)
    worst = {rung.name: rung.worst_case_usd for of in rungs.values() for rung in of}

    if day is None:
        return
    for call, seen in zip(walked.calls, walked.seen, strict=False):
        reserved = worst[call.target]
        assert reserved is not None
        assert reserved <= (seen.day_left_usd or 0)
    assert walked.spent_usd <= day


@given(rich_policies(), requests, rich_ladders(), replies())
def test_nobody_is_gone_on_to_who_could_not_answer_in_time(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    hurried = replace(policy, limits=replace(policy.limits, deadline_s=2.5))
    walked = Walked(hurried, signals, rungs, reply)
    expected = {rung.name: rung.expected_s for of in rungs.values() for rung in of}

    for call, seen in zip(walked.calls, walked.seen, strict=False):
        if call.cause in ("escalation", "fallback"):
            assert seen.elapsed_s + (expected[call.target] or 0) <= 2.5


@given(rich_policies(), tiers, any_signals, used_shares)
def test_unknown_never_accepts(
    policy: Policy, tier: str, signals: dict[str, Value], used: float | None
) -> None:
    """However near the budget's end: the bar comes down, and unknown stays below it."""
    bar = OneTest("draft.mean_logprob", "gte", -0.5)
    loose = OneTest("draft.mean_logprob", "gte", -3.0)
    stricter = replace(
        policy, accept=(*policy.accept, Requirement("bar", frozenset({tier}), bar, loose))
    )
    unknown = {**with_budget(signals, used), "draft.mean_logprob": None}

    assert not after(stricter, tier, unknown).accepted


@given(rich_policies(), tiers, any_signals, used_shares)
def test_near_the_budget_only_ever_more_is_kept(
    policy: Policy, tier: str, signals: dict[str, Value], used: float | None
) -> None:
    steady = replace(policy, accept=tuple(replace(a, near_budget=None) for a in policy.accept))
    there = with_budget(signals, used)

    assert after(steady, tier, there).accepted <= after(policy, tier, there).accepted


@given(rich_policies(), tiers, any_signals, st.floats(0, 1), st.floats(0, 1))
def test_the_more_of_the_budget_is_used_the_more_is_kept(
    policy: Policy, tier: str, signals: dict[str, Value], a: float, b: float
) -> None:
    less, more = (after(policy, tier, with_budget(signals, used)) for used in sorted((a, b)))

    assert less.accepted <= more.accepted


@given(rich_policies(), st.floats(0, 1), st.floats(0, 1))
def test_the_pace_goes_from_nothing_to_all_without_a_step_back(
    policy: Policy, a: float, b: float
) -> None:
    low, high = (pace(policy, {"world.budget_used": used}) for used in sorted((a, b)))

    assert 0 <= low <= high <= 1
    assert pace(policy, {"world.budget_used": policy.limits.pace_from}) == 0
    assert pace(policy, {"world.budget_used": 1.0}) == 1
    assert pace(policy, {}) == 0


@given(rich_policies(), tiers, any_signals, used_shares, st.floats(-3, 0), st.floats(-3, 0))
def test_a_higher_bar_never_keeps_more(
    policy: Policy, tier: str, signals: dict[str, Value], used: float | None, a: float, b: float
) -> None:
    def barred(bar: float) -> Policy:
        test = OneTest("draft.mean_logprob", "gte", bar)
        loose = OneTest("draft.mean_logprob", "gte", -3.0)
        one = Requirement("bar", frozenset({tier}), test, loose)
        return replace(policy, accept=(*policy.accept, one))

    low, high = (
        after(barred(bar), tier, with_budget(signals, used)).accepted for bar in sorted((a, b))
    )

    assert high <= low


@given(rich_policies(), requests, rich_ladders(), replies(), loops, days, used_shares)
def test_the_same_policy_and_signals_leave_the_same_trace_byte_for_byte(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stay: str | None,
    day: Decimal | None,
    used: float | None,
) -> None:
    def trace(of: dict[str, Value]) -> bytes:
        walked = Walked(policy, of, rungs, reply, stay=stay, day_left_usd=day)
        said = PolicyTrace(walked.verdict.entries).as_json()
        return json.dumps([said, before(policy, of)[:4]], allow_nan=False).encode()

    there = with_budget(signals, used)

    assert trace(there) == trace(dict(reversed(there.items())))


@given(rich_policies(), requests, rich_ladders(), replies())
def test_what_was_accepted_early_stays_accepted(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    """Nobody else is asked, and whatever the whole draft shows only flags it."""
    walked = Walked(policy, signals, rungs, reply)
    shown = [
        i for i, seen in enumerate(walked.seen) if any(check.truth is True for check in seen.early)
    ]

    assert shown in ([], [len(walked.calls)])
    if shown:
        assert walked.verdict.status == "answered"
        assert walked.verdict.answered_by == len(walked.calls) - 1


@given(rich_policies(), requests, rich_ladders(), replies())
def test_early_is_asked_only_of_tiers_that_have_it_and_do_not_commit_anyway(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    for call in Walked(policy, signals, rungs, reply).calls:
        assert call.early == (None if call.commits else policy.early_on(call.tier))


@given(rich_policies(), requests, rich_ladders(), replies(), loops)
def test_a_draft_that_can_not_be_presented_is_given_back_only_if_accepted_or_shown(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, stay: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, stay=stay)
    given_ = walked.verdict.answered_by

    if given_ is None or walked.seen[given_ + 1].presentable:
        return
    call, seen = walked.calls[given_], walked.seen[given_ + 1]
    accepted = after(policy, call.tier, seen.signals or {}).accepted and seen.returnable
    assert accepted or call.commits or seen.committed


@given(rich_policies(), requests, rich_ladders(), replies(), days)
def test_where_a_limit_refuses_no_draft_is_given_for_want_of_better(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    day: Decimal | None,
) -> None:
    refusing = replace(policy, limits=replace(policy.limits, at_limit="refuse"))
    verdict = Walked(refusing, signals, rungs, reply, day_left_usd=day).verdict

    if verdict.limit is not None:
        assert (verdict.status, verdict.answered_by) == ("limit_reached", None)


@given(rich_policies(), requests, rich_ladders(), replies(), loops)
def test_a_tool_loop_stays_with_its_target_unless_that_fails(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, stay: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, stay=stay)
    targets = [call.target for call in walked.calls]

    loops_ = [call for call in walked.calls if call.cause == "loop"]
    assert len(loops_) <= 1
    assert targets.count(stay or "") <= 1
    if loops_:
        assert (walked.calls[0], targets[0]) == (loops_[0], stay)
        assert len(targets) == 1 or walked.seen[1].signals is None or not walked.seen[1].returnable


@given(rich_policies(), requests, rich_ladders(), replies(), loops, days)
def test_the_draft_that_goes_along_is_one_that_was_made_and_said_something(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stay: str | None,
    day: Decimal | None,
) -> None:
    walked = Walked(policy, signals, rungs, reply, stay=stay, day_left_usd=day)

    for i, call in enumerate(walked.calls):
        if call.draft is not None:
            assert policy.attach_draft
            assert call.draft < i
            assert walked.seen[call.draft + 1].returnable
    taken = [e for e in walked.verdict.entries if isinstance(e, Taken)]
    assert len(taken) == len(walked.calls)
