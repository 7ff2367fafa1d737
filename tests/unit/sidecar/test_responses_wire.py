"""The Responses wire by itself: bodies read into conversations, answers and events written."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any, get_args

import openai.types.responses as sdk
import openai.types.responses.response_create_params as params
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_stream_event import ResponseStreamEvent
from support.outcomes import outcome
from support.strict import strictly

from router import asking
from router.hops import Outcome
from router.sidecar.wire import responses
from router.sidecar.wire.failure import Failure, Refusal
from router.sidecar.wire.responses_events import RESPONSES
from router.sidecar.wire.surface import Said
from router.types import Chunk, TokenLogprob, ToolCall, Usage

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
COUNTED = Usage(input_tokens=7, output_tokens=2, cached_input_tokens=3)
EVENTS = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(ResponseStreamEvent)[0])
}


def body(given: Any = "hi", **more: Any) -> bytes:
    return json.dumps({"input": given, **more}).encode()


def refusal(given: Any = "hi", **more: Any) -> Failure:
    with pytest.raises(Refusal) as caught:
        responses.read(body(given, **more))
    return caught.value.failure


def ended() -> Outcome:
    return outcome("stop", COUNTED)


def whole(chunks: list[Chunk], end: Outcome, **more: Any) -> sdk.Response:
    said = Said()
    for chunk in chunks:
        said.add(chunk)
    raw = RESPONSES.whole(responses.read(body(**more)), 4, said, end)
    found: sdk.Response = strictly(sdk.Response, json.loads(raw), "router")
    return found


def parsed(raw: bytes) -> list[Any]:
    """Events, each of its own type, but for fields of ours."""
    found = []
    for event in raw.decode().split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        said = json.loads(data.removeprefix("data: "))
        assert name == f"event: {said['type']}"
        said.get("response", {}).pop("router", None)
        found.append(strictly(EVENTS[said["type"]], said, "router", "error"))
    return found


def streamed(chunks: list[Chunk], end: Outcome | Failure, **more: Any) -> list[Any]:
    events = RESPONSES.events(responses.read(body(**more)), "D", 4, "served")
    raw = events.first() + b"".join(events.chunk(chunk) for chunk in chunks)
    raw += events.broken(end, None) if isinstance(end, Failure) else events.last(end)
    return parsed(raw)


def test_every_field_that_openai_documents_is_read_or_refused_never_dropped() -> None:
    documented = set(params.ResponseCreateParamsBase.__annotations__) | {"stream"}
    ours = set(responses.Body.__struct_fields__)

    assert ours <= documented
    for name in documented - ours:
        assert refusal(**{name: "x"}).param == name
    for name, values in responses.NEUTRAL.items():
        for value in (None, *values):
            responses.read(body(**{name: value}))
        assert refusal(**{name: "else"}).param == name


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning": None},
        {"reasoning": {}},
        {"reasoning": {"effort": None, "summary": None, "generate_summary": None}},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"effort": "medium", "summary": "auto"}},
        {"store": False, "include": [], "metadata": {}, "text": {}, "tools": []},
        {"store": None, "include": None, "metadata": None, "text": None, "tools": None},
        {"text": {"format": {"type": "text"}, "verbosity": "medium"}, "user": "ada"},
        {"parallel_tool_calls": True, "tool_choice": "auto", "truncation": "disabled"},
        {"parallel_tool_calls": False, "tools": [], "service_tier": "auto"},
        {"service_tier": "default", "prompt_cache_key": "a thread", "top_logprobs": 0},
        {"include": ["reasoning.encrypted_content"], "stream_options": {}},
    ],
)
def test_what_asks_for_nothing_special_passes_and_asks_a_target_for_nothing(more: Any) -> None:
    asked = responses.read(body(**more))
    request = asking.request(asked.messages, asked.options, [])

    assert replace(request, tags={}) == asking.request(asked.messages, {}, [])


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"reasoning": {"effort": True}}, "reasoning.effort"),
        ({"reasoning": {"effort": "medium", "summary": "detailed"}}, "reasoning.summary"),
        ({"reasoning": {"mode": "auto"}}, "reasoning.mode"),
        ({"truncation": "auto"}, "truncation"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"given": ""}, "input"),
        ({"given": []}, "input"),
    ],
)
def test_what_can_not_be_honoured_is_refused_by_name(more: Any, param: str) -> None:
    assert refusal(**more).param == param


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "item_reference", "id": "msg_1"}, "type"),
        ({"type": "reasoning", "summary": []}, "type"),
        ({"type": ["x"]}, "type"),
        ({}, "type"),
        ({"role": "tool", "content": "x"}, "role"),
        ({"role": "assistant", "content": "x", "phase": "commentary"}, "phase"),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}, "content[0].type"),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            "content[0].file_id",
        ),
        (
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,A",
                        "detail": "high",
                    }
                ],
            },
            "content[0].detail",
        ),
        ({"role": "assistant", "content": [{"type": "input_image"}]}, "content[0].type"),
        ({"role": "user", "content": ["x"]}, "content[0].type"),
        ({"role": "user", "content": [{"type": {}}]}, "content[0].type"),
        ({"role": {}, "content": "x"}, "role"),
        ({"type": "function_call", "call_id": 1, "name": "f", "arguments": ""}, "call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": 1}, "output"),
        (
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": "data:image/png;base64,A"}],
            },
            "output[0].type",
        ),
    ],
)
def test_an_item_that_no_target_can_be_told_is_refused_by_its_place(item: Any, param: str) -> None:
    assert refusal([{"role": "user", "content": "x"}, item]).param == f"input[1].{param}"


def test_items_become_the_turns_of_a_chat() -> None:
    """Calls join the assistant's turn before them, as chats have it."""
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "auto"}
    given = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, picture]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hm", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "sun"}],
        },
    ]
    calls = [
        {"id": name, "type": "function", "function": {"name": tool, "arguments": "{}"}}
        for name, tool in (("c1", "f"), ("c2", "g"))
    ]
    asked = responses.read(body(given, instructions="in short"))

    assert asked.messages == [
        {"role": "system", "content": "in short"},
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "hm"}],
            "tool_calls": calls,
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "sun"}]},
    ]
    assert asked.place("messages[2].content[1].image_url") == "input[1].content[1].image_url"
    assert asked.place("messages[0].content") == "instructions"
    assert asked.place("messages") == "input"
    assert asked.place("temperature") == "temperature"


