"""What a policy may say beyond tiers and bars, over targets that play a part."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal, Inexact, localcontext

import pytest
from support.street import Fixed, Street, ask, says

from router.device.predict import Forecast
from router.errors import Forbidden, NoAnswer, Unavailable
from router.policy import predicates
from router.policy.rules import Early, Guard, Limits, Policy, Race, Requirement, Route, Sample
from router.providers.base import Target
from router.types import Image, Message, Tool, ToolCall

BAR: predicates.Predicate = predicates.Test("draft.mean_logprob", "gte", -0.5)
POLICY = Policy(
    name="tested",
    revision="0" * 12,
    summary="For tests.",
    tiers=("device", "cloud"),
    guards=(
        Guard(
            "private-stays-home",
            predicates.Test("request.label", "in", ("pii", "secret")),
            frozenset({"cloud"}),
        ),
    ),
    accept=(Requirement("sure-enough", frozenset({"device"}), BAR),),
)
SURE = says("I am sure of it")
UNSURE = says("I guess it may be so", logprob=-2.0)
CLOUD = says("The cloud knows", logprob=None)
PENNY = Fixed(Decimal("0.01"))


class ByLength(Fixed):
    """A thousandth of a dollar a token of the prompt at worst; nothing in the end."""

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        return Decimal(input_tokens) / 1000


def street(device: object = UNSURE, cloud: object = CLOUD) -> Street:
    found = Street()
    found.add("device", "device", device)  # type: ignore[arg-type]
    found.add("cloud", "cloud", cloud)  # type: ignore[arg-type]
    return found


def lines(street_ran: object) -> str:
    outcome = street_ran.answer  # type: ignore[attr-defined]
    return "\n".join(outcome.trace.lines(outcome.hops))


# What nobody can price, and what can't fit


def with_cloud(found: Street, **changes: object) -> Street:
    found.lives["cloud"] = replace(found.lives["cloud"], **changes)  # type: ignore[arg-type]
    return found


LIMITED = replace(POLICY, limits=Limits(cost_usd=Decimal("0.01"), day_usd=Decimal(1)))


def test_under_a_dollar_limit_a_target_of_unknown_price_is_passed_over() -> None:
    ended = with_cloud(street(), meter=Fixed(None)).run(LIMITED)

    assert [hop.target for hop in ended.answer.hops] == ["device"]


def test_where_the_config_allows_it_that_target_is_asked_and_its_cost_stays_unknown() -> None:
    found = with_cloud(street(), meter=Fixed(None), unknown_price=True, attempts=2)
    found.players["cloud"].plays.insert(0, [Unavailable("busy", retryable=True)])
    ended = found.run(LIMITED)

    assert ended.text == "The cloud knows"
    assert [hop.target for hop in ended.answer.hops] == ["device", "cloud"]
    assert found.calls()["cloud"] == 2, "retried as any other"
    assert (ended.answer.hops[1].cost_usd, ended.answer.cost_usd) == (None, None)
    assert "cloud: its price is not known, and the config lets it pass" in lines(ended)


def test_allowing_it_does_not_lift_the_limit_of_a_price_that_is_known() -> None:
    ended = with_cloud(street(), meter=PENNY, unknown_price=True).run(LIMITED)

    assert [hop.target for hop in ended.answer.hops] == ["device"]


def test_a_prompt_that_cannot_fit_is_not_sent_and_the_trace_says_why() -> None:
    found = with_cloud(street(), max_input_tokens=50)
    ended = found.run(POLICY, ask("word " * 51))

    assert found.calls()["cloud"] == 0
    assert "cloud skipped: the prompt has at least 51 tokens, it takes 50" in lines(ended)


@pytest.mark.parametrize("text", ["word " * 50, "Wort" * 500], ids=["just", "who can tell"])
def test_a_prompt_that_may_fit_is_sent(text: str) -> None:
    found = with_cloud(street(), max_input_tokens=50)
    found.run(POLICY, ask(text))

    assert found.calls()["cloud"] == 1


# What leaves


def test_only_the_conversation_leaves() -> None:
    found = street()
    found.run(POLICY)

    (sent,) = found.players["cloud"].asks
    assert [m.content for m in sent.messages] == ["What is it?"]


def test_the_draft_goes_along_when_the_policy_says_so() -> None:
    found = street()
    found.run(replace(POLICY, attach_draft=True))

    (sent,) = found.players["cloud"].asks
    question, draft, word = sent.messages
    assert question.content == "What is it?"
    assert (draft.role, draft.content) == ("assistant", "I guess it may be so")
    assert word.role == "user"
    assert "draft" in word.content


def test_a_draft_past_the_bound_of_its_dollars_stays() -> None:
    found = street(says("x" * 2000, logprob=-2.0))  # 100 tokens may be 800 bytes
    ended = found.run(replace(POLICY, attach_draft=True))

    (sent,) = found.players["cloud"].asks
    assert len(sent.messages) == 1
    assert "hop 1's draft is too long to go along" in lines(ended)


def test_what_leaves_goes_through_the_transforms_in_order() -> None:
    def masked(messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        return tuple(replace(m, content=m.content.replace("Ada", "NAME")) for m in messages)

    def signed(messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        return (*messages, Message(role="user", content=f"for {target.name}"))

    found = street()
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.transforms = (masked, signed)
    found.run(POLICY, ask("Who is Ada?"))

    (stayed,), (left,) = found.players["device"].asks, found.players["cloud"].asks
    assert [m.content for m in stayed.messages] == ["Who is Ada?"]
    assert [m.content for m in left.messages] == ["Who is NAME?", "for cloud"]


def test_a_transform_that_makes_it_dearer_than_what_is_left_lets_nothing_leave() -> None:
    def longer(messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        return (*messages, Message(role="user", content="x" * 10_000))

    found = Street()
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", CLOUD, meter=ByLength())
    found.lives["device"] = replace(found.lives["device"], here=True)
    limited = replace(POLICY, limits=Limits(cost_usd=Decimal("1")))
    one = replace(ask(), max_output_tokens=10)

    assert found.run(limited, one).text == "The cloud knows"
    found.transforms = (longer,)
    ended = found.run(limited, one)

    assert found.calls() == {"device": 2, "cloud": 1}
    assert ended.text == "I guess it may be so"
    cloud = ended.answer.hops[1]
    assert (cloud.left, cloud.cost_usd) == ("failed: incapable", 0)
    found.sink.check_pairs()


def test_a_transform_that_raises_lets_nothing_leave() -> None:
    def broken(messages: tuple[Message, ...], target: Target) -> tuple[Message, ...]:
        raise RuntimeError("no model for names")

    found = street()
    found.lives["device"] = replace(found.lives["device"], here=True)
    found.transforms = (broken,)

    with pytest.raises(RuntimeError, match="no model for names"):
        found.run(POLICY)
    assert found.calls() == {"device": 1, "cloud": 0}
    found.sink.check_pairs()


# Who is able


LOOK_UP = Tool(name="look_up")


def test_a_target_that_takes_no_tools_is_skipped_and_the_trace_says_so() -> None:
    found = street()
    found.players["cloud"].abilities = frozenset({"tools"})
    ended = found.run(POLICY, replace(ask(), tools=(LOOK_UP,)))

    assert found.calls() == {"device": 0, "cloud": 1}
    assert "device skipped: it can't call tools" in lines(ended)
    (sent,) = found.players["cloud"].asks
    assert sent.tools == (LOOK_UP,)


def test_nobody_able_is_an_error_that_says_what_was_missing() -> None:
    found = street()
    picture = Message(role="user", content="What is it?", images=(Image(url="https://x/y.png"),))
    ended = found.run(POLICY, replace(ask(), messages=(picture,)))

    assert isinstance(ended.error, NoAnswer)
    assert "cloud skipped: it takes no images" in str(ended.error)
    assert found.calls() == {"device": 0, "cloud": 0}
    outcome = ended.error.outcome
    assert outcome is not None
    assert "cloud skipped: it takes no images" in "\n".join(outcome.trace.lines(outcome.hops))


def test_a_permitted_target_that_is_broken_is_not_forbidden() -> None:
    found = street([Unavailable("the worker dies")])
    private = replace(ask(), label="pii")
    errors = [found.run(POLICY, private).error for _ in range(6)]

    assert [type(error) for error in errors] == [NoAnswer] * 6
    assert "device skipped: its circuit breaker is open; guards: private-stays-home" in str(
        errors[-1]
    )
    assert found.calls() == {"device": 5, "cloud": 0}


def test_a_tool_call_is_an_answer() -> None:
    call = ToolCall(id="a", name="look_up", arguments="{}")
    play = says("", output_tokens=3)
    play[-1] = replace(play[-1], tool_calls=(call,), finish="tool_calls")  # type: ignore[type-var]
    found = street(play)
    found.players["device"].abilities = frozenset({"tools"})
    free = replace(POLICY, accept=())
    ended = found.run(free, replace(ask(), tools=(LOOK_UP,)))

    assert [c.tool_calls for c in ended.chunks] == [(call,)]
    assert ended.answer.answered_by == 0


# Early commit


EARLY = replace(POLICY, early=(Early(frozenset({"device"}), 3, BAR),))


def test_a_draft_that_is_sure_early_is_shown_from_there_on() -> None:
    ended = street(SURE).run(EARLY)

    assert [c.text for c in ended.chunks if c.text] == ["I", " am", " sure", " of", " it"]
    assert "early  device" in lines(ended)
    assert ended.answer.flags == ()


def test_what_fails_after_an_early_commit_only_flags() -> None:
    late = [*says("I am sure")[:-1], *says(" but now lost", logprob=-9.0)]
    ended = street(late).run(EARLY)

    assert ended.answer.answered_by == 0
    assert ended.answer.flags == ("uncertain",)
    assert "flagged; it was accepted early" in lines(ended)


def test_a_draft_that_is_unsure_early_is_held() -> None:
    ended = street(UNSURE).run(EARLY)

    assert ended.text == "The cloud knows"
    assert "held to its end" in lines(ended)


def test_a_draft_shorter_than_the_bar_is_held_and_judged_whole() -> None:
    ended = street(says("Yes indeed")).run(EARLY)

    (chunk,) = ended.chunks
    assert chunk.text == "Yes indeed"


def test_each_call_of_a_hop_has_a_look_at_its_own_beginning() -> None:
    found = Street()
    dies = [*says("I guess it may", logprob=-2.0)[:-1], Unavailable("gone")]
    found.add("device", "device", dies, SURE, attempts=2)
    found.add("cloud", "cloud", CLOUD)
    ended = found.run(EARLY)

    assert [c.text for c in ended.chunks if c.text] == ["I", " am", " sure", " of", " it"]
    assert "shown from token 3 on" in lines(ended)
    assert "held to its end" not in lines(ended)


# Money of the day


def test_the_days_dollars_are_kept_over_requests() -> None:
    found = Street()
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", says("The cloud knows", logprob=None), meter=PENNY)
    day = replace(POLICY, limits=Limits(day_usd=Decimal("2.05")))
    one = replace(ask(), max_output_tokens=100)  # a dollar at worst; it costs three cents

    texts = [found.run(day, one).text for _ in range(40)]

    # Three cents each; a call is made while its dollar still fits into what is left.
    assert texts.count("The cloud knows") == 36
    assert texts[36:] == ["I guess it may be so"] * 4
    assert found.senses is not None
    assert found.senses.purse.spent_usd() == Decimal("1.08")


def test_near_the_budget_more_is_kept() -> None:
    paced = replace(
        POLICY,
        accept=(
            Requirement(
                "sure-enough",
                frozenset({"device"}),
                BAR,
                near_budget=predicates.Test("draft.mean_logprob", "gte", -3.0),
            ),
        ),
        limits=Limits(day_usd=Decimal("0.50"), pace_from=0.5),
    )
    found = Street()
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", CLOUD, meter=PENNY)
    one = replace(ask(), max_output_tokens=10)

    ended = [found.run(paced, one) for _ in range(20)]
    kept = [e.answer.answered_by == 0 and e.answer.flags == () for e in ended]

    assert not kept[0]
    assert kept[-1]
    assert sorted(kept) == kept  # once it is kept it stays kept


def test_the_apps_own_decimal_context_changes_no_share_of_the_budget() -> None:
    paced = replace(
        POLICY,
        guards=(Guard("spent", predicates.Test("world.budget_used", "gt", 0.99), frozenset()),),
        limits=Limits(day_usd=Decimal("7.00")),
    )
    found = Street()
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", CLOUD, meter=PENNY)
    found.run(paced)

    with localcontext(Context(prec=2, traps=[Inexact])):
        ended = found.run(paced)

    assert ended.answer.signals["world.budget_used"] == 0.03 / 7


# The device


def foresaw(
    *,
    loaded: bool = True,
    queue: int | None,
    first_token_s: float | None = None,
    end_s: float | None = None,
) -> Forecast:
    return Forecast(loaded=loaded, queue=queue, first_token_s=first_token_s, end_s=end_s)


@pytest.mark.parametrize(
    ("foreseen", "signals"),
    [
        (None, (False, 0, None, None, None)),
        (foresaw(loaded=False, queue=0), (False, 0, None, None, None)),
        (foresaw(queue=None), (True, None, None, None, None)),
        (foresaw(queue=3, first_token_s=2.0, end_s=61.0), (True, 3, 2.0, 61.0, False)),
        (foresaw(queue=3, first_token_s=2.0, end_s=59.0), (True, 3, 2.0, 59.0, True)),
    ],
)
def test_what_the_device_foresees_is_what_the_signals_say(
    foreseen: Forecast | None, signals: tuple[object, ...]
) -> None:
    names = ("loaded", "queue", "first_token_s", "end_s", "in_time")
    quick = replace(
        POLICY,
        route=tuple(
            Route(name, predicates.Test(f"device.{name}", "is", True), "cloud")
            if name in ("loaded", "in_time")
            else Route(name, predicates.Test(f"device.{name}", "gt", 1e9), "cloud")
            for name in names
        ),
        limits=Limits(deadline_s=60.0),
    )
    found = street(SURE)
    found.foreseen = foreseen

    ended = found.run(quick)

    assert tuple(ended.answer.signals[f"device.{name}"] for name in names) == signals
    assert found.forecasts == [(20, 100, "", 60.0)]


# The rest


def test_a_policy_says_how_private_silence_is() -> None:
    private = replace(POLICY, default_label="secret")
    found = street()

    assert found.run(private).text == "I guess it may be so"
    assert found.sink.closed[-1].label == "secret"
    assert found.run(private, replace(ask(), label="public")).text == "The cloud knows"


def test_a_guard_may_refuse_the_whole_request() -> None:
    everything = Guard(
        "none", predicates.Test("request.label", "is", "secret"), frozenset(POLICY.tiers)
    )
    found = street()
    ended = found.run(replace(POLICY, guards=(everything,)), replace(ask(), label="secret"))

    assert isinstance(ended.error, Forbidden)
    assert found.calls() == {"device": 0, "cloud": 0}


def test_a_target_too_slow_for_the_deadline_is_passed_over() -> None:
    found = Street()
    found.add("device", "device", UNSURE)
    found.add("cloud", "cloud", [5.0, *CLOUD])
    limited = replace(POLICY, limits=Limits(deadline_s=4.0))

    first = found.run(replace(POLICY, limits=Limits(deadline_s=60.0)))
    assert first.text == "The cloud knows"
    assert "its speed is not known yet" in lines(first)
    second = found.run(limited)

    assert second.text == "I guess it may be so"
    assert second.answer.flags == ("uncertain", "limit:deadline_s")
    assert "cloud needs about 5.00 s" in lines(second)


def test_a_race_of_which_nothing_is_known_is_not_started() -> None:
    raced = replace(POLICY, race=Race(over_s=0.5, cost_usd=Decimal(1)))
    ended = street(SURE).run(raced)

    assert "race: no race: device.end_s unknown" in lines(ended)


def test_a_sample_is_drawn_and_not_run() -> None:
    sampled = replace(POLICY, sample=Sample(share=1.0, tier="cloud", day_usd=Decimal(1)))
    found = street(SURE)

    assert "sample: drawn" in lines(found.run(sampled))
    assert "sample" not in lines(found.run(sampled, replace(ask(), label="pii")))
    assert found.calls()["cloud"] == 0


def test_an_answer_that_was_not_kept_is_no_sample() -> None:
    sampled = replace(
        POLICY,
        sample=Sample(share=1.0, tier="cloud", day_usd=Decimal(1)),
        limits=Limits(hops=1),
    )
    ended = street(UNSURE).run(sampled)

    assert ended.answer.flags == ("uncertain", "limit:hops")
    assert "sample" not in lines(ended)


def test_signals_of_the_request_are_part_of_the_outcome() -> None:
    tagged = replace(
        POLICY,
        route=(Route("tagged", predicates.Test("request.tags.team", "is", "search"), "cloud"),),
    )
    ended = street().run(tagged, replace(ask(), tags={"team": "search"}))

    assert ended.text == "The cloud knows"
    assert ended.answer.signals["request.tags.team"] == "search"


def test_what_a_request_lost_on_the_way_is_measured() -> None:
    found = street([1.0, *UNSURE, 2.0], [0.5, *CLOUD])

    late = found.run(POLICY).answer
    assert [hop.began_s for hop in late.hops] == [0.0, 3.0]
    assert late.escalation_delay_s == 3.0
    assert street(SURE).run(POLICY).answer.escalation_delay_s is None
    kept = street(UNSURE).run(POLICY, replace(ask(), label="pii")).answer
    assert kept.escalation_delay_s is None


def test_pictures_have_a_price_where_somebody_said_what_they_take() -> None:
    picture = Message(role="user", content="What is it?", images=(Image(url="data:image/png;x"),))
    one = replace(ask(), messages=(picture,), max_output_tokens=10)
    limited = replace(POLICY, limits=Limits(cost_usd=Decimal("2")))

    def ended(image_tokens: int | None, frames: int | None = 1) -> str:
        found = Street()
        found.add("device", "device", UNSURE)
        found.add("cloud", "cloud", CLOUD, meter=ByLength())
        for player in found.players.values():
            player.abilities = frozenset({"images"})
        found.lives["cloud"] = replace(found.lives["cloud"], image_tokens=image_tokens)
        images = (replace(picture.images[0], frames=frames),)
        asked = replace(one, messages=(replace(picture, images=images),))
        return found.run(limited, asked).text

    assert ended(1000) == "The cloud knows"
    assert ended(1800) == "I guess it may be so"  # with the text, more than two dollars
    assert ended(None) == "I guess it may be so"
    assert ended(1000, frames=None) == "I guess it may be so"
    assert ended(1000, frames=5) == "I guess it may be so"
