"""What a policy may say beyond tiers and bars, over targets that play a part."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from support.street import Fixed, Street, ask, says

from router.errors import Forbidden, NoAnswer
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


def street(device: object = UNSURE, cloud: object = CLOUD) -> Street:
    found = Street()
    found.add("device", "device", device)  # type: ignore[arg-type]
    found.add("cloud", "cloud", cloud)  # type: ignore[arg-type]
    return found


def lines(street_ran: object) -> str:
    outcome = street_ran.answer  # type: ignore[attr-defined]
    return "\n".join(outcome.trace.lines(outcome.hops))


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
    assert found.calls() == {"device": 0, "cloud": 0}
    outcome = ended.error.outcome
    assert outcome is not None
    assert "cloud skipped: it takes no images" in "\n".join(outcome.trace.lines(outcome.hops))


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


def test_a_race_is_decided_and_not_run() -> None:
    raced = replace(POLICY, race=Race(over_s=0.5, cost_usd=Decimal(1)))
    ended = street(SURE).run(raced)

    assert "race: no race: device.end_s unknown" in lines(ended)


def test_a_sample_is_drawn_and_not_run() -> None:
    sampled = replace(POLICY, sample=Sample(share=1.0, tier="cloud", day_usd=Decimal(1)))
    found = street(SURE)

    assert "sample: drawn" in lines(found.run(sampled))
    assert "sample" not in lines(found.run(sampled, replace(ask(), label="pii")))
    assert found.calls()["cloud"] == 0


def test_signals_of_the_request_are_part_of_the_outcome() -> None:
    tagged = replace(
        POLICY,
        route=(Route("tagged", predicates.Test("request.tags.team", "is", "search"), "cloud"),),
    )
    ended = street().run(tagged, replace(ask(), tags={"team": "search"}))

    assert ended.text == "The cloud knows"
    assert ended.answer.signals["request.tags.team"] == "search"
