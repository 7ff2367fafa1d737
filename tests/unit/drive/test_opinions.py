"""Opinions of a draft on the street: who is asked, when not, what is booked, and what follows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from support.street import STALL, Ended, Fixed, Play, Player, Street, ask, collected, says
from support.virtual import LoopClock, run_virtual

from router.device.predict import Forecast
from router.errors import Incapable, LedgerError, Unavailable
from router.hops import Attempt
from router.policy.opinions import Opinions
from router.policy.predicates import AnyOf, Predicate
from router.policy.predicates import Test as OneTest
from router.policy.rules import Limits, Policy, Race, Requirement
from router.types import Ask, Chunk, Message, TokenLogprob, Usage

DEVICE = frozenset({"device"})
SURE = OneTest("draft.mean_logprob", "gte", -0.5)
AGREED = OneTest("draft.agreement", "gte", 0.6)
CLOUD = says("The cloud knows", logprob=None)
FORTY_TWO = says("It is 42")


def policy(*bars: Predicate, **opinions: object) -> Policy:
    given = opinions or {"samples": 3}
    return Policy(
        name="tested",
        revision="0" * 12,
        summary="For tests.",
        tiers=("device", "cloud"),
        accept=tuple(Requirement(f"bar{n}", DEVICE, bar) for n, bar in enumerate(bars)),
        opinions=(Opinions(on=DEVICE, **given),),  # type: ignore[arg-type]
    )


def street(*plays: Play, second: Play | None = None, meter: Fixed | None = None) -> Street:
    """A device that plays its draft and then its samples, maybe another, and a cloud."""
    found = Street()
    found.add("device", "device", *plays, meter=meter)
    found.lives["device"] = replace(found.lives["device"], here=True)
    if second is not None:
        found.add("device2", "device", second)
        found.lives["device2"] = replace(found.lives["device2"], here=True)
    found.add("cloud", "cloud", CLOUD)
    return found


def notes(ended: Ended) -> str:
    return "\n".join(ended.answer.trace.lines(ended.answer.hops))


def attempt(total_s: float) -> Attempt:
    """A call that ended well."""
    return Attempt(
        attempt_id="a", number=1, started_at=0.0, total_s=total_s, ttft_s=0.1, finish="stop"
    )


def spoken(*likely: tuple[str, float]) -> Play:
    """One token, and what else was likely in its place, with probabilities."""
    top = tuple(TokenLogprob(token=word, logprob=math.log(p)) for word, p in likely)
    first = TokenLogprob(token=top[0].token, logprob=top[0].logprob, top=top)
    end = Chunk(finish="length", usage=Usage(input_tokens=30, output_tokens=1))
    return [Chunk(text=first.token, logprobs=(first,)), end]


def test_the_share_of_samples_that_agree_is_held_against_the_bar() -> None:
    kept = street(FORTY_TWO, says("42"), says("I say 42.0"), says("7")).run(policy(AGREED))
    sent_on = street(FORTY_TWO, says("42"), says("7"), says("8")).run(policy(AGREED))

    assert (kept.text, kept.answer.flags) == ("It is 42", ())
    assert kept.answer.hops[0].signals["draft.agreement"] == pytest.approx(2 / 3)
    assert sent_on.text == "The cloud knows"
    assert sent_on.answer.hops[0].signals["draft.agreement"] == pytest.approx(1 / 3)


def test_samples_are_the_same_question_with_a_temperature_and_seeds_of_their_own() -> None:
    found = street(FORTY_TWO, says("42"))
    found.run(policy(AGREED, samples=2, temperature=0.9), ask(seed=5, logprobs=3))
    draft, *samples = found.players["device"].asks

    assert [one.messages for one in samples] == [draft.messages] * 2
    assert [(one.temperature, one.seed) for one in samples] == [(0.9, 6), (0.9, 7)]
    assert {one.logprobs for one in samples} == {None}
    assert {one.max_output_tokens for one in samples} == {3 + 1 + 16}


def test_each_call_is_an_attempt_of_a_hop_of_its_own_and_is_booked() -> None:
    found = street(FORTY_TWO, says("42"), says("42"), says("7"))
    outcome = found.run(policy(AGREED)).answer
    draft, opinions = outcome.hops

    assert (opinions.index, opinions.cause, opinions.status) == (1, "opinion", "heard")
    assert opinions.because == "3 samples about hop 1's draft"
    assert (opinions.left, opinions.aside, draft.aside) == ("3 of 3 came", True, False)
    assert [attempt.number for attempt in opinions.attempts] == [1, 2, 3]
    assert len(draft.attempts) == 1
    assert [b.hop for b in found.sink.began] == [0, 1, 1, 1]
    assert [b.cause for b in found.sink.began] == ["start", *["opinion"] * 3]
    assert len(found.sink.ended) == 4
    assert outcome.answered_by == 0


def test_the_hop_after_opinions_has_the_next_index_and_the_right_answer_is_returned() -> None:
    found = street(FORTY_TWO, says("7"))
    ended = found.run(replace(policy(AGREED), limits=Limits(hops=2)))

    assert [(h.index, h.cause) for h in ended.answer.hops] == [
        (0, "start"),
        (1, "opinion"),
        (2, "escalation"),
    ]
    assert ended.answer.answered_by == 2  # and opinions count for no limit of hops
    assert ended.text == "The cloud knows"


def test_the_trace_shows_them_between_the_draft_and_its_judgement() -> None:
    lines = notes(street(FORTY_TWO, says("42")).run(policy(AGREED))).splitlines()

    kinds = [line.split()[0] for line in lines if "note" not in line]
    assert kinds == ["hop", "hop", "accept"]
    assert "opinion" in lines[1]


def test_no_opinion_is_bought_for_a_draft_that_is_sent_on_whatever_they_say() -> None:
    found = street(says("It is 42", logprob=-2.0), says("42"))
    ended = found.run(policy(SURE, AGREED))

    assert found.calls() == {"device": 1, "cloud": 1}
    assert "draft.agreement" not in ended.answer.hops[0].signals


def test_no_opinion_is_bought_for_a_draft_that_is_kept_without() -> None:
    found = street(FORTY_TWO, says("42"))
    ended = found.run(policy(AnyOf((SURE, AGREED))))

    assert found.calls() == {"device": 1, "cloud": 0}
    assert ended.text == "It is 42"


def test_a_draft_that_says_nothing_is_not_asked_about() -> None:
    found = street(says(""), says("42"))
    found.run(policy(AGREED))

    assert found.calls()["device"] == 1


def test_the_last_tier_is_not_asked_about() -> None:
    found = street(FORTY_TWO, says("42"))
    alone = replace(policy(AGREED), tiers=("device",))

    assert found.run(alone).answer.flags == ("uncertain",)
    assert found.calls()["device"] == 1


def test_one_that_fails_is_unknown_and_the_share_is_over_those_that_came() -> None:
    found = street(FORTY_TWO, [Unavailable("gone")], says("42"), says("42"))
    outcome = found.run(policy(AGREED)).answer

    assert outcome.hops[0].signals["draft.agreement"] == 1.0
    assert outcome.hops[1].left == "2 of 3 came; failed: unavailable"
    assert len(outcome.hops[1].attempts) == 3


def test_without_any_it_is_unknown_and_the_draft_is_not_kept() -> None:
    found = street(FORTY_TWO, [Unavailable("gone")])
    outcome = found.run(policy(AGREED)).answer

    assert outcome.hops[0].signals["draft.agreement"] is None
    assert (outcome.hops[1].status, outcome.hops[1].left) == ("failed", "failed: unavailable")
    assert outcome.hops[2].target == "cloud"


def test_what_is_late_is_unknown_and_the_request_goes_on_in_time() -> None:
    async def main() -> tuple[Ended, float]:
        found = street(FORTY_TWO, says("42"), [STALL], [STALL])
        found.clock = LoopClock()
        for player in found.players.values():
            player.clock = found.clock
        rule = policy(AGREED, samples=3, max_s=2.0)
        ended = await collected(found.stream(rule, ask()))
        return ended, asyncio.get_running_loop().time()

    ended, took = run_virtual(main())
    assert ended.answer.hops[0].signals["draft.agreement"] == 1.0
    assert ended.answer.hops[1].left == "1 of 3 came; failed: timed_out"
    assert took == pytest.approx(2.0, abs=0.1)


def test_the_requests_deadline_ends_them_too() -> None:
    async def main() -> tuple[Ended, float]:
        found = street(FORTY_TWO, [STALL])
        found.clock = LoopClock()
        for player in found.players.values():
            player.clock = found.clock
        rule = replace(policy(AGREED), limits=Limits(deadline_s=3.0))
        ended = await collected(found.stream(rule, ask()))
        return ended, asyncio.get_running_loop().time()

    ended, took = run_virtual(main())
    assert ended.answer.flags == ("uncertain", "limit:deadline_s")
    assert (ended.text, took) == ("It is 42", pytest.approx(3.0, abs=0.1))


@dataclass
class Foretold(Player):
    """A player that foretells when its answers end, as the device does."""

    end_s: float | None = None

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return None

    async def health(self) -> None:
        return None

    def up(self) -> bool:
        return True

    async def context_limit(self) -> int | None:
        return None

    async def forecast(
        self,
        *,
        input_tokens: int | None,
        cap: int,
        tenant: str = "",
        within_s: float | None = None,
    ) -> Forecast | None:
        return Forecast(loaded=True, queue=0, first_token_s=0.1, end_s=self.end_s)


def foretelling(found: Street, end_s: float | None) -> Street:
    player = Foretold(found.players["device"].plays, found.clock, end_s=end_s)
    found.players["device"] = player
    found.lives["device"] = replace(found.lives["device"], provider=player)
    return found


@pytest.mark.parametrize(("each_s", "asked"), [(1.0, 3), (1.5, 2), (3.9, 1), (4.1, 0)])
def test_those_that_would_not_fit_the_time_are_not_begun_and_the_trace_says_so(
    each_s: float, asked: int
) -> None:
    found = foretelling(street(FORTY_TWO, says("42")), each_s)
    ended = found.run(policy(AGREED, samples=3, max_s=4.0))

    assert found.calls()["device"] == 1 + asked
    said = f"opinions: {asked} of 3 samples are asked for: one takes about {each_s:.2f} s, 4.00 s"
    assert (said in notes(ended)) is (asked < 3)
    assert (ended.text == "It is 42") is (asked > 0)


def test_the_time_of_one_kind_is_no_more_there_for_the_next() -> None:
    found = foretelling(street(FORTY_TWO, says("42"), second=says("42")), 1.5)
    found.home.senses.speeds.saw("device2", attempt(total_s=1.5))
    ended = found.run(policy(AGREED, samples=2, second=True, max_s=4.0))

    assert found.calls() == {"device": 3, "device2": 0, "cloud": 0}
    assert "0 of 1 answers of device2 are asked for: one takes about 1.50 s, 1.00 s" in notes(ended)


def test_a_speed_that_is_not_known_lets_them_pass_and_is_noted() -> None:
    found = foretelling(street(FORTY_TWO, says("42")), None)
    ended = found.run(policy(AGREED, samples=3, max_s=4.0))

    assert found.calls()["device"] == 4
    assert "device: its speed is not known, so the time lets it pass" in notes(ended)


def test_a_second_model_of_the_tier_answers_the_same_question() -> None:
    found = street(FORTY_TWO, second=says("42"))
    rule = policy(OneTest("draft.second_agrees", "is", True), second=True)
    outcome = found.run(rule).answer

    assert outcome.hops[0].signals["draft.second_agrees"] is True
    assert (outcome.hops[1].target, outcome.hops[1].cause) == ("device2", "opinion")
    assert found.players["device2"].asks[0].temperature is None
    assert found.calls() == {"device": 1, "device2": 1, "cloud": 0}


def test_samples_and_a_second_model_count_alike_in_the_agreement() -> None:
    found = street(FORTY_TWO, says("42"), says("7"), second=says("42"))
    rule = policy(AGREED, samples=2, second=True)
    outcome = found.run(rule).answer

    assert outcome.hops[0].signals["draft.agreement"] == pytest.approx(2 / 3)
    assert [hop.target for hop in outcome.hops] == ["device", "device", "device2"]


def test_without_a_second_target_here_its_word_is_unknown() -> None:
    found = street(FORTY_TWO)
    ended = found.run(policy(OneTest("draft.second_agrees", "is", True), second=True))

    assert ended.text == "The cloud knows"
    assert "no other target of device on this device can give a second answer" in notes(ended)


def test_a_target_that_is_not_on_this_device_is_never_asked_for_an_opinion() -> None:
    found = street(FORTY_TWO, says("42"), second=says("42"))
    for name in ("device", "device2"):
        found.lives[name] = replace(found.lives[name], here=False)
    ended = found.run(policy(AGREED, samples=2, second=True))

    assert found.calls() == {"device": 1, "device2": 0, "cloud": 1}
    assert "device is not on this device, so it is not asked again" in notes(ended)


@pytest.mark.parametrize("here", [True, False])
def test_a_second_model_has_to_be_here_even_when_the_first_is(here: bool) -> None:
    found = street(FORTY_TWO, second=says("42"))
    found.lives["device2"] = replace(found.lives["device2"], here=here)
    found.run(policy(OneTest("draft.second_agrees", "is", True), second=True))

    assert found.calls()["device2"] == int(here)


P_TRUE = OneTest("draft.p_true", "gte", 0.7)


def sized(found: Street, parameters: int | None) -> Street:
    """The device says how large its model is."""
    found.players["device"].parameters = lambda: parameters  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("rule", [True, "always"])
def test_the_self_check_asks_about_the_draft_and_reads_one_tokens_rivals(rule: object) -> None:
    found = sized(
        street(FORTY_TWO, spoken((" Yes", 0.5), ("no", 0.2), ("yes", 0.1), ("Maybe", 0.1))),
        4_000_000_000 if rule is True else 100,
    )
    outcome = found.run(policy(P_TRUE, p_true=rule)).answer
    asked: Ask = found.players["device"].asks[1]

    assert outcome.hops[0].signals["draft.p_true"] == pytest.approx(0.6 / 0.8)
    assert outcome.answered_by == 0
    assert [message.role for message in asked.messages] == ["user", "assistant", "user"]
    assert asked.messages[1].content == "It is 42"
    assert (asked.max_output_tokens, asked.temperature, asked.logprobs) == (1, 0.0, 20)


@pytest.mark.parametrize("parameters", [None, 134_000_000, 2_999_999_999])
def test_a_model_that_is_small_or_of_unknown_size_is_not_asked_to_judge_itself(
    parameters: int | None,
) -> None:
    found = sized(street(FORTY_TWO, spoken(("yes", 0.9))), parameters)
    ended = found.run(policy(P_TRUE, p_true=True))

    assert found.calls()["device"] == 1
    assert ended.answer.hops[0].signals["draft.p_true"] is None
    assert "is not asked whether its draft is right" in notes(ended)


def test_a_self_check_that_says_neither_is_unknown() -> None:
    found = street(FORTY_TWO, spoken(("Perhaps", 0.9)))
    ended = found.run(policy(P_TRUE, p_true="always"))

    assert ended.answer.hops[0].signals["draft.p_true"] is None
    assert ended.text == "The cloud knows"


def test_only_what_an_open_bar_asks_for_is_bought() -> None:
    found = sized(street(FORTY_TWO, spoken(("yes", 0.9), ("no", 0.1))), None)
    found.run(policy(P_TRUE, samples=3, p_true="always"))

    assert found.calls()["device"] == 2


def test_beside_a_race_none_is_bought() -> None:
    async def main() -> Ended:
        found = street([0.5, *FORTY_TWO], says("42"))
        found.clock = LoopClock()
        for player in found.players.values():
            player.clock = found.clock
        found.players["cloud"].plays = [[5.0, *CLOUD]]
        rule = replace(policy(AGREED), race=Race(cost_usd=Decimal(1), after_s=0.1))
        return await collected(found.stream(rule, ask()))

    ended = run_virtual(main())
    assert ended.text == "The cloud knows"
    assert [hop.cause for hop in ended.answer.hops] == ["start", "race"]
    assert "no opinion is asked for where another hop ran beside it" in notes(ended)
    assert ended.answer.hops[0].signals["draft.agreement"] is None


def test_with_a_race_that_did_not_begin_they_are_bought() -> None:
    async def main() -> Ended:
        found = street(FORTY_TWO, says("42"))
        found.clock = LoopClock()
        for player in found.players.values():
            player.clock = found.clock
        rule = replace(policy(AGREED), race=Race(cost_usd=Decimal(1), after_s=5.0))
        return await collected(found.stream(rule, ask()))

    ended = run_virtual(main())
    assert [hop.cause for hop in ended.answer.hops] == ["start", "opinion"]
    assert ended.text == "It is 42"


def test_a_device_with_a_price_is_asked_only_within_the_dollars_that_are_left() -> None:
    # The draft's three words cost 0.003; a sample may have 20, so it may cost 0.02.
    enough = replace(policy(AGREED, samples=3), limits=Limits(cost_usd=Decimal("0.101")))
    found = street(FORTY_TWO, says("42"), meter=Fixed(Decimal("0.001")))
    outcome = found.run(enough).answer

    assert outcome.cost_usd == Decimal("0.006")  # three words, and three times one
    assert found.home.senses.purse.spent_usd() == Decimal("0.006")

    found = street(FORTY_TWO, says("42"), meter=Fixed(Decimal("0.001")))
    ended = found.run(replace(enough, opinions=policy(AGREED, samples=6).opinions))

    assert found.calls()["device"] == 1
    assert "not asked for, as it may cost $0.120 and $0.098 is left" in notes(ended)


def test_what_one_kind_may_cost_is_no_more_there_for_the_next() -> None:
    wordy = says("42" + " w" * 19)
    found = street(FORTY_TWO, wordy, second=says("42" + " w" * 39), meter=Fixed(Decimal("0.001")))
    found.lives["device2"] = replace(found.lives["device2"], meter=Fixed(Decimal("0.001")))
    rule = policy(AGREED, samples=4, second=True)
    outcome = found.run(replace(rule, limits=Limits(cost_usd=Decimal("0.103")))).answer

    assert found.calls()["device2"] == 0
    assert outcome.cost_usd <= Decimal("0.103")


def test_a_call_that_cant_be_booked_is_not_made_and_ends_the_request() -> None:
    found = street(FORTY_TWO, says("42"))
    found.sink.refuse_from = 2
    ended = found.run(policy(AGREED))

    assert isinstance(ended.error, LedgerError)
    assert found.calls()["device"] == 2


def test_a_caller_who_goes_away_stops_them_and_they_are_booked() -> None:
    async def main() -> Street:
        found = street(FORTY_TWO, [STALL])
        stream: AsyncGenerator[object, None] = found.stream(policy(AGREED), ask())
        task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        while found.calls()["device"] < 4:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.aclose()
        return found

    found = asyncio.run(main())
    (closed,) = found.sink.closed
    assert closed.outcome.status == "cancelled"
    assert [hop.status for hop in closed.outcome.hops] == ["deferred", "cancelled"]
    assert [a.error_kind for a in closed.outcome.hops[1].attempts] == ["cancelled"] * 3
    assert found.players["device"].closed == 4


def test_they_say_nothing_of_how_quick_the_target_is() -> None:
    found = street([2.0, *FORTY_TWO], [50.0, *says("42")])
    found.run(policy(AGREED, samples=1))

    assert found.home.senses.speeds.end_s("device", None) == pytest.approx(2.0)


def test_a_wish_the_second_model_cant_serve_is_not_put_to_it() -> None:
    found = street(FORTY_TWO, second=[Incapable("no JSON", reached=False)])
    found.players["device"].abilities = frozenset({"json"})
    found.run(policy(OneTest("draft.second_agrees", "is", True), second=True), ask(json=True))

    assert found.calls()["device2"] == 0


def test_what_was_asked_at_once_is_no_retry_in_the_trace() -> None:
    lines = notes(street(FORTY_TWO, says("42")).run(policy(AGREED)))

    assert "3 at once" in lines
    assert "retr" not in lines
