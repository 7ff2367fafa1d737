"""Drafts that are given up while they are written: what is stopped, booked, asked and shown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from support.street import Ended, Fixed, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.errors import LimitReached, NoAnswer, Unavailable
from router.policy import predicates
from router.policy.rules import Abort, Bar, Early, Limits, Policy, Race, Requirement
from router.types import Chunk, TokenStat

DEVICE = frozenset({"device"})


def low(bound: float) -> predicates.Test:
    return predicates.Test("draft.mean_logprob", "lt", bound)


POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    accept=(Requirement("sure", DEVICE, predicates.Test("draft.mean_logprob", "gte", -0.5)),),
    abort=(Abort(DEVICE, (Bar(2, low(-3.0)), Bar(4, low(-1.5)))),),
)
UNSURE = says("I guess it may be so or not", logprob=-2.0)
CLOUD = says("The cloud knows", logprob=None)


def street(device: object = UNSURE, cloud: object = CLOUD, **others: object) -> Street:
    found = Street()
    found.add("device", "device", device)  # type: ignore[arg-type]
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.add("cloud", "cloud", cloud, **others)  # type: ignore[arg-type]
    return found


def lines(ended: Ended) -> str:
    outcome = ended.answer
    return "\n".join(outcome.trace.lines(outcome.hops))


def test_a_draft_below_the_bar_for_its_length_is_stopped_there_and_the_next_tier_asked() -> None:
    found = street()
    ended = found.run(POLICY)
    device, cloud = ended.answer.hops

    assert ended.text == "The cloud knows"
    assert (device.status, device.left) == ("deferred", "not kept: given up at token 4")
    assert (cloud.cause, cloud.because) == ("escalation", "the draft was given up at token 4")
    assert found.players["device"].closed == 1
    assert ended.answer.flags == ()


def test_what_was_written_in_vain_is_booked_with_the_tokens_that_had_come() -> None:
    (attempt,) = street().run(POLICY).answer.hops[0].attempts

    assert (attempt.error_kind, attempt.finish) == ("aborted", None)
    assert (attempt.usage.output_tokens, attempt.usage.input_tokens) == (4, None)
    assert attempt.cost_usd == Decimal(0)


def test_tokens_of_a_cloud_draft_that_was_given_up_are_estimated_not_known() -> None:
    found = street()
    found.lives["device"] = replace(found.lives["device"], here=False, meter=Fixed(Decimal(1)))
    (attempt,) = found.run(POLICY).answer.hops[0].attempts

    assert (attempt.usage.output_tokens, attempt.cost_usd) == (None, None)
    assert (attempt.estimate.output_tokens, attempt.estimate_usd) == (4, Decimal(4))


def test_nothing_of_it_is_shown_and_each_look_stands_in_the_trace() -> None:
    ended = street().run(POLICY)

    assert [c.text for c in ended.chunks if c.text] == ["The", " cloud", " knows"]
    assert "abort  device@2                 no       draft.mean_logprob -2 < -3" in lines(ended)
    assert (
        "abort  device@4                 yes      draft.mean_logprob -2 < -1.5"
        "   -> given up at token 4"
    ) in lines(ended)


def test_a_draft_above_its_bars_is_judged_whole() -> None:
    found = street(says("I guess it may be so", logprob=-1.0))
    device = found.run(POLICY).answer.hops[0]

    assert device.attempts[0].error_kind is None
    assert device.attempts[0].usage.output_tokens == 6


def test_a_draft_of_unknown_confidence_is_never_given_up() -> None:
    free = replace(POLICY, accept=())
    ended = street(says("I say it without numbers", logprob=None)).run(free)

    assert ended.text == "I say it without numbers"


def test_a_draft_that_ends_before_a_bar_is_judged_whole() -> None:
    ended = street(says("I guess so", logprob=-2.0)).run(POLICY)

    assert ended.answer.hops[0].attempts[0].error_kind is None
    assert "device@4" not in lines(ended)


def test_tokens_that_come_at_once_meet_only_the_bar_for_the_greatest_length() -> None:
    many = Chunk(text="a b c d", tokens=(TokenStat(-4.0),) * 4)
    ended = street([many, *UNSURE]).run(POLICY)

    assert "device@2" not in lines(ended)
    assert "given up at token 4" in lines(ended)


def test_a_draft_that_came_whole_in_one_piece_is_not_given_up() -> None:
    whole = Chunk(text="a b c d", tokens=(TokenStat(-4.0),) * 4, finish="stop")
    ended = street([whole]).run(POLICY)

    assert ended.answer.hops[0].attempts[0].error_kind is None


def test_each_call_of_a_hop_is_held_to_the_bars_anew() -> None:
    found = Street()
    dies = [*says("I guess it", logprob=-2.0)[:-1], Unavailable("gone")]
    found.add("device", "device", dies, UNSURE, attempts=2)
    found.add("cloud", "cloud", CLOUD)
    device = found.run(POLICY).answer.hops[0]

    assert [a.error_kind for a in device.attempts] == ["unavailable", "aborted"]
    assert found.calls()["device"] == 2


def test_a_bar_is_looked_at_once_however_the_draft_goes_on() -> None:
    falls = [*says("I am", logprob=-1.0)[:-1], *says("lost", logprob=-9.0)]
    ended = street(falls).run(POLICY)  # -3.7 at its third token; the bar at the second let it pass

    assert ended.answer.hops[0].attempts[0].error_kind is None
    assert lines(ended).count("abort ") == 1


def test_a_retry_meets_the_bars_that_the_call_before_it_has_passed() -> None:
    found = Street()
    dies = [*says("I guess it may be", logprob=-1.0)[:-1], Unavailable("gone")]
    found.add("device", "device", dies, UNSURE, attempts=2)
    found.add("cloud", "cloud", CLOUD)
    device = found.run(POLICY).answer.hops[0]

    assert [a.error_kind for a in device.attempts] == ["unavailable", "aborted"]


def test_the_last_tier_is_never_given_up() -> None:
    alone = replace(POLICY, tiers=("device",))
    found = Street()
    found.add("device", "device", UNSURE)

    assert found.run(alone).text == "I guess it may be so or not"


def test_the_only_hop_there_may_be_is_never_given_up() -> None:
    ended = street().run(replace(POLICY, limits=Limits(hops=1)))

    assert ended.text == "I guess it may be so or not"
    assert ended.answer.flags == ("uncertain", "limit:hops")


def test_where_nobody_else_answers_the_draft_is_written_again_and_shown() -> None:
    found = street(cloud=[Unavailable("down")])
    ended = found.run(POLICY)

    assert ended.text == "I guess it may be so or not"
    assert ended.answer.flags == ("uncertain",)
    assert [(h.target, h.cause) for h in ended.answer.hops] == [
        ("device", "start"), ("cloud", "escalation"), ("device", "fallback"),
    ]  # fmt: skip
    assert ended.answer.hops[2].because == (
        "nobody else answered, and device's draft had been given up"
    )
    assert len([c for c in ended.chunks if c.text]) == 8


def test_where_on_failure_refuses_it_is_not_written_again() -> None:
    found = street(cloud=[Unavailable("down")])
    ended = found.run(replace(POLICY, on_failure="refuse"))

    assert isinstance(ended.error, NoAnswer)
    assert found.calls()["device"] == 1


def test_nor_where_the_hops_are_used_up() -> None:
    found = street(cloud=[Unavailable("down")])
    ended = found.run(replace(POLICY, limits=Limits(hops=2)))

    assert isinstance(ended.error, LimitReached)
    assert found.calls()["device"] == 1


def test_a_draft_given_up_says_nothing_against_its_target_nor_of_how_long_answers_take() -> None:
    found = street()
    for _ in range(7):
        found.run(POLICY)

    assert found.calls()["device"] == 7
    assert found.home.senses.speeds.end_s("device", None) is None


def test_what_is_shown_early_is_not_given_up_later() -> None:
    falls = [*says("I am sure")[:-1], *says(" but now I am all lost", logprob=-9.0)]
    early = (Early(DEVICE, 3, predicates.Test("draft.mean_logprob", "gte", -0.5)),)
    ended = street(falls).run(replace(POLICY, early=early))

    assert ended.answer.answered_by == 0
    assert ended.answer.flags == ("uncertain",)


def test_at_the_same_token_showing_comes_before_giving_up() -> None:
    early = (Early(DEVICE, 4, predicates.Test("draft.mean_logprob", "gte", -2.5)),)

    assert street().run(replace(POLICY, early=early)).answer.answered_by == 0


RACING = replace(POLICY, race=Race(cost_usd=Decimal(1), after_s=1.0))


def raced(
    device: list[object], cloud: list[object], policy: Policy = RACING
) -> tuple[Street, Ended]:
    found = Street(clock=LoopClock())
    found.add("device", "device", device)  # type: ignore[arg-type]
    found.add("cloud", "cloud", cloud, meter=Fixed(Decimal("0.001")))  # type: ignore[arg-type]
    return found, run_virtual(collected(found.stream(policy, ask())))


def test_with_a_race_under_way_the_rival_takes_over_from_a_draft_that_is_given_up() -> None:
    slow = [*UNSURE[:2], 3.0, *UNSURE[2:6], 60.0, *UNSURE[6:]]
    found, ended = raced(slow, [CLOUD[0], 5.0, *CLOUD[1:]])

    assert ended.text == "The cloud knows"
    assert [(h.target, h.cause, h.status) for h in ended.answer.hops] == [
        ("device", "start", "deferred"), ("cloud", "race", "answered"),
    ]  # fmt: skip
    assert ended.answer.hops[0].attempts[0].error_kind == "aborted"
    assert ended.answer.total_s == pytest.approx(6.0)
    assert found.calls() == {"device": 1, "cloud": 1}


def test_a_draft_given_up_before_its_rival_begins_is_followed_at_once() -> None:
    _, ended = raced([*UNSURE[:5], 60.0, *UNSURE[5:]], CLOUD)

    assert [h.cause for h in ended.answer.hops] == ["start", "escalation"]
    assert ended.answer.total_s == pytest.approx(0.0)


def test_with_two_hops_and_a_race_nothing_is_given_up_as_the_rival_may_fail() -> None:
    tight = replace(RACING, limits=Limits(hops=2))
    slow = [*UNSURE[:3], 9.0, *UNSURE[3:]]
    _, ended = raced(slow, [1.0, Unavailable("down", retryable=False)], tight)

    assert ended.text == "I guess it may be so or not"
    assert ended.answer.flags[0] == "uncertain"


def test_a_rival_that_fails_after_the_draft_was_given_up_has_it_written_again() -> None:
    found, ended = raced([UNSURE[0], 2.0, *UNSURE[1:]], [4.0, Unavailable("down", retryable=False)])

    assert ended.text == "I guess it may be so or not"
    assert [h.cause for h in ended.answer.hops] == ["start", "race", "fallback"]
    assert found.calls() == {"device": 2, "cloud": 1}
