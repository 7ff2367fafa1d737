"""A whole request over targets that play a part: what is shown, what is booked, how it ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest
from support.street import STALL, Fixed, Play, Player, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.clock import SystemClock
from router.errors import (
    AuthFailed,
    Forbidden,
    LedgerError,
    LimitReached,
    NoAnswer,
    NotSent,
    RateLimited,
    Unavailable,
)
from router.hops import Outcome
from router.policy import predicates
from router.policy.rules import Guard, Limits, Policy, Requirement, Route
from router.types import Chunk, Message

SURE = says("I am sure")
UNSURE = says("I guess so", logprob=-2.0)
CLOUD = says("The cloud knows", logprob=None)
BUSY = Unavailable("overloaded", status=503)
DENIED = AuthFailed("no such key")
PENNY = Fixed(Decimal("0.01"))


def policy(
    *,
    tiers: tuple[str, ...] = ("device", "cloud"),
    limits: Limits | None = None,
    route: tuple[Route, ...] = (),
) -> Policy:
    """The device's draft has to be sure; private text stays there."""
    return Policy(
        name="tested",
        revision="0" * 12,
        summary="For tests.",
        tiers=tiers,
        guards=(
            Guard(
                "private-stays-home",
                predicates.Test("request.label", "in", ("pii", "secret")),
                frozenset(tiers[1:]),
            ),
        ),
        route=route,
        accept=(
            Requirement(
                "sure-enough",
                frozenset({tiers[0]}),
                predicates.Test("draft.mean_logprob", "gte", -0.5),
            ),
        ),
        limits=limits or Limits(),
    )


def street(device: Play, *clouds: Play) -> Street:
    found = Street()
    found.add("device", "device", device)
    for i, cloud in enumerate(clouds):
        found.add(f"cloud-{i}", "cloud", cloud)
    return found


# What is shown


def test_a_kept_draft_comes_in_one_piece() -> None:
    ended = street(SURE, CLOUD).run(policy())

    (chunk,) = ended.chunks
    assert (chunk.text, chunk.finish) == ("I am sure", "stop")
    assert [h.status for h in ended.answer.hops] == ["answered"]
    assert ended.answer.answered_by == 0


def test_nothing_of_a_dropped_draft_is_shown() -> None:
    ended = street(UNSURE, CLOUD).run(policy())

    assert [c.text for c in ended.chunks] == ["The", " cloud", " knows"]
    device, cloud = ended.answer.hops
    assert (device.status, device.left) == ("deferred", "not kept")
    assert (cloud.cause, cloud.because) == ("escalation", "sure-enough does not hold")
    assert (cloud.status, ended.answer.flags) == ("answered", ())


def test_the_last_tier_is_shown_as_it_comes() -> None:
    found = Street(clock=SystemClock())
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", [Chunk(text="first "), STALL])

    async def main() -> None:
        async with aclosing(found.stream(policy(), ask())) as stream:
            first = await anext(stream)
            assert isinstance(first, Chunk)
            assert first.text == "first "

    asyncio.run(main())


def test_one_tier_alone_is_shown_as_it_comes_and_only_flagged() -> None:
    found = street(UNSURE)

    ended = found.run(policy(tiers=("device",)))

    assert [c.text for c in ended.chunks] == ["I", " guess", " so"]
    assert ended.answer.flags == ("uncertain",)


def test_the_time_to_the_first_byte_is_that_of_the_first_committed_one() -> None:
    found = street([1.0, *UNSURE], [0.5, *CLOUD, 1.0])

    ended = found.run(policy())

    assert ended.answer.ttfb_s == pytest.approx(1.5)
    assert ended.answer.total_s == pytest.approx(2.5)


# Failures


def test_a_failed_target_is_followed_by_another_of_its_tier() -> None:
    found = street(UNSURE, [DENIED], CLOUD)

    ended = found.run(policy())

    assert ended.text == "The cloud knows"
    assert [h.cause for h in ended.answer.hops] == ["start", "escalation", "fallback"]
    assert ended.answer.hops[1].left == "failed: auth_failed"


def test_a_failed_device_is_followed_by_the_cloud() -> None:
    ended = street([BUSY], CLOUD).run(policy())

    assert [(h.target, h.cause) for h in ended.answer.hops] == [
        ("device", "start"),
        ("cloud-0", "fallback"),
    ]


