"""Anthropic's wire by itself, coming in: bodies read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import anthropic.types.message_count_tokens_params as count_params
import anthropic.types.message_create_params as params
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import asking
from router.sidecar.wire import messages
from router.sidecar.wire.blocks import NEUTRAL as OF_BLOCKS
from router.sidecar.wire.failure import Refusal
from router.types import Message as Turn

HI = {"role": "user", "content": "hi"}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}


def body(*turns: Any, **more: Any) -> bytes:
    return json.dumps({"max_tokens": 9, "messages": turns or [HI], **more}).encode()


def param(raw: bytes, read: Any = messages.read) -> str | None:
    with pytest.raises(Refusal) as caught:
        read(raw)
    assert caught.value.failure.status == 400
    return caught.value.failure.param


def said(*turns: Any, **more: Any) -> tuple[Turn, ...]:
    return asking.messages(messages.read(body(*turns, **more)).messages)


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def test_every_field_that_anthropic_documents_is_passed_on_or_refused_never_dropped() -> None:
    """A field of ours that is neither in a table nor read by name would be dropped in silence."""
    documented = set(params.MessageCreateParamsBase.__annotations__) | {"stream"}
    by_name = {"max_tokens", "messages", "model", "stream", "stop_sequences", "metadata"}
    by_name |= {"temperature", "top_p", "top_k", "system", "tools", "tool_choice"}
    by_name |= {"output_config", "cache_control"}
    ours = set(messages.Body.__struct_fields__)

    assert ours == by_name | set(messages.NEUTRAL)
    assert ours - documented == {"temperature", "top_p", "top_k"}  # until version 2026-10-21
    for name in documented - ours:
        assert param(body(**{name: "x"})) == name
    counted = set(messages.Counted.__struct_fields__)
    assert counted <= set(count_params.MessageCountTokensParams.__annotations__)
    assert param(json.dumps({"messages": [HI], "max_tokens": 9}).encode(), messages.read_count)


@pytest.mark.parametrize("name", sorted(messages.NEUTRAL))
def test_a_field_that_can_not_be_honoured_may_only_say_what_changes_nothing(name: str) -> None:
    for value in (None, *messages.NEUTRAL[name]):
        messages.read(body(**{name: value}))
    assert param(body(**{name: {"type": "something else"}})) == name


def test_what_is_said_of_the_answer_becomes_options() -> None:
    schema = {"type": "object"}
    asked = messages.read(
        body(
            model="balanced",
            temperature=0.5,
            top_p=0.9,
            top_k=3,
            stop_sequences=["END"],
            stream=True,
            metadata={"user_id": "u", "firsthop_label": "pii", "team": None},
            output_config={"format": {"type": "json_schema", "schema": schema}},
            cache_control={"type": "ephemeral", "ttl": "1h"},
        )
    )
    assert (asked.model, asked.streamed) == ("balanced", True)
    assert asked.metadata == {"firsthop_label": "pii"}
    request = asking.request(asked.messages, asked.options, [])
    assert (request.max_output_tokens, request.stop) == (9, ("END",))
    assert (request.temperature, request.top_p, request.top_k) == (0.5, 0.9, 3)
    assert (request.json_schema, request.tags) == (schema, {"user": "u"})


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (None, None),
        ({"type": "auto", "disable_parallel_tool_use": False}, None),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "weather"}, "weather"),
    ],
)
def test_a_choice_of_tools_means_what_ours_means(choice: Any, meant: str | None) -> None:
    tools = [{**TOOL, "type": "custom", "description": "how it is", "cache_control": None}]
    asked = messages.read(body(tools=tools, tool_choice=choice))
    request = asking.request(asked.messages, asked.options, [])

    assert request.tool_choice == meant
    assert request.tools[0].name == "weather"
    assert request.tools[0].description == "how it is"
    assert request.tools[0].parameters == {"type": "object"}


def test_one_tool_at_a_time_is_asked_for() -> None:
    for kind in ("auto", "any"):
        asked = messages.read(
            body(tools=[TOOL], tool_choice={"type": kind, "disable_parallel_tool_use": True})
        )
        request = asking.request(asked.messages, asked.options, [])
        assert request.parallel_tool_calls is False


def test_no_tool_may_be_called_where_none_is_chosen() -> None:
    options = messages.read(body(tools=[TOOL], tool_choice={"type": "none"})).options
    assert "tools" not in options


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [], "system": "Be brief."}, "messages"),
        ({"tools": [{**TOOL, "defer_loading": 0}]}, "tools[0].defer_loading"),
        ({"stop_sequences": ["x", ""]}, "stop_sequences[1]"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {**TOOL, "defer_loading": True}]}, "tools[1].defer_loading"),
        ({"tools": [TOOL, {"name": "x"}]}, "tools[1]"),
        ({"output_config": {"effort": "high"}}, "output_config.effort"),
        ({"cache_control": {"type": "for ever"}}, "cache_control.type"),
        ({"cache_control": {}}, "cache_control"),
        ({"output_config": {"format": {"schema": {}}}}, "output_config.format"),
        ({"system": [{"text": "Be brief."}]}, "system[0]"),
        ({"system": [{"type": ""}]}, "system[0].type"),
        ({"system": [{"type": "image", "source": {}}]}, "system[0].type"),
        ({"messages": [HI, {"role": "assistant", "content": "So"}]}, "messages[1]"),
    ],
)  # fmt: skip
def test_what_can_not_be_honoured_is_refused_by_its_place(more: Any, field: str) -> None:
    assert param(body(**more)) == field


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, ".type"),
        ({"type": "document", "source": {}}, ".type"),
        (text("x", citations=[{"type": "char_location"}]), ".citations"),
        (text("x", colour="red"), ""),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ".source.type"),
        ({"type": "image", "source": {"type": "url", "url": "file:///x"}}, ".source.url"),
        ({"type": "tool_use", "id": "1", "name": "f", "input": {}}, ".type"),
        ({"type": "tool_result", "tool_use_id": "1"}, ""),
    ],
)
def test_a_block_that_no_target_hears_is_refused_by_its_place(block: Any, field: str) -> None:
    assert param(body(HI, user(text("first"), block))) == f"messages[1].content[1]{field}"


def test_a_conversation_with_calls_comes_through_whole() -> None:
    turns = said(
        user(text("What is here?", cache_control={"type": "ephemeral"}),
             {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                          "data": "aGk="}},
             {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
        {"role": "assistant", "content": [
            text("Let me see.", citations=None),
            {"type": "tool_use", "id": "a", "name": "look", "input": {"deep": [1, "ö"]},
             "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "b", "name": "look", "input": {}}]},
        user({"type": "tool_result", "tool_use_id": "a", "content": [text("one"), text("two")]},
             {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
             text("Well?")),
        system=[text("Be"), text("brief.")],
    )  # fmt: skip

    assert [turn.role for turn in turns] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert turns[0].content == "Be\nbrief."
    assert [image.url for image in turns[1].images] == [
        "data:image/png;base64,aGk=",
        "https://x/y.png",
    ]
    assert turns[2].content == "Let me see."
    assert [(call.id, json.loads(call.arguments)) for call in turns[2].tool_calls] == [
        ("a", {"deep": [1, "ö"]}),
        ("b", {}),
    ]
    assert (turns[3].tool_call_id, turns[3].content) == ("a", "one\ntwo")
    assert (turns[4].tool_call_id, turns[4].content) == ("b", "error: no")
    assert turns[5].content == "Well?"


def test_turns_that_only_bring_results_end_with_them() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    turns = said(
        HI,
        {"role": "assistant", "content": [call]},
        user({"type": "tool_result", "tool_use_id": "a"}),
    )
    assert [turn.role for turn in turns] == ["user", "assistant", "tool"]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL]},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"messages": [HI, user({"type": "tool_result", "tool_use_id": "1"})]},
    ],
)
def test_what_no_template_is_known_for_is_not_counted(more: Any) -> None:
    raw = json.dumps({"messages": [HI], **more}).encode()
    assert param(raw, messages.read_count) == next(iter(more)).replace("config", "config.format")


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(
                st.sampled_from((*messages.Body.__struct_fields__, *OF_BLOCKS, "type", "content")),
                inside,
                max_size=5,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    for read in (messages.read, messages.read_count):
        with contextlib.suppress(Refusal):
            read(raw)
