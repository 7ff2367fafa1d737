"""A draft's probabilities, text and form become signals, or unknown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.confided import OF_CONFIDENCE
from router.policy.opinions import OPINIONS
from router.signals import CATALOGUE, draft_signals, presentable
from router.signals.catalogue import Value
from router.signals.draft import mean_logprob, quantile
from router.types import Completion, Message, Request, TokenStat, Tool, ToolCall, Usage

STATS = (
    TokenStat(-0.1, entropy=0.5, margin=0.8),
    TokenStat(-0.5, entropy=1.5, margin=0.2),
    TokenStat(-0.3, entropy=0.7, margin=0.6),
)
OF_STATS = frozenset(
    f"draft.{name}"
    for name in (
        "mean_logprob",
        "min_logprob",
        "q10_logprob",
        "first_entropy",
        "first_margin",
        "min_margin",
        "tokens",
        "finish",
    )
)
OF_DRAFT = (
    frozenset(name for name in CATALOGUE if name.startswith("draft."))
    - OF_CONFIDENCE
    - OPINIONS
    - {"draft.same_as_before"}
)
logprobs = st.lists(st.floats(-1000, 0), min_size=1, max_size=50)

ENGLISH = "The sea is blue because water takes up the red part of the light."
GERMAN = "Das Meer ist blau, weil Wasser den roten Teil des Lichts aufnimmt."


def asked(text: str = "Why is the sea blue?", **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), **fields)  # type: ignore[arg-type]


def measured(draft: Completion, request: Request | None = None) -> dict[str, Value]:
    return draft_signals(draft, request or asked(), OF_STATS, {})


def one(name: str, text: str, request: Request | None = None, **known: Value) -> Value:
    values = {key.replace("_", ".", 1): value for key, value in known.items()}
    wanted = frozenset({name})
    return draft_signals(Completion(text=text), request or asked(), wanted, values)[name]


def test_a_draft_with_statistics_has_every_signal() -> None:
    draft = Completion(text="x", tokens=STATS, finish="stop", usage=Usage(output_tokens=3))

    assert measured(draft) == {
        "draft.mean_logprob": pytest.approx(-0.3),
        "draft.min_logprob": -0.5,
        "draft.q10_logprob": pytest.approx(-0.46),
        "draft.first_entropy": 0.5,
        "draft.first_margin": 0.8,
        "draft.min_margin": 0.2,
        "draft.tokens": 3,
        "draft.finish": "stop",
    }


def test_a_draft_without_statistics_has_unknown_signals_and_not_one_made_up() -> None:
    assert set(measured(Completion(text="x")).values()) == {None}


def test_a_margin_that_one_token_lacks_is_unknown_for_the_whole() -> None:
    found = measured(Completion(text="x", tokens=(*STATS, TokenStat(-0.2))))

    assert found["draft.min_margin"] is None
    assert found["draft.first_margin"] == 0.8


@pytest.mark.parametrize("broken", [math.nan, -math.inf, math.inf])
def test_what_is_no_finite_number_is_unknown(broken: float) -> None:
    """A NaN compares as false; under a `not` it would let a draft through."""
    stats = (TokenStat(-0.1, broken, broken), *STATS[1:], TokenStat(broken, broken, broken))

    found = measured(Completion(text="x", tokens=stats))

    assert [value for name, value in found.items() if name != "draft.finish"] == [None] * 7
    assert mean_logprob(stats) is None


# Text and form


def test_only_wanted_signals_of_drafts_are_found_out() -> None:
    wanted = frozenset({"draft.refusal", "prompt.turns", "tier.device.end_s", "draft.nonsense"})

    assert draft_signals(Completion(text="x"), asked(), wanted, {}) == {"draft.refusal": False}
    assert draft_signals(Completion(text="x"), asked(), frozenset(), {}) == {}


def test_a_draft_in_the_language_asked_in_is_in_the_same() -> None:
    assert one("draft.language", GERMAN) == "de"
    assert one("draft.same_language", GERMAN, asked("Warum ist das Meer blau?")) is True
    assert one("draft.same_language", ENGLISH, asked("Warum ist das Meer blau?")) is False


def test_the_languages_known_already_are_taken() -> None:
    assert one("draft.same_language", GERMAN, prompt_language="de") is True
    assert one("draft.same_language", ENGLISH, prompt_language="de") is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "Canberra.",
        "New York Times",
        "La Repubblica Italiana",
        "x = 3",
        "```\na b\n```",
        "George Washington, John Adams, Thomas Jefferson, James Madison, James Monroe",
    ],
)
def test_a_short_answer_or_one_without_prose_never_fails_by_its_language(text: str) -> None:
    assert one("draft.same_language", text, asked("Warum ist das Meer blau?")) is True


@pytest.mark.parametrize(
    "question",
    [
        "Übersetze den nächsten Satz ins Englische: Das Meer ist blau.",
        "Warum ist das Meer blau? Antworte auf Englisch.",
    ],
)
def test_another_language_is_right_where_it_was_asked_for(question: str) -> None:
    assert one("draft.same_language", ENGLISH, asked(question)) is True


def test_json_in_english_is_no_answer_in_the_wrong_language() -> None:
    text = '{"answer": "the sea is blue because water takes up the red light"}'

    assert one("draft.same_language", text, asked("Warum ist das Meer blau?", json=True)) is True


def test_where_the_question_tells_no_language_any_answer_fits() -> None:
    assert one("draft.same_language", ENGLISH, asked("2 + 2?")) is True


def test_two_languages_outside_the_catalogue_may_differ_and_are_unknown() -> None:
    swahili = "Mji mkuu wa Australia ni Canberra na una watu wengi sana."

    assert one("draft.same_language", swahili, prompt_language="other") is None


def test_a_refusal_and_a_circle_are_seen() -> None:
    assert one("draft.refusal", "I'm sorry, but I can't help with that.") is True
    repeated = one("draft.repetition", "The sea is blue. " * 50)
    assert isinstance(repeated, float)
    assert repeated > 0.9


def test_json_is_valid_where_none_was_asked_for() -> None:
    assert one("draft.json_valid", "plain words") is True
    assert one("draft.json_valid", "plain words", asked(json=True)) is False
    assert one("draft.json_valid", "{}", asked(json_schema={"required": ["a"]})) is False


def test_a_draft_that_calls_a_tool_has_still_to_give_its_json() -> None:
    tool = Tool(name="clock")
    call = ToolCall(id="1", name="clock", arguments="{}")
    draft = Completion(text="", tool_calls=(call,))

    assert presentable(draft, asked(json=True, tools=(tool,)))
    assert not presentable(draft, asked(json=True))
    assert draft_signals(draft, asked(), frozenset({"draft.tool_calls_valid"}), {}) == {
        "draft.tool_calls_valid": False
    }


@pytest.mark.parametrize(
    ("text", "request_", "shown"),
    [
        (ENGLISH, asked(), True),
        (GERMAN, asked(), True),
        ("", asked(), True),
        ("I cannot help with that.", asked(), False),
        (ENGLISH, asked(json=True), False),
        ('{"a": 1}', asked(json_schema={"required": ["a"]}), True),
        ('{"b": 1}', asked(json_schema={"required": ["a"]}), False),
    ],
)
def test_a_refusal_or_a_broken_form_is_not_presentable(
    text: str, request_: Request, shown: bool
) -> None:
    assert presentable(Completion(text=text), request_) is shown


@given(st.text(max_size=300), st.text(max_size=100))
def test_every_draft_has_every_signal(text: str, question: str) -> None:
    found = draft_signals(Completion(text=text), asked(question), OF_DRAFT, {})

    assert set(found) == OF_DRAFT


# Statistics


@given(logprobs)
def test_the_mean_lies_between_the_least_and_the_most(values: list[float]) -> None:
    mean = mean_logprob([TokenStat(v) for v in values])

    assert mean is not None
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


@given(logprobs, st.floats(0, 1))
def test_a_quantile_lies_between_the_least_and_the_most(values: list[float], q: float) -> None:
    found = quantile(values, q)

    assert found is not None
    assert min(values) - 1e-9 <= found <= max(values) + 1e-9


@given(logprobs, st.floats(0, 1), st.floats(0, 1))
def test_quantiles_do_not_fall(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))

    lower, upper = quantile(values, low), quantile(values, high)

    assert lower is not None
    assert upper is not None
    assert lower <= upper + 1e-9


def test_quantiles_are_those_of_numpys_default() -> None:
    numpy = pytest.importorskip("numpy")
    values = [-3.0, -0.2, -1.0, -0.9, -0.1, -7.0]

    for q in (0, 0.1, 0.25, 0.5, 0.9, 1):
        assert quantile(values, q) == pytest.approx(float(numpy.quantile(values, q)))


def test_nothing_has_no_quantile_and_no_mean() -> None:
    assert quantile([], 0.1) is None
    assert mean_logprob([]) is None