def test_a_device_that_would_be_too_late_is_followed_by_the_cloud_and_not_held_guilty() -> None:
    late = NotSent("the device turned it away: 9 s, and 3 s are left", code="too_late")
    late.reached = False
    found = street([late], CLOUD)
    for _ in range(6):
        ended = found.run(policy())

        assert [h.target for h in ended.answer.hops] == ["device", "cloud-0"]
        attempt = ended.answer.hops[0].attempts[0]
        assert (attempt.error_kind, attempt.error_code) == ("not_sent", "too_late")
        assert attempt.cost_usd == 0
        assert not attempt.reached
    assert found.senses is not None
    assert found.senses.breakers.state("device") == "closed"


def test_when_nothing_better_comes_the_draft_is_shown_flagged() -> None:
    ended = street(UNSURE, [DENIED], [BUSY]).run(policy())

    assert [c.text for c in ended.chunks] == ["I guess so"]
    assert ended.answer.flags == ("uncertain",)
    assert [h.status for h in ended.answer.hops] == ["answered", "failed", "failed"]


def test_an_answer_that_dies_after_its_first_byte_is_the_end() -> None:
    found = street(UNSURE, [Chunk(text="half an "), BUSY], CLOUD)

    ended = found.run(policy())

    assert ended.text == "half an "
    assert isinstance(ended.error, NoAnswer)
    assert ended.error.outcome is not None
    assert ended.error.outcome.flags == ("cut",)
    assert found.calls() == {"device": 1, "cloud-0": 1, "cloud-1": 0}
    assert "part of the answer had been sent" in str(ended.error)


def test_when_all_fail_every_cause_is_kept() -> None:
    ended = street([DENIED], [BUSY]).run(policy())

    assert isinstance(ended.error, NoAnswer)
    assert [h.left for h in ended.error.hops] == ["failed: auth_failed", "failed: unavailable"]
    assert isinstance(ended.error.__cause__, ExceptionGroup)
    assert ended.error.__cause__.exceptions == (DENIED, BUSY)


@pytest.mark.parametrize("empty", [says(""), says(" "), says("no", finish="content_filter")])
def test_a_draft_without_text_or_cut_by_a_filter_is_not_kept(empty: Play) -> None:
    no_bar = Policy(name="p", revision="r", summary="s", tiers=("device", "cloud"))

    ended = street(empty, CLOUD).run(no_bar)

    assert ended.text == "The cloud knows"
    assert "says nothing, or a filter cut it" in ended.answer.hops[1].because


def test_a_last_answer_without_a_byte_gives_way_to_the_draft() -> None:
    ended = street(UNSURE, says("")).run(policy())

    assert ended.text == "I guess so"
    assert ended.answer.flags == ("uncertain",)
    assert [h.status for h in ended.answer.hops] == ["answered", "deferred"]


@pytest.mark.parametrize("end", [Chunk(finish="stop"), Unavailable("gone away")])
def test_white_space_alone_commits_to_nothing(end: Chunk | Unavailable) -> None:
    ended = street(UNSURE, [Chunk(text="\n"), Chunk(text="  "), end]).run(policy())

    assert ended.text == "I guess so"
    assert ended.answer.flags == ("uncertain",)


def test_white_space_before_the_first_word_is_shown_with_it() -> None:
    ended = street(UNSURE, [Chunk(text="\n"), *CLOUD]).run(policy())

    assert ended.text == "\nThe cloud knows"
    assert ended.answer.flags == ()


def test_an_empty_answer_with_nothing_before_it_is_flagged_and_has_no_first_byte() -> None:
    ended = street(says("")).run(policy(tiers=("device",)))

    assert (ended.text, ended.answer.flags) == ("", ("uncertain",))
    assert ended.answer.ttfb_s is None


# Guards, routes, named targets


def test_private_text_stays_home_and_the_device_commits() -> None:
    found = street(UNSURE, CLOUD)

    ended = found.run(policy(), ask(label="secret"))

    assert [c.text for c in ended.chunks] == ["I", " guess", " so"]
    assert found.calls() == {"device": 1, "cloud-0": 0}


