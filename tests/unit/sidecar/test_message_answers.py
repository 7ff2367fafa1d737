"""Anthropic's wire by itself, going out: answers written, errors told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st
from support.outcomes import outcome
from support.strict import strictly

from router.sidecar.wire import message_answers
from router.sidecar.wire.failure import Failure, Refusal
from router.sidecar.wire.message_answers import Events
from router.types import Chunk, ToolCall, Usage


def events(raw: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each held to the type its client has for it."""
    found = []
    for event in raw.decode().split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        strictly(RawMessageStreamEvent, value, "router")
        found.append(value)
    return found


def test_a_stream_opens_and_closes_each_block() -> None:
    made = Events("D", "m")
    raw = made.first() + made.text("Let me") + made.text(" see.")
    raw += made.chunk(Chunk(tool_calls=(ToolCall(id="a", name="f", arguments='{"x": 1}'),)))
    raw += made.chunk(Chunk(text="So."))
    raw += made.last(outcome("stop", Usage(input_tokens=5, output_tokens=7)))
    kinds = [(event["type"], event.get("index")) for event in events(raw)]

    assert kinds == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    end = events(raw)[-2]
    assert end["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (5, 7)
    assert end["router"]["decision_id"] == "D"


@given(st.text())
def test_any_text_comes_through_an_event_as_it_was(words: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in words):
        return  # the street lets no such text in
    made = Events("D", "m")
    made.text("first")
    assert events(made.text(words))[0]["delta"]["text"] == words


@pytest.mark.parametrize(
    ("finish", "calls", "wanted"),
    [
        ("stop", False, "end_turn"),
        ("length", False, "max_tokens"),
        ("content_filter", False, "refusal"),
        ("stop", True, "tool_use"),
        ("tool_calls", True, "tool_use"),
        (None, True, "tool_use"),
        (None, False, "end_turn"),
    ],
)
def test_a_whole_answer_is_one_of_the_clients_type(finish: Any, calls: bool, wanted: str) -> None:
    made = [ToolCall(id="1", name="f", arguments='{"a": [1]}')] if calls else []
    usage = Usage(
        input_tokens=10,
        output_tokens=4,
        cached_input_tokens=6,
        cache_write_tokens=1,
        reasoning_tokens=2,
    )
    found = json.loads(message_answers.whole("So.", made, outcome(finish, usage)))
    message = strictly(Message, found, "router")

    assert message.stop_reason == wanted
    assert [block.type for block in message.content] == ["text", "tool_use"][: 1 + calls]
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (3, 6)
    assert message.usage.output_tokens_details.thinking_tokens == 2
    assert found["router"]["finish"] == finish


def test_what_nobody_counted_is_null_and_not_zero() -> None:
    usage = json.loads(message_answers.whole("x", [], outcome()))["usage"]
    assert set(usage.values()) == {None}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", {}), (" ", {}), ('{"a":1}', {"a": 1}), (' {"a": 1e2}\n', {"a": 100})],
)
def test_arguments_are_an_object(written: str, meant: dict[str, Any]) -> None:
    call = ToolCall(id="1", name="f", arguments=written)
    found = json.loads(message_answers.whole("", [call], outcome()))
    assert found["content"] == [{"type": "tool_use", "id": "1", "name": "f", "input": meant}]


@pytest.mark.parametrize("written", ["{", "[1]", "null", '"x"', "[" * 100_000])
def test_arguments_that_are_none_are_an_error_and_no_guess(written: str) -> None:
    call = ToolCall(id="1", name="f", arguments=written)
    with pytest.raises(Refusal) as caught:
        message_answers.whole("", [call], outcome())
    assert caught.value.failure.status == 502


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 405, 408, 413, 415, 421, 429, 431, 500, 502, 503, 504]
)
def test_every_error_is_one_of_the_clients_types(status: int) -> None:
    found = json.loads(
        message_answers.error(Failure(status=status, message="why", code="c"), None, "req_1")
    )
    details = found["error"].pop("details")

    assert details == {"error_code": "c", "param": None}
    assert strictly(ErrorResponse, found).request_id == "req_1"
