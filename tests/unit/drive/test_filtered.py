"""A content filter on the way: what `on_filtered` makes of it, and what the outcome says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.street import Ended, Play, Street, ask, says

from router.answer import explain
from router.errors import ContentFiltered, Filtered, NoAnswer
from router.policy.predicates import Test as OneTest
from router.policy.rules import OnFiltered, Policy, Race, Requirement, Route
from router.types import Chunk, Usage

BLOCKED: Play = [Filtered("HTTP 400: blocked", categories=("jailbreak", "violence"), status=400)]
UNSURE = says("a weak draft", logprob=-2.0)


def cut(*words: str) -> Play:
    last = Chunk(finish="content_filter", filtered=("violence",), usage=Usage(output_tokens=1))
    return [*(Chunk(text=word) for word in words), last]


def policy(rule: OnFiltered, *tiers: str, start: str | None = None) -> Policy:
    tiers = tiers or ("device", "cloud", "strong")
    sure = OneTest("draft.mean_logprob", "gte", -0.3)
    always = OneTest("request.label", "is", "public")
    return Policy(
        name="p",
        revision="r",
        summary="s",
        tiers=tiers,
        route=() if start is None else (Route("up", always, start),),
        accept=(Requirement("sure", frozenset({"device"}), sure),),
        on_filtered=rule,
    )


def run(rule: OnFiltered, *plays: Play, start: str | None = None) -> tuple[Ended, Street]:
    street = Street()
    for tier, play in zip(("device", "cloud", "strong"), plays, strict=False):
        street.add(tier, tier, play)
    return street.run(policy(rule, start=start)), street


@pytest.mark.parametrize("stop", [BLOCKED, cut(), cut("Once", " upon")])
def test_next_asks_on(stop: Play) -> None:
    ended, _ = run("next", UNSURE, stop, says("a strong answer"))

    assert ended.text == "a strong answer"
    assert ended.answer.flags == ()


@pytest.mark.parametrize("stop", [BLOCKED, cut(), cut("Once", " upon")])
def test_draft_gives_the_draft_back_flagged_and_asks_nobody_stronger(stop: Play) -> None:
    ended, street = run("draft", UNSURE, stop, says("a strong answer"))

    assert ended.text == "a weak draft"
    assert ended.answer.flags == ("uncertain", "filtered")
    assert ended.answer.answered_by == 0
    assert street.calls()["strong"] == 0
    assert "on_filtered is draft" in explain(ended.answer)


@pytest.mark.parametrize("stop", [BLOCKED, cut(), cut("Once", " upon")])
def test_refuse_ends_with_an_error_of_its_own_that_says_whose_filter_and_for_what(
    stop: Play,
) -> None:
    ended, street = run("refuse", UNSURE, stop, says("a strong answer"))

    assert ended.text == ""
    assert isinstance(ended.error, ContentFiltered)
    assert isinstance(ended.error, NoAnswer)
    assert "violence" in str(ended.error)
    assert "on_filtered is refuse" in str(ended.error)
    assert ended.error.outcome is not None
    assert ended.error.outcome.flags == ("filtered",)
    assert street.calls() == {"device": 1, "cloud": 1, "strong": 0}


def test_the_hop_says_where_the_filter_stopped_it_and_for_what() -> None:
    blocked, _ = run("next", UNSURE, BLOCKED, says("yes"))
    shortened, _ = run("next", UNSURE, cut("Once"), says("yes"))
    unsaid, _ = run(
        "next",
        UNSURE,
        [
            Filtered("no"),
        ],
        says("yes"),
    )

    assert blocked.answer.hops[1].left == "failed: filtered (prompt: jailbreak, violence)"
    assert shortened.answer.hops[1].left == "not kept: filtered (answer: violence)"
    assert unsaid.answer.hops[1].left == "failed: filtered (prompt)"
    assert blocked.answer.hops[1].last.error_kind == "filtered"
    assert shortened.answer.hops[1].last.finish == "content_filter"


@pytest.mark.parametrize("rule", ["next", "draft", "refuse"])
def test_what_reached_the_caller_before_a_filter_cut_it_stays_and_is_flagged(
    rule: OnFiltered,
) -> None:
    ended, _ = run(rule, UNSURE, cut("Once", " upon"))

    assert ended.text == "Once upon"
    assert ended.answer.flags == ("uncertain", "filtered")
    assert ended.answer.answered_by == 1
    assert ended.answer.hops[1].left == "answered, filtered (answer: violence)"


def test_without_a_draft_a_weaker_tier_is_asked() -> None:
    ended, street = run("draft", says("from here"), BLOCKED, says("a strong answer"), start="cloud")

    assert ended.text == "from here"
    assert street.calls() == {"device": 1, "cloud": 1, "strong": 0}


def test_where_nobody_weaker_is_left_draft_ends_with_the_same_error() -> None:
    ended, _ = run("draft", BLOCKED, says("yes"))

    assert isinstance(ended.error, ContentFiltered)
    assert ended.error.outcome is not None
    assert ended.error.outcome.flags == ("filtered",)


def test_an_empty_answer_that_a_filter_cut_on_the_last_tier_is_no_answer_but_with_next() -> None:
    asked, _ = run("next", UNSURE, says("no", finish="content_filter"), cut())
    refused, _ = run("refuse", cut())

    assert (asked.text, asked.answer.flags) == ("a weak draft", ("uncertain", "filtered"))
    assert isinstance(refused.error, ContentFiltered)


def test_a_second_target_of_the_tier_is_not_asked_what_its_neighbour_blocked() -> None:
    street = Street()
    street.add("device", "device", UNSURE)
    street.add("one", "cloud", BLOCKED)
    street.add("two", "cloud", says("yes"))

    ended = street.run(policy("draft"))

    assert ended.text == "a weak draft"
    assert street.calls()["two"] == 0


def test_a_named_target_that_is_filtered_ends_as_the_rule_says() -> None:
    street = Street()
    street.add("device", "device", says("yes"))
    street.add("cloud", "cloud", BLOCKED)

    ended = street.run(policy("draft"), ask(target="cloud"))

    assert isinstance(ended.error, ContentFiltered)
    assert street.calls()["device"] == 0


def test_a_filtered_call_is_not_made_again_and_its_target_is_not_held_against() -> None:
    street = Street()
    street.add("device", "device", UNSURE)
    street.add("cloud", "cloud", BLOCKED, attempts=3)

    for _ in range(6):
        ended = street.run(policy("next"))

    assert len(ended.answer.hops[1].attempts) == 1
    assert street.calls()["cloud"] == 6
    assert street.home.senses.breakers.state("cloud") == "closed"


def test_a_raced_tier_that_is_filtered_leaves_the_draft_to_come() -> None:
    street = Street()
    street.add("device", "device", [0.5, *UNSURE])
    street.add("cloud", "cloud", BLOCKED)
    street.add("strong", "strong", says("a strong answer"))
    raced = policy("draft")
    rules = Policy(
        name="p",
        revision="r",
        summary="s",
        tiers=raced.tiers,
        accept=raced.accept,
        on_filtered="draft",
        race=Race(over_s=None, cost_usd=Decimal(1), after_s=0.0),
    )

    ended = street.run(rules)

    assert ended.text == "a weak draft"
    assert ended.answer.flags == ("uncertain", "filtered")
    assert [hop.cause for hop in ended.answer.hops] == ["start", "race"]
    assert street.calls()["strong"] == 0


def test_without_a_draft_either_a_neighbour_is_not_asked_but_a_weaker_tier_is() -> None:
    street = Street()
    street.add("device", "device", says("from here"))
    street.add("one", "cloud", BLOCKED)
    street.add("two", "cloud", says("yes"))

    ended = street.run(policy("draft", start="cloud"))

    assert ended.text == "from here"
    assert street.calls()["two"] == 0