def test_when_guards_leave_no_tier_nobody_is_asked() -> None:
    found = street(SURE)
    cloud_only = Policy(
        name="cloud-only",
        revision="r",
        summary="s",
        tiers=("device",),
        guards=(Guard("never", predicates.Test("prompt.turns", "gte", 1), frozenset({"device"})),),
    )

    ended = found.run(cloud_only)

    assert isinstance(ended.error, Forbidden)
    assert ended.error.guards == ("never",)
    assert "forbidden by: never" in str(ended.error)
    assert found.calls() == {"device": 0}
    assert [c.outcome.status for c in found.sink.closed] == ["forbidden"]


def test_when_guards_leave_only_tiers_without_a_target_that_is_forbidden_too() -> None:
    found = Street()
    found.add("cloud", "cloud", CLOUD)

    ended = found.run(policy(), ask(label="pii"))

    assert isinstance(ended.error, Forbidden)
    assert ended.error.guards == ("private-stays-home",)
    assert found.calls() == {"cloud": 0}


def test_without_any_target_for_the_policy_there_is_no_answer() -> None:
    found = Street()
    found.add("other", "some-other-tier", CLOUD)

    ended = found.run(policy())

    assert isinstance(ended.error, NoAnswer)
    assert "no target serves a tier" in str(ended.error)


def test_a_route_to_a_tier_without_target_goes_back_to_what_there_is() -> None:
    route = Route("long", predicates.Test("prompt.tokens", "gt", 10), "cloud")
    found = street(SURE)

    ended = found.run(policy(route=(route,)))

    assert ended.text == "I am sure"
    assert "no target serves cloud" in ended.answer.hops[0].because


def test_a_named_target_is_asked_alone_and_commits() -> None:
    found = street(SURE, CLOUD)

    ended = found.run(policy(), ask(target="cloud-0"))

    assert [(h.target, h.cause) for h in ended.answer.hops] == [("cloud-0", "asked")]
    assert len(ended.chunks) == 3


@pytest.mark.parametrize(
    ("request_", "says_"),
    [
        (ask(target="cloud-0", label="secret"), "forbidden by: private-stays-home"),
        (ask(target="other"), "its tier is not in the policy"),
        (ask(target="other", label="secret"), "its tier is not in the policy"),
    ],
)
def test_guards_hold_for_a_named_target_too(request_: object, says_: str) -> None:
    found = street(SURE, CLOUD)
    found.add("other", "elsewhere", CLOUD)

    ended = found.run(policy(), request_)  # type: ignore[arg-type]

    assert isinstance(ended.error, Forbidden)
    assert says_ in str(ended.error)
    assert set(found.calls().values()) == {0}


# Limits


def test_at_the_hop_limit_the_draft_is_shown_flagged() -> None:
    ended = street(UNSURE, CLOUD).run(policy(limits=Limits(hops=1)))

    assert ended.text == "I guess so"
    assert ended.answer.flags == ("uncertain", "limit:hops")


def test_at_the_deadline_without_a_draft_the_limit_is_the_error() -> None:
    found = street([5.0, BUSY], CLOUD)

    ended = found.run(policy(limits=Limits(deadline_s=4)))

    assert isinstance(ended.error, LimitReached)
    assert ended.error.limit == "deadline_s"
    assert found.calls() == {"device": 1, "cloud-0": 0}


def test_the_callers_deadline_and_dollars_tighten_the_policys() -> None:
    found = street([3.0, *UNSURE], CLOUD)

    ended = found.run(policy(limits=Limits(deadline_s=60)), ask(deadline_s=2.0))

    assert ended.answer.flags == ("uncertain", "limit:deadline_s")


def test_a_call_that_used_up_the_deadline_is_the_last_even_if_its_timer_was_early() -> None:
    """The hand of the manual clock stands still while the real timer fires: as early as can be."""
    found = street([STALL], CLOUD)

    ended = found.run(policy(limits=Limits(deadline_s=0.05)))

    assert isinstance(ended.error, LimitReached)
    assert found.calls() == {"device": 1, "cloud-0": 0}


