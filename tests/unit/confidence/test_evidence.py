"""Signals of prompts, drafts, votes, samples, tokens and option scores."""

from __future__ import annotations

import math
import time

import pytest

from router.confidence.agreement import AGREED, SAMPLED, sample_features, vote_features
from router.confidence.answers import canonical, final_answer, kind_of, likeness, same
from router.confidence.asked import ASKED, asked_features
from router.confidence.drafted import DRAFTED, drafted_features
from router.confidence.figures import number, numbers, sums
from router.confidence.options import OPTIONED, option_features
from router.confidence.tokens import TOKENS, token_features
from router.types import TokenStat


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,200", 1200.0),
        ("1.5", 1.5),
        ("1,5", 1.5),
        ("1.250", 1.25),
        ("1,234,567", 1234567.0),
        ("1.234.567", 1234567.0),
        ("1.2.3", None),
        ("9" * 16, None),
        ("१२", 12.0),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, value: float | None) -> None:
    assert number(text) == value


def test_numbers_of_a_text_come_in_order() -> None:
    assert numbers("3 boxes of 1,000 at 2.5 each.") == [3.0, 1000.0, 2.5]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5 + 8 = 13, and 2 * 5 = 10", (2, 0)),
        ("so 3 hours/day * 3 days/week = 9 hours", (1, 0)),
        ("2 + 3 * 4 = 20", (0, 1)),
        ("$800 + $2,400 = $3,200", (1, 0)),
        ("20 \\times 3 = 61", (0, 1)),
        ("10 / 0 = 5", (0, 0)),
        ("10 / 3 = 3.33", (1, 0)),
        ("x = 5 and y = 3", (0, 0)),
        ("10 - 4 - 3 = 3", (1, 0)),
    ],
)
def test_stated_sums_are_checked(text: str, found: tuple[int, int]) -> None:
    assert sums(text) == found


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"reasoning": "so", "answer": "27"}', "27"),
        ("Thus it is \\boxed{x^{2}}.", "x^{2}"),
        ("We count.\n#### 42", "42"),
        ("That points to B. The answer is (C).", "C"),
        ("Paris", "Paris"),
        ("word " * 60 + "which makes 12 apples and 7 pears in all", "7"),
        ("word " * 60, None),
        ("", None),
    ],
)
def test_the_final_answer_is_found(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("1,000", "1000.0", True),
        ("-3", "3", False),
        ("$12", "12", True),
        ("12%", "12", False),
        ("(B)", "B", True),
        ("B", "C", False),
        ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ('{"a": 1e5, "b": 0.1}', '{"a": 100000, "b": 0.10000000000000001}', True),
        ('{"a": 0.0}', '{"a": 0}', True),
        ('{"a": 1e-400}', '{"a": 0}', False),
        ('{"a": 1e400}', '{"a": 1e500}', False),
        ("20240101", "20240102", False),
        ("1 2", "12", False),
        ("['x', 'y']", '["x","y"]', True),
        ("Paris", "paris ", True),
        ("the red fox " * 20, "the red fox " * 19 + "sleeps", True),
        ("the red fox " * 20, "a treatise on tax law " * 20, False),
    ],
)
def test_answers_are_compared_by_what_they_are(one: str, other: str, alike: bool) -> None:
    assert same(one, other) is alike
    assert same(other, one) is alike


def test_kinds_are_told_apart_and_likeness_ends_at_one() -> None:
    assert [kind_of(x) for x in ("7", "(C)", '{"a": 1}', "Rome", "x " * 200)] == [
        "number", "choice", "json", "short", "long",
    ]  # fmt: skip
    assert likeness("one two three", "one two three") == 1.0
    assert canonical("007.50") == canonical("7.5")


def test_every_signal_that_is_promised_comes_and_no_other() -> None:
    stat = TokenStat(logprob=-0.1, entropy=0.2, margin=0.9)

    assert tuple(asked_features("How many?")) == ASKED
    assert set(drafted_features("How many?", "Two.")) == set(DRAFTED)
    assert tuple(vote_features("2", {"m": "2"})) == AGREED
    assert tuple(sample_features(["2", "3"])) == SAMPLED
    assert tuple(option_features([1.0, 2.0, 0.5])) == OPTIONED
    assert tuple(token_features([stat] * 3)) == TOKENS