def test_options_mean_what_they_mean_in_a_chat() -> None:
    asked = responses.read(
        body(
            max_output_tokens=5,
            temperature=0.5,
            top_p=0.9,
            include=["message.output_text.logprobs", "reasoning.encrypted_content"],
            top_logprobs=2,
            tools=[TOOL],
            tool_choice={"type": "function", "name": "f"},
            text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}}},
            user="u",
            metadata={"team": "t"},
        )
    )

    assert asked.options == {
        "max_output_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [{"name": "f", "description": None, "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}},
        "tags": {"user": "u"},
    }
    assert asked.metadata == {"team": "t"}
    assert "tools" not in responses.read(body(tools=[TOOL], tool_choice="none")).options


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(
                st.sampled_from(("type", "role", "content", "call_id", "output", "text"))
                | st.sampled_from(responses.Body.__struct_fields__),
                inside | st.sampled_from(("message", "user", "assistant", "function_call_output")),
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps({"input": value}).encode())
)
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    with contextlib.suppress(Refusal):
        responses.read(raw)


TEXT = [Chunk(text="Hel"), Chunk(text="lo \n\n{%d}é")]
CALLS = [Chunk(tool_calls=(ToolCall(id="c1", name="f", arguments='{"a":1}'),))]
MORE: Any = {
    "tools": [TOOL],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
    "metadata": {"a": "b"},
    "instructions": "x",
    "temperature": 0,
    "tool_choice": {"type": "function", "name": "f"},
}


