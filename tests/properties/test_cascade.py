"""What every walk keeps to, whatever the policy, the targets, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st
from support.policies import (
    OF_REQUEST,
    TIERS,
    Walked,
    ladders,
    policies,
    replies,
    signal_sets,
)

from router.cascade import Call, Rung, Seen
from router.policy import PolicyTrace, before
from router.policy.predicates import Test as OneTest
from router.policy.rules import Limits, Policy, Requirement
from router.policy.trace import Taken
from router.signals.catalogue import Value

Ladder = dict[str, tuple[Rung, ...]]
Reply = Callable[[Call, Rung], Seen]

requests = signal_sets(OF_REQUEST)
targets = st.none() | st.sampled_from([f"{tier}-{i}" for tier in TIERS for i in range(2)])


@given(policies(), requests, ladders(), replies(), targets)
def test_the_walk_ends_and_asks_no_target_twice(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str | None
) -> None:
    names = [call.target for call in Walked(policy, signals, rungs, reply, asked=asked).calls]

    assert len(names) == len(set(names)) <= sum(map(len, rungs.values()))


@given(policies(), requests, ladders(), replies(), targets)
def test_a_forbidden_tier_is_never_called(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, asked=asked)

    for call in walked.calls:
        assert call.tier in walked.first.permitted
        assert call.target in [rung.name for rung in rungs[call.tier]]
        assert asked is None or call.target == asked
    if walked.verdict.status == "forbidden":
        assert walked.calls == []


@given(policies(), requests, ladders(), replies(), st.sampled_from(TIERS))
def test_forbidden_is_said_only_when_a_guard_or_the_policy_did_it(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str
) -> None:
    free = replace(policy, guards=())

    assert Walked(free, signals, rungs, reply).verdict.status != "forbidden"
    assert Walked(free, signals, rungs, reply, asked=f"{asked}-0").verdict.status != "forbidden"


@given(policies(), requests, ladders(), replies())
def test_tiers_go_up_from_where_the_policy_says_and_down_only_for_want_of_any_answer(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)
    visited = [TIERS.index(call.tier) for call in walked.calls]
    if not visited:
        return
    start = TIERS.index(walked.first.start or "")
    up = [tier for tier in visited if tier >= start]
    down = visited[len(up) :]

    assert visited == up + down
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert all(tier < start for tier in down)
    if down:
        assert all(seen.signals is None for seen in walked.seen[: len(up)])


@given(policies(), requests, ladders(), replies())
def test_hops_never_exceed_the_limit(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)

    assert policy.limits.hops is None or len(walked.calls) <= policy.limits.hops


@given(policies(), requests, ladders(), replies())
def test_dollars_never_exceed_the_limit_when_worst_cases_are_true(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)

    if policy.limits.cost_usd is not None:
        assert walked.spent_usd <= policy.limits.cost_usd
        unpriced = {r.name for of in rungs.values() for r in of if r.worst_case_usd is None}
        assert not unpriced & {call.target for call in walked.calls}


@given(policies(), requests, ladders(), replies())
def test_nothing_is_begun_after_the_deadline(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)

    if policy.limits.deadline_s is not None:
        gone = [seen.elapsed_s for seen in walked.seen[:-1]]
        assert all(elapsed_s < policy.limits.deadline_s for elapsed_s in gone)


@given(policies(), requests, ladders(), replies(), targets)
def test_the_last_permitted_tier_commits_and_no_other_does(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, asked=asked)
    served = [tier for tier in walked.first.permitted if rungs.get(tier)]

    for call in walked.calls:
        below = TIERS.index(call.tier) < TIERS.index(walked.first.start or "")
        assert call.commits == (asked is not None or call.tier == served[-1] or below)


@given(policies(), requests, ladders(), replies(), targets)
def test_after_a_committed_byte_there_is_no_further_call(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str | None
) -> None:
    walked = Walked(policy, signals, rungs, reply, asked=asked)
    committed = [i for i, seen in enumerate(walked.seen) if seen.committed]

    assert committed in ([], [len(walked.calls)])
    if committed:
        last = walked.seen[-1]
        assert walked.verdict.answered_by == (
            None if last.signals is None else len(walked.calls) - 1
        )
        assert ("cut" in walked.verdict.flags) == (last.signals is None)


@given(policies(), requests, ladders(), replies())
def test_only_an_answer_that_came_is_given(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)
    verdict = walked.verdict

    if verdict.answered_by is None:
        assert verdict.status != "answered"
        return
    given_ = walked.seen[verdict.answered_by + 1]
    assert verdict.status == "answered"
    assert given_.signals is not None
    assert given_.returnable or walked.calls[verdict.answered_by].commits
    if not verdict.flags:
        assert verdict.answered_by == len(walked.calls) - 1


@given(policies(), requests, ladders(), replies())
def test_a_draft_that_could_be_presented_is_never_lost(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)
    could = [s for s in walked.seen[1:] if s.signals is not None and s.returnable and s.presentable]

    if could and "cut" not in walked.verdict.flags:
        assert walked.verdict.status == "answered"


@given(policies(), requests, ladders(), replies())
def test_a_limit_is_named_only_where_it_decided(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    verdict = Walked(policy, signals, rungs, reply).verdict
    flagged = [flag for flag in verdict.flags if flag.startswith("limit:")]

    assert flagged == ([] if verdict.limit is None else [f"limit:{verdict.limit}"])
    assert (verdict.status == "limit_reached") <= (verdict.limit is not None)
    free = Walked(replace(policy, limits=Limits()), signals, rungs, reply).verdict
    assert free.limit is None


@given(policies(), requests, ladders(), replies(), st.floats(-3, 0), st.floats(-3, 0))
def test_a_higher_bar_never_keeps_more_and_never_means_fewer_hops(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    a: float,
    b: float,
) -> None:
    low, high = (Walked(_barred(policy, bar), signals, rungs, reply) for bar in sorted((a, b)))

    assert len(low.calls) <= len(high.calls)
    assert high.kept <= low.kept
    asked = [call.target for call in high.calls]
    assert [call.target for call in low.calls] == asked[: len(low.calls)]


def _barred(policy: Policy, bar: float) -> Policy:
    test = OneTest("draft.mean_logprob", "gte", bar)
    requirement = Requirement("bar", frozenset(TIERS), test)
    return replace(policy, accept=(*policy.accept, requirement))


@given(policies(), requests, ladders(), replies())
def test_an_unknown_draft_is_never_kept_by_a_requirement_on_it(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    def unknown(call: Call, rung: Rung) -> Seen:
        seen = reply(call, rung)
        if seen.signals is None:
            return seen
        return replace(seen, signals={**seen.signals, "draft.mean_logprob": None})

    walked = Walked(_barred(policy, -3.0), signals, rungs, unknown)

    assert not walked.kept
    assert walked.verdict.status != "answered" or "uncertain" in walked.verdict.flags


@given(policies(), requests, ladders(), replies(), targets)
def test_the_same_walk_leaves_the_same_trace(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked: str | None
) -> None:
    def trace() -> str:
        entries = Walked(policy, signals, rungs, reply, asked=asked).verdict.entries
        return json.dumps(PolicyTrace(entries).as_json(), allow_nan=False)

    assert trace() == trace()


@given(policies(), requests, ladders(), replies())
def test_the_trace_has_each_hop_once_and_in_order(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    walked = Walked(policy, signals, rungs, reply)
    taken = [entry for entry in walked.verdict.entries if isinstance(entry, Taken)]

    assert [entry.hop for entry in taken] == list(range(len(walked.calls)))
    assert [entry.because for entry in taken] == [call.because for call in walked.calls]
    assert [call.cause for call in walked.calls[:1]] in ([], ["start"])
    for before_, call in zip(walked.seen[1:], walked.calls[1:], strict=False):
        assert call.cause == ("fallback" if before_.signals is None else "escalation")


@given(policies(), requests, ladders(), replies(), st.decimals(0, 1, places=2))
def test_a_tighter_dollar_limit_never_spends_more_than_it_allows(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply, asked_usd: Decimal
) -> None:
    assume(before(policy, signals).start is not None)
    limits = policy.limits.tightened(None, asked_usd)

    walked = Walked(replace(policy, limits=limits), signals, rungs, reply)

    assert limits.cost_usd is not None
    assert walked.spent_usd <= limits.cost_usd <= asked_usd
