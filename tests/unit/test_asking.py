"""A conversation and its options, in OpenAI's shapes or ours, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from router import asking
from router.errors import ConfigError
from router.types import Image, Message, Request, Tool, ToolCall

PNG = "data:image/png;base64,AAAA"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def request(conversation: Any = "Hm?", **options: Any) -> Request:
    return asking.request(conversation, options, ["device", "cloud"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (None, "messages"),
        (3, "messages"),
        (b"hm?", "messages"),
        ({"role": "user", "content": "hm?"}, "messages"),
        (Message(role="user", content="hm?"), "messages"),
        ([], "messages"),
        ([1, 2], "messages[0]"),
        (["hm?"], "messages[0]"),
        ([{"content": "hm?"}], "messages[0].role"),
        ([Message(role="usr", content="hm?")], "messages[0].role"),  # type: ignore[arg-type]
        ([{"role": ["user"], "content": "hm?"}], "messages[0].role"),
        ([{"role": "user", "content": "a"}, {"role": "user"}], "messages[1].content"),
        ([Message(role="user", content=None)], "messages[0].content"),  # type: ignore[arg-type]
        ("half a pair: \ud83d", "messages[0].content"),
    ],
)
def test_a_conversation_of_another_shape_names_the_place(given: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asking.messages(given)

    assert caught.value.field == field


def test_a_conversation_may_be_any_iterable_of_turns() -> None:
    turns = (
        turn for turn in [{"role": "system", "content": "a"}, Message(role="user", content="b")]
    )

    assert [m.role for m in asking.messages(turns)] == ["system", "user"]  # type: ignore[arg-type]


def test_openais_parts_become_text_and_pictures() -> None:
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "text", "text": "this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.gif"}},
    ]
    (message,) = asking.messages([{"role": "user", "content": parts}])

    assert message.content == "What is\nthis?"
    assert message.images == (
        Image(url=PNG, frames=1),
        Image(url="https://example.org/a.gif", frames=None),  # how many frames, who knows
    )


def test_a_tool_loop_in_openais_shape() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    found = asking.messages(
        [
            {"role": "user", "content": "Look it up."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "a plant"},
        ]
    )

    assert found[1].content == ""
    assert found[1].tool_calls == (ToolCall(id="c1", name="look_up", arguments="{}"),)
    assert found[2].tool_call_id == "c1"
    assert asking.messages(found) == found  # our own values pass as they are


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        ({"role": "user", "content": "a", "contents": "b"}, "messages[0]"),
        ({"role": "user", "content": [{"type": "audio"}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": ["a"]}, "messages[0].content[0].type"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///a"}}]},
            "messages[0].content[0].image_url",
        ),
        ({"role": "tool", "content": "a"}, "messages[0].tool_call_id"),
        ({"role": "assistant", "content": "a", "tool_calls": "b"}, "messages[0].tool_calls"),
        ({"role": "assistant", "content": "a", "tool_calls": [{}]}, "messages[0].tool_calls[0]"),
        (
            {"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": "a"}}]},
            "messages[0].tool_calls[0].id",
        ),
        ({"role": "user", "content": None}, "messages[0].content"),
    ],
)
def test_a_wrong_part_is_named(turn: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asking.messages([turn])

    assert caught.value.field == field


def test_tools_in_openais_shape_and_ours() -> None:
    function = {"name": "look_up", "description": "Find a word.", "parameters": SCHEMA}
    ours = Tool(name="look_up", description="Find a word.", parameters=SCHEMA)

    assert request(tools=[{"type": "function", "function": function}]).tools == (ours,)
    assert request(tools=[function]).tools == (ours,)
    assert request(tools=[ours]).tools == (ours,)
    assert request(tools=[ours]).needs == {"tools"}


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ("look_up", "tools"),
        ([3], "tools[0]"),
        ([{"name": 3}], "tools[0].name"),
        ([{"name": "a", "parameters": []}], "tools[0].parameters"),
        ([{"name": "a", "parameters": {"x": object()}}], "tools[0].parameters"),
        ([{"name": "a"}, {"name": "a"}], "tools[1]"),
    ],
)
def test_a_wrong_tool_is_named(tools: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request(tools=tools)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("given", "wants", "schema"),
    [
        (None, False, None),
        ({"type": "text"}, False, None),
        ("json", True, None),
        ({"type": "json_object"}, True, None),
        (SCHEMA, True, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, True, SCHEMA),
    ],
)
def test_the_form_asked_for(given: Any, wants: bool, schema: Any) -> None:
    found = request(response_format=given)

    assert (found.json, found.json_schema) == (wants, schema)
    assert ("json" in found.needs) == wants


@pytest.mark.parametrize("given", ["xml", 3, {"type": "json_schema", "json_schema": {}}])
def test_a_form_nobody_knows_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="response_format"):
        request(response_format=given)


@pytest.mark.parametrize("depth", [199, 201, 960, 5_000])
def test_a_schema_that_is_too_deep_for_what_reads_it_later_is_refused(depth: int) -> None:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"properties": [schema]} if depth % 3 == 0 else {"a": schema}

    if depth < 200:
        assert request(response_format=schema).json_schema == schema
        return
    with pytest.raises(ConfigError, match="nested more than 200 deep"):
        request(response_format=schema)
    with pytest.raises(ConfigError, match="nested more than 200 deep"):
        request(tools=[{"type": "function", "function": {"name": "a", "parameters": schema}}])


def test_a_schema_that_holds_itself_is_refused_at_once() -> None:
    schema: dict[str, Any] = {}
    schema |= {"a": schema, "b": schema}
    with pytest.raises(ConfigError, match="nested more than 200 deep"):
        request(response_format=schema)


def test_nothing_said_of_the_label_is_left_to_the_policy() -> None:
    assert request().label is None
    assert request(label="pii").label == "pii"
    with pytest.raises(ConfigError, match="unknown label"):
        request(label="private")


def test_a_misspelt_option_is_no_option() -> None:
    with pytest.raises(TypeError, match="max_output_tokens"):
        request(max_output_token=3)


def test_a_picture_alone_is_a_question_and_nothing_is_none() -> None:
    parts = [{"type": "image_url", "image_url": PNG}]

    assert request([{"role": "user", "content": parts}]).needs == {"images"}
    with pytest.raises(ConfigError, match="nothing was asked"):
        request("  ")


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        ({"role": "user", "content": "hm?", "images": 5}, "messages[0].images"),
        ({"role": "user", "content": "hm?", "images": [PNG]}, "messages[0].images"),
        (
            Message(role="user", content="hm?", images=(PNG,)),  # type: ignore[arg-type]
            "messages[0].images",
        ),
        (
            Message(
                role="assistant",
                content="",
                tool_calls=(ToolCall(id="c1", name="f", arguments={}),),  # type: ignore[arg-type]
            ),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_our_own_shapes_are_held_to_their_types_too(turn: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request([turn])

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        (Tool(name=5), "tools[0].name"),  # type: ignore[arg-type]
        (Tool(name="f", parameters={"a": object()}), "tools[0].parameters"),
    ],
)
def test_so_are_our_own_tools(tool: Tool, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request(tools=[tool])

    assert caught.value.field == field
