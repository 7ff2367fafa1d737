"""Two hops at once: who wins, what the loser costs, and that nothing of it is ever shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from support.street import STALL, Ended, Fixed, Play, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.errors import LimitReached, NoAnswer, Unavailable
from router.hops import Attempt, Outcome
from router.policy import predicates
from router.policy.rules import Doubt, Early, Hedge, Limits, Policy, Race, Requirement
from router.providers.base import Target
from router.types import Chunk, Message

BAR: predicates.Predicate = predicates.Test("draft.mean_logprob", "gte", -0.5)
LOW = predicates.Test("draft.mean_logprob", "lt", -0.5)
RACE = Race(cost_usd=Decimal("1"), after_s=1.0)
POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud", "strong"),
    accept=(Requirement("sure-enough", frozenset({"device", "cloud"}), BAR),),
    race=RACE,
)
TWO = replace(
    POLICY, tiers=("device", "cloud"), accept=(replace(POLICY.accept[0], on=frozenset({"device"})),)
)
PENNY = Fixed(Decimal("0.001"))


def slow(play: Play, seconds: float) -> Play:
    """Its first word at once, the rest after so long."""
    return [play[0], seconds, *play[1:]]


def late(play: Play, seconds: float) -> Play:
    return [seconds, *play]


DEVICE = says("the device draft is sure")
DOUBT = says("the device draft may be", logprob=-2.0)
CLOUD = says("the cloud answers")


def street(device: Play, *clouds: Play, strong: Play | None = None) -> Street:
    found = Street(clock=LoopClock())
    found.add("device", "device", device)
    for i, cloud in enumerate(clouds):
        found.add(f"cloud-{i}", "cloud", cloud, meter=PENNY)
    if strong is not None:
        found.add("strong", "strong", strong, meter=PENNY)
    return found


def run(found: Street, policy: Policy) -> Ended:
    return run_virtual(timed(found, policy))


async def timed(found: Street, policy: Policy) -> Ended:
    ended = await collected(found.stream(policy, ask()))
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []
    return ended


def hops(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(hop.target, hop.cause, hop.left) for hop in outcome.hops]


def test_a_draft_that_is_there_in_time_starts_no_rival() -> None:
    found = street(slow(DEVICE, 0.9), CLOUD)
    ended = run(found, TWO)

    assert ended.text == "the device draft is sure"
    assert found.calls() == {"device": 1, "cloud-0": 0}
    assert hops(ended.answer) == [("device", "start", "answered")]


def test_a_rival_that_ends_first_is_the_answer_and_the_draft_is_stopped() -> None:
    found = street(slow(DEVICE, 10), slow(CLOUD, 2))
    ended = run(found, TWO)

    assert ended.text == "the cloud answers"
    assert hops(ended.answer) == [
        ("device", "start", "another hop was first"),
        ("cloud-0", "race", "answered"),
    ]
    assert ended.answer.answered_by == 1
    assert ended.answer.flags == ()
    assert ended.answer.total_s == pytest.approx(3.0)
    assert ended.answer.escalation_delay_s == pytest.approx(1.0)
    assert found.players["device"].closed == 1


def test_a_draft_that_ends_first_and_is_kept_wins_and_the_rivals_cost_is_not_known() -> None:
    found = street(slow(DEVICE, 2), slow(CLOUD, 10))
    ended = run(found, TWO)

    assert ended.text == "the device draft is sure"
    assert hops(ended.answer) == [
        ("device", "start", "answered"),
        ("cloud-0", "race", "another hop was first"),
    ]
    loser = ended.answer.hops[1]
    assert (loser.status, loser.last.error_kind, loser.cost_usd) == ("cancelled", "cancelled", None)
    assert ended.answer.cost_usd is None
    assert ended.answer.total_s == pytest.approx(2.0)
    assert len(found.sink.began) == len(found.sink.ended) == 2
    assert found.players["cloud-0"].closed == 1


def test_a_draft_that_is_not_kept_leaves_the_stage_to_the_rival_that_streams_on() -> None:
    rival: Play = [Chunk(text="a"), 3.0, Chunk(text="b"), 3.0, *says("c")]
    found = street(slow(DOUBT, 2), rival)
    times: list[float] = []

    async def main() -> None:
        async for item in found.stream(TWO, ask()):
            if isinstance(item, Chunk):
                times.append(found.clock.now())

    run_virtual(main())

    # The draft ends at 2, the rival's next word comes at 4 and brings along what was held.
    assert times == pytest.approx([4.0, 4.0, 7.0])


def test_nothing_of_a_draft_is_shown_that_is_overtaken_in_mid_word() -> None:
    found = street([*[Chunk(text="no ")] * 50, STALL], slow(CLOUD, 1))
    ended = run(found, TWO)

    assert ended.text == "the cloud answers"
    assert "no" not in ended.text


def test_a_rival_that_fails_leaves_the_draft_alone() -> None:
    found = street(slow(DEVICE, 5), [Unavailable("down")])
    ended = run(found, TWO)

    assert ended.text == "the device draft is sure"
    assert hops(ended.answer)[1] == ("cloud-0", "race", "failed: unavailable")


def test_when_both_fail_the_rest_of_the_tier_is_asked_and_nobody_twice() -> None:
    found = street([5.0, Unavailable("off")], [Unavailable("down")], CLOUD)
    ended = run(found, TWO)

    assert ended.text == "the cloud answers"
    assert found.calls() == {"device": 1, "cloud-0": 1, "cloud-1": 1}


def test_a_rival_that_is_not_kept_waits_for_the_draft_and_then_goes_up_past_its_own_tier() -> None:
    found = street(slow(DOUBT, 5), says("perhaps", logprob=-3.0), CLOUD, strong=says("for sure"))
    ended = run(found, POLICY)

    assert ended.text == "for sure"
    assert [h[:2] for h in hops(ended.answer)] == [
        ("device", "start"),
        ("cloud-0", "race"),
        ("strong", "escalation"),
    ]
    assert found.calls()["cloud-1"] == 0


def test_of_two_drafts_that_were_not_kept_the_stronger_tiers_is_given_back() -> None:
    found = street(slow(DOUBT, 5), says("perhaps", logprob=-3.0), strong=[Unavailable("down")])
    ended = run(found, POLICY)

    assert ended.text == "perhaps"
    assert ended.answer.flags == ("uncertain",)


def test_an_early_commit_of_the_draft_ends_the_race() -> None:
    device = slow(says("one two three four", logprob=-0.1), 1.5)
    found = street([*device[:4], 8.0, *device[4:]], slow(CLOUD, 4))
    early = replace(TWO, early=(Early(frozenset({"device"}), 2, BAR),))
    ended = run(found, early)

    assert ended.text == "one two three four"
    assert hops(ended.answer)[1] == ("cloud-0", "race", "another hop was first")
    assert ended.answer.total_s == pytest.approx(9.5)


@pytest.mark.parametrize(
    ("limits", "says_why"),
    [
        (Limits(hops=1), "it would be a second hop, 1 allowed"),
        (Limits(cost_usd=Decimal("0.05")), "both may cost $0.100, $0.05 is left"),
        (Limits(day_usd=Decimal("0.05")), "both may cost $0.100, $0.05 is left"),
    ],
)
def test_a_race_keeps_to_the_limits(limits: Limits, says_why: str) -> None:
    found = street(slow(DEVICE, 10), CLOUD)
    ended = run(found, replace(TWO, limits=limits))

    assert found.calls()["cloud-0"] == 0
    assert any(says_why in line for line in ended.answer.trace.lines(ended.answer.hops))


def test_a_race_costs_no_more_than_it_may_retries_included() -> None:
    found = street(slow(DEVICE, 10))
    found.add("cloud-0", "cloud", [Unavailable("busy")], CLOUD, meter=PENNY, attempts=3)
    ended = run(found, replace(TWO, race=replace(RACE, cost_usd=Decimal("0.15"))))

    assert found.calls()["cloud-0"] == 1  # a second call could cost another 0.10
    assert ended.text == "the device draft is sure"


def test_a_caller_who_leaves_stops_both() -> None:
    found = street([Chunk(text="x"), STALL], [STALL])

    async def main() -> None:
        task = asyncio.create_task(collected(found.stream(TWO, ask())))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    run_virtual(main())

    (closed,) = found.sink.closed
    assert [hop.left for hop in closed.outcome.hops] == ["the caller went away"] * 2
    assert all(p.closed == 1 for p in found.players.values())
    assert {e.error_kind for e in found.sink.ended} == {"cancelled"}


def test_a_deadline_ends_both() -> None:
    found = street([STALL], [STALL])
    ended = run(found, replace(TWO, limits=Limits(deadline_s=3)))

    assert ended.error is not None
    (closed,) = found.sink.closed
    assert closed.outcome.total_s == pytest.approx(3.0)


class Clinging:
    """A provider that does not let go when it is stopped."""

    abilities: frozenset[str] = frozenset()

    async def stream(self, asked: object) -> Any:
        yield Chunk(text="w")
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.shield(asyncio.sleep(30))

    async def aclose(self) -> None:
        """Nothing is open."""


def test_a_loser_that_clings_delays_the_end_by_a_second_and_is_booked() -> None:
    found = street(slow(DEVICE, 2), CLOUD)
    found.lives["cloud-0"] = replace(found.lives["cloud-0"], provider=Clinging())  # type: ignore[arg-type]

    async def main() -> Ended:
        return await collected(found.stream(TWO, ask()))

    ended = run_virtual(main())

    assert ended.answer.total_s == pytest.approx(3.0)
    assert hops(ended.answer)[1] == ("cloud-0", "race", "another hop was first")
    assert len(found.sink.ended) == 2


@pytest.mark.parametrize(
    "race", [RACE, Race(cost_usd=Decimal(1), over_s=None, doubt=Doubt(1, LOW))]
)
def test_a_transform_that_raises_ends_the_request_and_leaves_nothing_running(race: Race) -> None:
    def broken(messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        raise RuntimeError("no model for names")

    found = street(slow(DOUBT, 10), CLOUD)
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.transforms = (broken,)

    with pytest.raises(RuntimeError, match="no model for names"):
        run(found, replace(TWO, race=race))
    assert found.calls() == {"device": 1, "cloud-0": 0}
    assert found.players["device"].closed == 1


def test_a_rival_that_is_stopped_before_it_began_gives_its_dollars_back() -> None:
    found = street(slow(DEVICE, 1.0), CLOUD)  # ends as the timer fires
    policy = replace(TWO, limits=Limits(day_usd=Decimal("0.25")))

    async def main() -> Decimal:
        for _ in range(4):
            ended = await collected(found.stream(policy, ask()))
            assert ended.text == "the device draft is sure"
        return found.home.senses.purse.spent_usd()

    assert run_virtual(main()) == 0
    assert len(found.sink.began) == len(found.sink.ended)


def test_a_rival_is_not_started_that_could_not_arrive() -> None:
    found = street(slow(DOUBT, 16), slow(CLOUD, 8))
    policy = replace(TWO, race=replace(RACE, after_s=15.0))

    async def main() -> Ended:
        await collected(found.stream(TWO, ask(target="cloud-0")))  # 8 s are known of it
        return await collected(found.stream(policy, ask(deadline_s=20.0)))

    ended = run_virtual(main())

    assert found.calls()["cloud-0"] == 1
    lines = ended.answer.trace.lines(ended.answer.hops)
    assert any("cloud-0 would end after 23.0 s, 20 allowed" in line for line in lines)


@pytest.mark.parametrize("who", ["device", "cloud-0"])
def test_a_provider_that_cancels_itself_leaves_nobody_waiting(who: str) -> None:
    broken: Play = [3.0, asyncio.CancelledError()]
    found = street(broken if who == "device" else slow(DOUBT, 90), broken)

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await collected(found.stream(TWO, ask()))

    run_virtual(main())

    assert len(found.sink.began) == len(found.sink.ended) == 2
    assert [closed.outcome.status for closed in found.sink.closed] == ["cancelled"]


# Doubt


def doubting(tokens: int, after_s: float | None = None) -> Policy:
    return replace(TWO, race=Race(cost_usd=Decimal(1), doubt=Doubt(tokens, LOW), after_s=after_s))


def test_a_draft_in_doubt_starts_its_rival_at_the_token_where_it_is_looked_at() -> None:
    words = says("one two three four five", logprob=-2.0)
    found = street([words[0], 1.0, words[1], 1.0, words[2], 20.0, *words[3:]], slow(CLOUD, 3))
    ended = run(found, doubting(3))

    assert ended.text == "the cloud answers"
    assert ended.answer.escalation_delay_s == pytest.approx(2.0)
    lines = ended.answer.trace.lines(ended.answer.hops)
    assert [line for line in lines if "the race starts" in line] == [
        f" race   {'doubt':<24} yes      draft.mean_logprob -2 < -0.5   -> the race starts"
    ]


def test_a_draft_that_is_not_in_doubt_is_left_to_itself() -> None:
    found = street([*DEVICE[:3], 30.0, *DEVICE[3:]], CLOUD)
    ended = run(found, doubting(2))

    assert ended.text == "the device draft is sure"
    assert found.calls()["cloud-0"] == 0


def test_time_starts_what_doubt_does_not() -> None:
    found = street([*DEVICE[:3], 30.0, *DEVICE[3:]], CLOUD)
    ended = run(found, doubting(2, after_s=5.0))

    assert ended.text == "the cloud answers"
    assert ended.answer.escalation_delay_s == pytest.approx(5.0)


def test_doubt_and_time_together_start_one_rival() -> None:
    found = street([*DOUBT[:3], 9.0, *DOUBT[3:]], slow(CLOUD, 30))
    run(found, doubting(2, after_s=5.0))

    assert found.calls()["cloud-0"] == 1


# Hedges

HEDGED = replace(
    POLICY,
    tiers=("cloud",),
    accept=(),
    race=None,
    hedge=Hedge(on=frozenset({"cloud"}), cost_usd=Decimal("1")),
)


def learned(found: Street, count: int = 20, ttft_s: float = 0.5) -> Street:
    """A street that has seen first tokens of cloud-0."""
    senses = found.home.senses
    for _ in range(count):
        seen = Attempt(attempt_id="a", number=1, started_at=0, total_s=1, ttft_s=ttft_s)
        senses.speeds.saw("cloud-0", seen)
    return found


async def after_learning(found: Street, policy: Policy, count: int = 20) -> Ended:
    learned(found, count)
    return await timed(found, policy)


def hedged(*clouds: Play) -> Street:
    found = Street(clock=LoopClock())
    for i, cloud in enumerate(clouds):
        found.add(f"cloud-{i}", "cloud", cloud, meter=PENNY)
    return found


def test_one_that_is_late_is_helped_by_the_second_of_its_tier() -> None:
    found = hedged(late(CLOUD, 9), says("the second"))
    ended = run_virtual(after_learning(found, HEDGED))

    assert ended.text == "the second"
    assert [h[:2] for h in hops(ended.answer)] == [("cloud-0", "start"), ("cloud-1", "hedge")]
    assert ended.answer.total_s == pytest.approx(0.5)


def test_one_that_has_begun_to_speak_is_left_alone() -> None:
    found = hedged(slow(CLOUD, 9), says("the second"))
    ended = run_virtual(after_learning(found, HEDGED))

    assert ended.text == "the cloud answers"
    assert found.calls() == {"cloud-0": 1, "cloud-1": 0}


def test_who_speaks_first_of_the_two_is_streamed_and_the_other_stopped() -> None:
    found = hedged(late(slow(CLOUD, 20), 1), late(says("the second"), 2))
    ended = run_virtual(after_learning(found, HEDGED))

    assert ended.text == "the cloud answers"
    assert hops(ended.answer)[1][2] == "another hop was first"
    assert ended.answer.ttfb_s == pytest.approx(1.0)


def test_nobody_is_hedged_before_enough_first_tokens_were_seen() -> None:
    found = hedged(late(CLOUD, 9), says("the second"))
    ended = run_virtual(after_learning(found, HEDGED, count=19))

    assert ended.text == "the cloud answers"
    lines = ended.answer.trace.lines(ended.answer.hops)
    assert any("hedge: none for cloud-0" in line for line in lines)


def test_a_hedge_that_fails_too_ends_in_the_one_error() -> None:
    found = hedged([2.0, Unavailable("down")], [Unavailable("down too")])
    ended = run_virtual(after_learning(found, HEDGED))

    assert isinstance(ended.error, NoAnswer)
    assert found.calls() == {"cloud-0": 1, "cloud-1": 1}


def test_of_a_held_pair_the_first_whole_one_decides_and_the_other_is_not_waited_for() -> None:
    both = replace(
        HEDGED, tiers=("cloud", "strong"), accept=(Requirement("sure", frozenset({"cloud"}), BAR),)
    )
    found = hedged(late(CLOUD, 30), says("perhaps", logprob=-3.0))
    found.add("strong", "strong", says("for sure"), meter=PENNY)
    ended = run_virtual(after_learning(found, both))

    assert ended.text == "for sure"
    assert ended.answer.total_s == pytest.approx(0.5)


def test_a_target_that_hangs_is_not_hidden_by_its_hedge() -> None:
    found = hedged([STALL], says("the second"))

    async def main() -> tuple[str, float]:
        learned(found)
        for _ in range(8):
            ended = await collected(found.stream(HEDGED, ask()))
        return found.home.senses.breakers.state("cloud-0"), ended.answer.total_s

    assert run_virtual(main()) == ("open", pytest.approx(0.0))
    assert found.calls()["cloud-0"] == 5


def test_a_hedge_that_both_can_not_pay_for_is_not_promised() -> None:
    found = hedged([STALL], says("the second"))
    for name, live in found.lives.items():
        found.lives[name] = replace(live, attempts=2, target=replace(live.target, timeout_s=10))
    policy = replace(HEDGED, limits=Limits(cost_usd=Decimal("0.25")))
    ended = run_virtual(after_learning(found, policy))

    assert ended.text == "the second"
    assert [h[:2] for h in hops(ended.answer)] == [("cloud-0", "start"), ("cloud-1", "fallback")]


def test_what_a_stopped_hedge_may_cost_counts_before_the_next_hop() -> None:
    policy = replace(
        HEDGED,
        tiers=("cloud", "strong"),
        accept=(Requirement("sure", frozenset({"cloud"}), BAR),),
        limits=Limits(cost_usd=Decimal("0.2"), at_limit="refuse"),
    )
    found = hedged(late(says("perhaps", logprob=-3.0), 2), [STALL])
    found.add("strong", "strong", says("for sure"), meter=PENNY)
    ended = run_virtual(after_learning(found, policy))

    assert isinstance(ended.error, LimitReached)
    assert found.calls()["strong"] == 0


def test_a_breaker_that_opens_while_a_draft_is_written_is_heeded() -> None:
    found = street(slow(DOUBT, 20), CLOUD, says("the other"))
    policy = replace(TWO, race=None)

    async def main() -> Ended:
        task = asyncio.create_task(collected(found.stream(policy, ask())))
        await asyncio.sleep(5)
        for _ in range(5):
            found.home.senses.breakers.saw("cloud-0", "unavailable")
        return await task

    ended = run_virtual(main())

    assert ended.text == "the other"
    assert hops(ended.answer)[1] == ("cloud-0", "escalation", "failed: not_sent")
    assert found.calls()["cloud-0"] == 0


def test_a_target_that_failed_is_not_asked_again_as_a_hedge() -> None:
    found = hedged([Unavailable("down")], late(says("the second"), 5))

    async def main() -> Ended:
        senses = found.home.senses
        for _ in range(20):
            seen = Attempt(attempt_id="a", number=1, started_at=0, total_s=1, ttft_s=0.5)
            senses.speeds.saw("cloud-1", seen)
        return await timed(found, HEDGED)

    ended = run_virtual(main())

    assert ended.text == "the second"
    assert found.calls() == {"cloud-0": 1, "cloud-1": 1}