@pytest.mark.parametrize("more", [{}, MORE])
@pytest.mark.parametrize("chunks", [[], TEXT, CALLS, [*TEXT, *CALLS], [*CALLS, *TEXT]])
def test_a_stream_adds_up_to_the_response_at_its_end(chunks: list[Chunk], more: Any) -> None:
    events = streamed(chunks, ended(), **more)
    kinds = [event.type for event in events]
    last = events[-1].response

    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    done = [e.item for e in events if e.type == "response.output_item.done"]
    added = [e.item.id for e in events if e.type == "response.output_item.added"]
    assert last.output == done
    assert [item.id for item in done] == added
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == last.output_text == "".join(chunk.text for chunk in chunks)
    spoken = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert spoken == "".join(item.arguments for item in done if item.type == "function_call")
    if chunks != [*CALLS, *TEXT]:  # a whole answer has its text first
        assert whole(chunks, ended(), **more).output == last.output


def test_a_whole_answer_says_back_what_was_asked() -> None:
    found = whole(TEXT, ended(), **MORE)

    assert found.status == "completed"
    assert (found.id, found.model, found.created_at, found.completed_at) == (
        "resp_D",
        "served",
        4,
        0,
    )
    assert found.metadata == {"a": "b"}
    assert found.instructions == "x"
    assert found.tools[0].type == "function"
    assert found.usage is not None
    assert found.usage.total_tokens == 9
    assert found.usage.input_tokens_details.cached_tokens == 3


def test_parts_that_nobody_counted_are_named_beside_the_zeros_that_the_shape_demands() -> None:
    raw = RESPONSES.whole(responses.read(body()), 4, Said(), ended())
    assert json.loads(raw)["router"]["uncounted"] == ["cache_write_tokens", "reasoning_tokens"]
    assert whole(TEXT, outcome(usage=Usage(input_tokens=3))).usage is None


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_a_text_that_was_cut_is_incomplete(finish: Any, reason: str) -> None:
    last = streamed(TEXT, outcome(finish, COUNTED))[-1]

    assert last.type == "response.incomplete"
    assert last.response.status == "incomplete"
    assert last.response.incomplete_details.reason == reason
    assert last.response.output[0].status == "incomplete"
    assert last.response.completed_at is None
    assert whole(TEXT, outcome(finish, COUNTED)).output == last.response.output


def test_what_breaks_off_fails_with_what_there_was_and_an_error() -> None:
    failed, error = streamed(TEXT, Failure(status=429, message="busy", code="rate_limited"))[-2:]

    assert failed.type == "response.failed"
    assert failed.response.error.code == "rate_limit_exceeded"
    assert failed.response.output[0].status == "incomplete"
    assert failed.response.output_text == "".join(chunk.text for chunk in TEXT)
    assert (error.type, error.code, error.message) == ("error", "rate_limited", "busy")


def test_an_error_before_anything_is_an_error_alone() -> None:
    events = RESPONSES.events(responses.read(body()), "D", 4, "m")
    raw = events.broken(Failure(status=503, message="no", code="x"), {"hops": 0})
    (error,) = parsed(raw)
    assert error.sequence_number == 0
    said = json.loads(raw.partition(b"data: ")[2])
    assert said["error"]["message"] == "no"  # which the client raises
    assert said["router"] == {"hops": 0}


def test_log_probabilities_are_told_with_each_piece_and_with_the_whole() -> None:
    top = (TokenLogprob(token="Hi", logprob=-0.5), TokenLogprob(token="Ho", logprob=-1.0))
    told = TokenLogprob(token="Hi", logprob=-0.5, raw=b"Hi", top=top)
    chunks = [Chunk(text="Hi", logprobs=(told,))]
    events = streamed(chunks, ended(), include=["message.output_text.logprobs"])
    delta = next(e for e in events if e.type == "response.output_text.delta")

    assert delta.logprobs[0].top_logprobs[1].token == "Ho"
    found = whole(chunks, ended()).output[0]
    assert isinstance(found, sdk.ResponseOutputMessage)
    assert isinstance(found.content[0], sdk.ResponseOutputText)
    logprobs = found.content[0].logprobs or []
    assert logprobs[0].bytes == [72, 105]
    assert [one.logprob for one in logprobs[0].top_logprobs] == [-0.5, -1.0]


def test_nothing_is_kept_below_responses() -> None:
    for path, code in (
        ("/v1/responses/resp_1", "response_not_found"),
        ("/v1/responses/resp_1/cancel", "response_not_found"),
        ("/v1/responses/input_tokens", "not_available"),
    ):
        failure = responses.not_kept(path).failure
        assert (failure.status, failure.code) == (404, code)
