"""What holds of a walk that a content filter stops somewhere, whatever the policy makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from support.policies import OF_REQUEST, TIERS, Walked, ladders, policies, replies, signal_sets

from router.cascade import Call, Rung, Seen
from router.policy.rules import OnFiltered, Policy
from router.signals.catalogue import Value

Ladder = dict[str, tuple[Rung, ...]]
Reply = Callable[[Call, Rung], Seen]

requests = signal_sets(OF_REQUEST)
rules = st.sampled_from(get_args(OnFiltered))
names = [f"{tier}-{i}" for tier in TIERS for i in range(2)]
stopped = st.dictionaries(st.sampled_from(names), st.sampled_from(["prompt", "answer"]))
asked_or_not = st.none() | st.sampled_from(names)


def filtering(reply: Reply, stops: dict[str, str]) -> Reply:
    """`reply`, with the prompt blocked or the answer cut at some targets."""

    def replied(call: Call, rung: Rung) -> Seen:
        seen = reply(call, rung)
        match stops.get(call.target):
            case "prompt":
                seen = replace(
                    seen, signals=None, failure="filtered", committed=False, filtered=True
                )
            case "answer" if seen.signals is not None:
                seen = replace(seen, returnable=False, filtered=True)
        return seen

    return replied


@given(policies(), requests, ladders(), replies(), stopped, asked_or_not)
def test_next_is_as_if_nobody_knew_why_a_target_gave_nothing(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stops: dict[str, str],
    asked: str | None,
) -> None:
    def unknown(call: Call, rung: Rung) -> Seen:
        return replace(filtering(reply, stops)(call, rung), filtered=False)

    known = Walked(policy, signals, rungs, filtering(reply, stops), asked=asked)
    plain = Walked(policy, signals, rungs, unknown, asked=asked)

    assert known.calls == plain.calls
    assert replace(
        known.verdict, flags=tuple(f for f in known.verdict.flags if f != "filtered")
    ) == replace(plain.verdict, entries=known.verdict.entries)


@given(policies(), requests, ladders(), replies(), stopped, rules, asked_or_not)
def test_the_flag_is_there_where_a_filter_stopped_somebody_and_the_answer_was_not_kept(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stops: dict[str, str],
    rule: OnFiltered,
    asked: str | None,
) -> None:
    walked = Walked(
        replace(policy, on_filtered=rule), signals, rungs, filtering(reply, stops), asked=asked
    )
    verdict, said = walked.verdict, walked.verdict.flags
    not_kept = verdict.status != "answered" or bool(set(said) - {"filtered"})

    assert ("filtered" in said) == (not_kept and any(seen.filtered for seen in walked.seen))
    assert said.count("filtered") <= 1


@given(policies(), requests, ladders(), replies(), stopped, asked_or_not)
def test_after_a_filter_refuse_asks_nobody_and_gives_nothing_but_what_was_shown(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stops: dict[str, str],
    asked: str | None,
) -> None:
    walked = Walked(
        replace(policy, on_filtered="refuse"),
        signals,
        rungs,
        filtering(reply, stops),
        asked=asked,
    )
    by = [i for i, seen in enumerate(walked.seen) if seen.filtered]

    assert by in ([], [len(walked.calls)])
    if by and not walked.seen[-1].committed:
        assert (walked.verdict.status, walked.verdict.answered_by) == ("no_answer", None)
        assert walked.verdict.flags == ("filtered",)
    elif by:
        assert walked.verdict.answered_by == len(walked.calls) - 1
        assert walked.verdict.flags == ("uncertain", "filtered")


@given(policies(), requests, ladders(), replies(), stopped, asked_or_not)
def test_after_a_filter_draft_asks_nobody_as_strong_and_gives_the_best_draft_there_is(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stops: dict[str, str],
    asked: str | None,
) -> None:
    walked = Walked(
        replace(policy, on_filtered="draft"), signals, rungs, filtering(reply, stops), asked=asked
    )
    seen, calls, verdict = walked.seen[1:], walked.calls, walked.verdict

    for i, one in enumerate(seen):
        if not one.filtered:
            continue
        place = TIERS.index(calls[i].tier)
        assert all(TIERS.index(later.tier) < place for later in calls[i + 1 :])
        drafts = [
            n
            for n, d in enumerate(seen[:i])
            if d.signals is not None and d.returnable and d.presentable
        ]
        if drafts and not one.committed:
            assert len(calls) == i + 1
            assert (verdict.status, verdict.answered_by) == ("answered", drafts[-1])
            assert verdict.flags == ("uncertain", "filtered")
    if verdict.answered_by is not None and seen[verdict.answered_by].filtered:
        assert seen[verdict.answered_by].committed


@given(policies(), requests, ladders(), replies(), stopped, rules, asked_or_not)
def test_a_walk_with_filters_ends_within_its_guards_and_limits(
    policy: Policy,
    signals: dict[str, Value],
    rungs: Ladder,
    reply: Reply,
    stops: dict[str, str],
    rule: OnFiltered,
    asked: str | None,
) -> None:
    walked = Walked(
        replace(policy, on_filtered=rule), signals, rungs, filtering(reply, stops), asked=asked
    )
    targets = [call.target for call in walked.calls]

    assert len(targets) == len(set(targets))
    assert {call.tier for call in walked.calls} <= set(walked.first.permitted)
    assert policy.limits.hops is None or len(targets) <= policy.limits.hops
    if policy.limits.cost_usd is not None:
        assert walked.spent_usd <= policy.limits.cost_usd