def test_dollars_are_reserved_at_their_worst_and_settled_at_what_it_cost() -> None:
    found = street(UNSURE)
    found.add("cheap", "cloud", [Unavailable("x", status=500)], meter=PENNY, max_output_tokens=3)
    found.add("dear", "cloud", CLOUD, meter=PENNY, max_output_tokens=4)

    # worst cases: 0.03, then 0.04; the failed call's cost is unknown, so it counts as 0.03
    short = found.run(policy(), ask(cost_usd=Decimal("0.069")))
    enough = found.run(policy(), ask(cost_usd=Decimal("0.070")))

    assert short.answer.flags == ("uncertain", "limit:cost_usd")
    assert found.calls() == {"device": 2, "cheap": 2, "dear": 1}
    assert enough.text == "The cloud knows"
    assert enough.answer.cost_usd is None
    assert enough.answer.hops[2].cost_usd == Decimal("0.03")


def test_what_a_call_really_cost_is_what_counts_against_the_limit() -> None:
    found = Street()
    found.add("device", "device", UNSURE, meter=PENNY, max_output_tokens=10)
    found.add("cloud", "cloud", CLOUD, meter=PENNY, max_output_tokens=3)

    # the device's worst case is 0.10, it costs 0.03; the cloud's worst case is 0.03
    assert found.run(policy(), ask(cost_usd=Decimal("0.10"))).answer.cost_usd == Decimal("0.06")
    assert isinstance(found.run(policy(), ask(cost_usd=Decimal("0.02"))).error, LimitReached)


def test_an_unknown_price_and_a_dollar_limit_do_not_go_together() -> None:
    found = street(UNSURE)
    found.add("cloud", "cloud", CLOUD, meter=Fixed(None))

    capped = found.run(policy(), ask(cost_usd=Decimal(1)))
    free = found.run(policy())

    assert capped.answer.flags == ("uncertain", "limit:cost_usd")
    assert free.answer.answered_by == 1
    assert free.answer.cost_usd is None


def test_a_limit_that_did_not_decide_is_not_flagged() -> None:
    found = street(UNSURE)
    found.add("dear", "cloud", CLOUD, meter=PENNY, max_output_tokens=100)
    found.add("cheap", "cloud", CLOUD, meter=PENNY, max_output_tokens=3)

    ended = found.run(policy(), ask(cost_usd=Decimal("0.05")))

    assert [h.target for h in ended.answer.hops] == ["device", "cheap"]
    assert ended.answer.flags == ()


class BigEyes(Fixed):
    """A meter that only charges for input, and remembers how much it was told to expect."""

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        return Decimal(input_tokens)


def test_the_devices_count_of_a_prompt_does_not_bound_what_a_cloud_will_count() -> None:
    found = street(UNSURE)
    found.add("cloud", "cloud", CLOUD, meter=BigEyes())
    found.counted = 1
    prompt = "\N{HANGUL SYLLABLE GA}" * 100  # 300 bytes; a tokenizer may make a token of each

    short = found.run(policy(), ask(prompt, cost_usd=Decimal(299)))

    assert short.answer.flags == ("uncertain", "limit:cost_usd")


# The count of tokens

LONG = (Route("long", predicates.Test("prompt.tokens", "gt", 10), "cloud"),)


def test_the_devices_count_decides_where_a_policy_asks_for_it() -> None:
    assert street(SURE, CLOUD).run(policy(route=LONG)).text == "The cloud knows"


class Counting(Street):
    """A device whose count of tokens does not come, or fails."""

    hangs = True

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        if self.hangs:
            await asyncio.Event().wait()
        raise Unavailable("the worker died")


def test_a_count_that_fails_leaves_the_bound_by_bytes() -> None:
    found = Counting()
    found.hangs = False
    found.add("device", "device", SURE)

    assert found.run(policy(tiers=("device",), route=())).text == "I am sure"
    route = (Route("long", predicates.Test("prompt.tokens", "gt", 10), "device"),)
    ended = found.run(policy(tiers=("device",), route=route))
    assert ended.text == "I am sure"
    assert ended.answer.trace.as_json()[1]["tests"][0]["value"] == {"at_most": 331}


def test_a_count_that_hangs_does_not_outlast_the_deadline() -> None:
    found = Counting()  # its clock stands still while the timer fires
    found.add("device", "device", SURE)
    found.add("cloud", "cloud", CLOUD)

    ended = found.run(policy(route=LONG, limits=Limits(deadline_s=0.05)))

    assert isinstance(ended.error, LimitReached)
    assert found.calls() == {"device": 0, "cloud": 0}


