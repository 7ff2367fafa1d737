"""Wishes of how tokens are chosen reach each wire that has a field for them, or are refused."""

from __future__ import annotations

import json

import pytest

from router.errors import Incapable
from router.providers.base import Dialect, Target
from router.providers.device_job import as_job, read_call
from router.providers.ollama_body import chat_body
from router.providers.ollama_options import OllamaOptions
from router.providers.openai_body import request_body
from router.providers.openai_chunks import ChunkReader
from router.providers.sse import Event
from router.types import Ask, Message, Tool, ToolCall

LOOK = Tool(
    name="look",
    description="Look something up.",
    parameters={
        "type": "object",
        "properties": {"what": {"$ref": "#/$defs/word"}},
        "required": ["what"],
        "$defs": {"word": {"type": "string"}},
    },
)
GO = Tool(name="go")


def ask(**wishes):
    said = (Message(role="user", content="hm?"),)
    return Ask(attempt_id="a", messages=said, max_output_tokens=50, **wishes)


def target(provider, **options):
    return Target(name="t", tier="cloud", provider=provider, model="m", options=options)


def openai(wanted, *, logprobs=True):
    dialect = Dialect(name="x", logprobs=logprobs, abilities=frozenset({"tools", "json"}))
    return request_body(wanted, target("x"), dialect)


def ollama(wanted, **options):
    told = {"keep_alive": None, "max_image_bytes": 9, "num_ctx": None, "think": None}
    settings = OllamaOptions(
        **{"abilities": frozenset(), "here": True, "logprobs": False, **told, **options}
    )
    return json.loads(chat_body(wanted, "m", settings))


def test_one_tool_at_a_time_goes_where_there_is_a_field_for_it():
    assert openai(ask(tools=(GO,), parallel_tool_calls=False))["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in openai(ask(tools=(GO,)))
    with pytest.raises(Incapable, match="parallel_tool_calls"):
        ollama(ask(tools=(GO,), parallel_tool_calls=False), abilities=frozenset({"tools"}))


def test_openai_s_own_words_go_as_they_are():
    body = openai(
        ask(
            top_p=0.9,
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            logit_bias={7: -100.0},
            logprobs=5,
            tools=(GO,),
            tool_choice="go",
        )
    )

    assert (body["top_p"], body["frequency_penalty"], body["presence_penalty"]) == (0.9, 0.5, -0.5)
    assert body["logit_bias"] == {"7": -100.0}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 5)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "go"}}
    assert "top_logprobs" not in openai(ask())


@pytest.mark.parametrize("wishes", [{"top_k": 5}, {"min_p": 0.1}])
def test_what_the_chat_wire_has_no_field_for_is_refused(wishes):
    with pytest.raises(Incapable, match=next(iter(wishes))):
        openai(ask(**wishes))


def test_log_probabilities_are_refused_where_none_are_told():
    with pytest.raises(Incapable, match="log-probabilities"):
        openai(ask(logprobs=0), logprobs=False)
    with pytest.raises(Incapable, match="log-probabilities"):
        ollama(ask(logprobs=0))


def test_ollama_takes_its_words_and_refuses_the_rest():
    wishes = {"top_p": 0.9, "top_k": 5, "min_p": 0.1, "frequency_penalty": 1.0}
    body = ollama(ask(**wishes, logprobs=4), logprobs=True)

    assert wishes.items() <= body["options"].items()
    assert body["top_logprobs"] == 4
    with pytest.raises(Incapable, match="logit_bias"):
        ollama(ask(logit_bias={1: 1.0}))


def test_a_cloud_s_tokens_are_handed_on_only_when_asked_for():
    told = {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}
    told["top_logprobs"] = [{"token": t, "logprob": p} for t, p in (("hi", -0.5), ("ho", -1.0))]
    choice = {"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [told]}}
    event = Event(name=b"", data=json.dumps({"choices": [choice]}).encode())

    quiet, full = (ChunkReader(None, spell).read([event])[0] for spell in (None, 1))

    assert quiet.logprobs == ()
    (token,) = full.logprobs
    assert (token.token, token.logprob, token.raw) == ("hi", -0.5, b"hi")
    assert [one.token for one in token.top] == ["hi"]


def test_the_device_holds_a_forced_call_to_the_tool_s_own_schema():
    job = as_job(ask(tools=(LOOK, GO), tool_choice="look"))
    schema = json.loads(job.guide.text)

    assert schema["properties"]["name"] == {"const": "look"}
    assert schema["$defs"]["arguments0"]["$defs"] == {"word": {"type": "string"}}
    assert job.messages[0].role == "system"
    assert "Look something up." in job.messages[0].content
    assert "go" not in job.messages[0].content.splitlines()[1]


def test_a_call_may_be_of_any_tool():
    job = as_job(ask(tools=(LOOK, GO), tool_choice="required"))

    assert len(json.loads(job.guide.text)["anyOf"]) == 2


def test_tools_that_may_but_need_not_be_called_are_beyond_the_device():
    with pytest.raises(Incapable, match="tools"):
        as_job(ask(tools=(GO,)))


def test_each_tool_keeps_its_own_definitions():
    other = Tool(name="o", parameters={"type": "object", "$defs": {"word": {"type": "null"}}})
    schema = json.loads(as_job(ask(tools=(LOOK, other), tool_choice="required")).guide.text)

    kept = [schema["$defs"][name]["$defs"]["word"] for name in ("arguments0", "arguments1")]
    assert kept == [{"type": "string"}, {"type": "null"}]


def test_a_whole_call_is_read_and_one_that_was_cut_is_not():
    text = '{"name":"look","arguments":{"what":"é"}}'

    (call,) = read_call(text, "stop", ask())
    assert call == ToolCall(id="call_a", name="look", arguments='{"what": "é"}')
    assert read_call(text, "length", ask()) == ()