def test_an_empty_draft_of_an_empty_prompt_has_signals_too() -> None:
    found = drafted_features("", "")

    assert found["answer.known"] == 0.0
    assert math.isnan(found["answer.size"])


def test_a_draft_that_answers_twice_and_differently_shows_it() -> None:
    once = drafted_features("How many?", '{"answer": "42"}')
    twice = drafted_features("How many?", '{"answer": "42"} or rather {"answer": "84"}')

    assert once["draft.answers_differ"] == 1.0
    assert twice["draft.answers_differ"] == 2.0


def test_an_option_that_the_draft_speaks_of_leads() -> None:
    prompt = "Why?\nA. a cold front moved in\nB. the oven was hot"
    draft = "Because the oven was hot. The answer is (B)."

    assert drafted_features(prompt, draft, "B")["answer.option_lead"] > 0
    assert drafted_features(prompt, draft, "A")["answer.option_lead"] < 0
    assert math.isnan(drafted_features("Why?", draft, "B")["answer.option_lead"])


def test_english_words_are_unknown_rather_than_absent_in_another_language() -> None:
    found = drafted_features("为什么？", "因为天气冷。", english=False)

    assert math.isnan(found["draft.doubts"])
    assert math.isfinite(found["draft.length"])


def test_one_question_has_about_one_length_in_every_language() -> None:
    english = "There are 15 trees in the grove. Workers will plant trees today. How many?"
    chinese = "林中有15棵树。林业工人今天将在林中种树。种了多少?"

    one, other = asked_features(english), asked_features(chinese, "zh")

    assert abs(one["asked.length"] - other["asked.length"]) < 0.25
    assert one["asked.numbers"] == other["asked.numbers"] == 1.0


def test_votes_count_who_agrees_who_rivals_and_who_is_silent() -> None:
    found = vote_features("7", {"a": "7.0", "b": "8", "c": "8", "d": None}, ("a", "b", "d", "e"))

    assert found["votes.agree"] == 0.25
    assert found["votes.rival"] == 0.5
    assert found["votes.silent"] == 0.25
    assert found["votes.first"] == 0.0
    assert [found[f"vote.{x}"] for x in "abd"] == [1.0, 0.0, -0.5]
    assert math.isnan(found["vote.e"])


def test_nobody_agrees_with_a_draft_that_has_no_answer() -> None:
    assert vote_features(None, {"a": None, "b": "8"})["votes.agree"] == 0.0
    assert math.isnan(vote_features("7", {})["votes.agree"])


def test_samples_that_agree_have_no_entropy() -> None:
    assert sample_features(["4", "4.0", "4"])["samples.entropy"] == 0.0
    assert sample_features(["4", "5", "5"])["samples.first_is_top"] == 0.0
    assert sample_features(["4", None])["samples.silent"] == 0.5
    assert math.isnan(sample_features(["4"])["samples.top"])


def test_only_differences_between_option_scores_matter() -> None:
    one, other = option_features([1.0, 3.0, 2.0]), option_features([101.0, 103.0, 102.0])

    assert one["options.top"] == pytest.approx(other["options.top"])
    assert one["options.chosen"] == 1.0
    assert one["options.lead"] == 1.0


def test_the_worst_window_finds_the_place_where_a_draft_hesitates() -> None:
    calm, unsure = TokenStat(logprob=-0.1), TokenStat(logprob=-2.0)
    found = token_features([calm] * 20 + [unsure] * 8 + [calm] * 20, answer=(0, 2))

    assert found["tokens.worst_window"] == pytest.approx(-2.0)
    assert found["tokens.answer_logprob"] == pytest.approx(-0.1)
    assert math.isnan(found["tokens.first_entropy"])


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_a_log_probability_that_is_no_number_makes_them_unknown(bad: float) -> None:
    found = token_features([TokenStat(logprob=-0.1), TokenStat(logprob=bad)])

    assert math.isnan(found["tokens.mean_logprob"])
    assert math.isnan(found["tokens.worst_window"])


def test_a_hostile_draft_is_read_in_bounded_time() -> None:
    began = time.process_time()
    for text in (
        "1" * 60_000,
        "1+" * 30_000,
        '"answer": "' * 6_000,
        "\\boxed{" * 9_000,
        "$ a " * 9_000,
    ):
        drafted_features(text, text)

    assert time.process_time() - began < 5.0
