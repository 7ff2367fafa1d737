"""OpenAI's words for how tokens are chosen: taken as they mean, refused by name."""

from __future__ import annotations

import pytest

from router import asking
from router.errors import ConfigError

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def request(**options):
    return asking.request("hm?", options, ["device", "cloud"])


def test_every_wish_reaches_the_request():
    made = request(
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        frequency_penalty=-1,
        presence_penalty=0.5,
        logit_bias={"7": -100, 8: 2},
        target="device",
        top_logprobs=3,
        n=1,
    )

    assert (made.top_p, made.top_k, made.min_p) == (0.9, 40, 0.05)
    assert (made.frequency_penalty, made.presence_penalty) == (-1.0, 0.5)
    assert made.logit_bias == {7: -100.0, 8: 2.0}
    assert made.logprobs == 3


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({}, None), ({"logprobs": False}, None), ({"logprobs": True}, 0), ({"top_logprobs": 0}, 0)],
)
def test_log_probabilities_are_off_unless_asked_for(options, wanted):
    assert request(**options).logprobs == wanted


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"n": 2}, "n"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"presence_penalty": "high"}, "presence_penalty"),
        ({"logit_bias": {1: 1}}, "logit_bias"),
        ({"logit_bias": {"word": 1}, "target": "device"}, "logit_bias"),
        ({"logit_bias": {1: 101}, "target": "device"}, "logit_bias[1]"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 2}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "loook", "tools": TOOLS}, "tool_choice"),
        ({"regex": "a", "response_format": "json"}, "regex"),
        ({"regex": "a", "grammar": "start: A"}, "grammar"),
    ],
)
def test_what_can_not_be_is_refused_by_name(options, field):
    with pytest.raises(ConfigError) as caught:
        request(**options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, None),
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        ("look", "look"),
        ({"type": "function", "function": {"name": "look"}}, "look"),
    ],
)
def test_a_tool_may_be_chosen_in_openai_s_shape(choice, wanted):
    assert request(tool_choice=choice, tools=TOOLS).tool_choice == wanted


@pytest.mark.parametrize("word", ["none", "required"])
def test_a_tool_named_like_a_choice_is_not_read_as_the_choice(word):
    named = {"type": "function", "function": {"name": word}}

    with pytest.raises(ConfigError, match="another name"):
        request(tool_choice=named, tools=[*TOOLS, named])
    assert request(tool_choice=word, tools=[*TOOLS, named]).tool_choice == word


def test_a_forced_call_and_a_grammar_are_needs_of_their_own():
    assert request(tools=TOOLS).needs == {"tools"}
    assert request(tools=TOOLS, tool_choice="look").needs == {"forced_tools"}
    assert request(regex="a+").needs == {"grammar"}


@pytest.mark.parametrize(("given", "wanted"), [(None, None), (True, None), (False, False)])
def test_one_tool_at_a_time_may_be_asked_for(given, wanted):
    assert request(parallel_tool_calls=given, tools=TOOLS).parallel_tool_calls is wanted
    assert request(parallel_tool_calls=given).parallel_tool_calls is None  # without tools it is all
    with pytest.raises(ConfigError) as caught:
        request(parallel_tool_calls=0, tools=TOOLS)
    assert caught.value.field == "parallel_tool_calls"