# Booking


def test_the_request_is_booked_before_its_outcome_is_handed_over() -> None:
    found = street(UNSURE, CLOUD)
    seen: list[int] = []

    async def main() -> None:
        async for item in found.stream(policy(), ask(label="internal", tags={"team": "a"})):
            seen.append(len(found.sink.closed))
            if isinstance(item, Outcome):
                assert found.sink.closed[0].outcome is item

    asyncio.run(main())

    assert seen == [0, 0, 0, 1]
    found.sink.check_pairs()
    began = found.sink.began
    assert [(b.hop, b.target, b.cause, b.label) for b in began] == [
        (0, "device", "start", "internal"),
        (1, "cloud-0", "escalation", "internal"),
    ]
    assert began[0].tags == found.sink.closed[0].tags == {"team": "a"}
    assert len({b.decision_id for b in began} | {found.sink.closed[0].outcome.decision_id}) == 1


@pytest.mark.parametrize(
    ("device", "limits", "status"),
    [([DENIED], Limits(), "no_answer"), ([5.0, DENIED], Limits(deadline_s=1), "limit_reached")],
)
def test_a_request_without_an_answer_is_booked_too(
    device: Play, limits: Limits, status: str
) -> None:
    found = street(device)

    ended = found.run(policy(tiers=("device",), limits=limits))

    (closed,) = found.sink.closed
    assert (closed.outcome.status, closed.answer) == (status, None)
    assert closed.outcome.answered_by is None
    assert getattr(ended.error, "outcome", None) is closed.outcome
    found.sink.check_pairs()


def test_a_caller_who_leaves_in_mid_answer_is_booked_as_cancelled() -> None:
    found = street(UNSURE, [Chunk(text="first "), Chunk(text="second"), STALL])
    found.keep_text = True

    async def main() -> Player:
        stream = found.stream(policy(), ask())
        await anext(stream)
        await stream.aclose()
        return found.players["cloud-0"]

    cloud = asyncio.run(main())

    assert cloud.closed == 1
    (closed,) = found.sink.closed
    assert (closed.outcome.status, closed.outcome.answered_by) == ("cancelled", None)
    assert [h.status for h in closed.outcome.hops] == ["deferred", "cancelled"]
    assert closed.answer == "first "
    found.sink.check_pairs()


def test_a_cancelled_task_is_booked_as_cancelled() -> None:
    found = street([STALL], CLOUD)

    async def main() -> None:
        task = asyncio.create_task(anext(found.stream(policy(), ask())))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert found.players["device"].closed == 1
    (closed,) = found.sink.closed
    assert [h.left for h in closed.outcome.hops] == ["the caller went away"]
    assert closed.outcome.status == "cancelled"
    found.sink.check_pairs()


@pytest.mark.parametrize("refuse_from", [0, 1])
def test_a_ledger_that_can_not_book_ends_the_request_and_no_caller_is_blamed(
    refuse_from: int,
) -> None:
    found = street(UNSURE, CLOUD)
    found.sink.refuse_from = refuse_from

    ended = found.run(policy())

    assert isinstance(ended.error, LedgerError)
    assert ended.chunks == []
    assert sum(found.calls().values()) == refuse_from
    assert [c.outcome.status for c in found.sink.closed] == ["no_answer"]
    found.sink.check_pairs()


def test_a_retry_that_can_not_be_booked_leaves_a_failed_hop() -> None:
    found = Street()
    found.add("device", "device", [RateLimited("later")], SURE, attempts=2)
    found.sink.refuse_from = 1

    ended = found.run(policy(tiers=("device",)))

    assert isinstance(ended.error, LedgerError)
    (hop,) = found.sink.closed[0].outcome.hops
    assert (hop.status, len(hop.attempts)) == ("failed", 1)


@pytest.mark.parametrize("keep_text", [True, False])
def test_text_is_handed_to_the_ledger_only_if_it_is_kept(keep_text: bool) -> None:
    found = street(SURE)
    found.keep_text = keep_text

    found.run(policy(tiers=("device",)), ask("a private thing"))

    (closed,) = found.sink.closed
    assert closed.answer == ("I am sure" if keep_text else None)
    assert (closed.messages is None) is not keep_text
    assert "private" not in str(found.sink.began)


def test_costs_add_up_and_one_unknown_makes_the_sum_unknown() -> None:
    known = Street()
    known.add("device", "device", UNSURE, meter=PENNY)
    known.add("cloud", "cloud", CLOUD, meter=PENNY)
    unknown = street(UNSURE)
    unknown.add("cloud", "cloud", CLOUD, meter=Fixed(None))

    assert known.run(policy()).answer.cost_usd == Decimal("0.06")
    assert unknown.run(policy()).answer.cost_usd is None


def test_a_hop_has_all_its_calls_and_the_signals_of_its_draft() -> None:
    found = Street()
    found.add("device", "device", [0.25, BUSY], UNSURE, attempts=2)
    found.add("cloud", "cloud", CLOUD)

    device, cloud = found.run(policy()).answer.hops

    assert [a.number for a in device.attempts] == [1, 2]
    assert device.total_s == pytest.approx(0.25 + sum_of_waits(found))
    assert device.signals["draft.mean_logprob"] == pytest.approx(-2.0)
    assert cloud.signals["draft.mean_logprob"] is None
    assert (cloud.provider, cloud.model) == ("player", "cloud-model")


def sum_of_waits(found: Street) -> float:
    first, second, *_ = found.sink.began
    return second.started_at - first.started_at - 0.25


def test_the_trace_names_what_happened_in_order() -> None:
    found = street(UNSURE, [DENIED], CLOUD)

    trace = found.run(policy()).answer.trace.as_json()

    assert [entry.get("id") or entry.get("text") or entry["hop"] for entry in trace] == [
        "private-stays-home",
        0,
        "sure-enough",
        1,
        "cloud-0 failed: auth_failed",
        2,
    ]


def test_requests_at_the_same_time_do_not_mix() -> None:
    found = Street(clock=SystemClock())
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", [Chunk(text="a"), 0.01, Chunk(text="b"), Chunk(finish="stop")])

    async def one() -> str:
        return "".join(
            [c.text async for c in found.stream(policy(), ask()) if isinstance(c, Chunk)]
        )

    async def main() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(20)))

    assert asyncio.run(main()) == ["ab"] * 20
    assert len(found.sink.closed) == 20
    assert len({c.outcome.decision_id for c in found.sink.closed}) == 20


def test_who_waits_for_the_whole_gets_another_targets_answer_when_one_breaks_off() -> None:
    found = Street()
    found.add("one", "cloud", [Chunk(text="It is Par"), Unavailable("the stream was cut")])
    found.add("two", "cloud", says("It is Paris", logprob=None))
    policy = Policy(name="p", revision="0" * 12, summary="s", tiers=("cloud",))

    whole = found.run(policy, ask(whole=True))
    seen = found.run(policy, ask())

    assert whole.text == "It is Paris"
    assert [hop.left for hop in whole.answer.hops] == ["failed: unavailable", "answered"]
    assert seen.text == "It is Par"
    assert isinstance(seen.error, NoAnswer)


def test_a_target_that_hangs_until_the_deadline_opens_its_breaker() -> None:
    found = Street(clock=LoopClock())
    found.add("hangs", "cloud", [STALL])
    found.add("well", "cloud", says("fine", logprob=None))
    policy = Policy(
        name="p", revision="0" * 12, summary="s", tiers=("cloud",), limits=Limits(deadline_s=2.0)
    )

    async def main() -> list[str]:
        return [(await collected(found.stream(policy, ask()))).text for _ in range(7)]

    assert run_virtual(main()) == [""] * 5 + ["fine"] * 2


def test_a_deadline_that_is_too_short_says_nothing_against_a_target() -> None:
    found = Street(clock=LoopClock())
    found.add("slow", "cloud", [0.8, *says("fine", logprob=None)])
    policy = Policy(name="p", revision="0" * 12, summary="s", tiers=("cloud",))

    async def main() -> str:
        for _ in range(3):
            assert (await collected(found.stream(policy, ask()))).text == "fine"
        for _ in range(8):
            await collected(found.stream(policy, ask(deadline_s=0.5)))
            await collected(found.stream(policy, ask(deadline_s=0.7)))
        return found.home.senses.breakers.state("slow")

    assert run_virtual(main()) == "closed"
