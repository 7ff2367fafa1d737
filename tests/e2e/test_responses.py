"""`/v1/responses` against the official `openai` client, unmodified."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from support.sidecar import Sidecar, serving, until

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("responses"), "--heartbeat", "0.2") as server:
        yield server


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Sidecar]:
    """A server of the test's own: failures open the circuit breakers of its targets."""
    with serving(tmp_path) as server:
        yield server


def opened(server: Sidecar) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[openai.OpenAI]:
    with opened(sidecar) as found:
        yield found


def router(response: Any) -> Any:
    return (response.model_extra or {})["router"]


def test_a_plain_answer_is_what_the_client_expects(client: openai.OpenAI, sidecar: Sidecar) -> None:
    raw = client.responses.with_raw_response.create(
        model="auto", input="The capital of France?", metadata={"team": "search"}
    )
    answer = raw.parse()

    assert answer.output_text == "The capital of France is Paris."
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 6
    assert raw.headers["x-firsthop-route"] == "device"
    row = sidecar.booked(router(answer)["decision_id"]).request
    assert row.status == "answered"
    assert row.tags == {"team": "search"}


def test_a_stream_gives_typed_events_and_not_a_byte_of_a_dropped_draft(
    client: openai.OpenAI, sidecar: Sidecar
) -> None:
    with client.responses.stream(model="auto", input="something hard") as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()

    assert text == final.output_text == "An answer of the cloud."
    assert router(final)["route"] == ["device", "cloud"]
    body = sidecar.call({"input": "something hard", "stream": True}, "/v1/responses").body
    assert b"DROPPED" not in body
    assert b"[DONE]" not in body


def test_tools_are_called_and_their_results_taken_back(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "the weather in Oslo?"}]
    first = client.responses.create(model="auto", input=asked, tools=[TOOL])
    call = first.output[0]

    assert call.type == "function_call"
    assert (call.call_id, json.loads(call.arguments)) == ("a1", {"city": "Oslo"})
    back = [item.model_dump() for item in first.output]  # with its nulls, as apps do
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second = client.responses.create(model="auto", input=[*asked, *back, result], tools=[TOOL])
    assert router(second)["route"] == ["cloud"]  # where the call came from
    with client.responses.stream(model="auto", input=asked, tools=[TOOL]) as stream:
        kinds = [event.type for event in stream]
        assert "response.function_call_arguments.done" in kinds
        assert stream.get_final_response().output[0].type == "function_call"


def test_an_answer_of_a_schema_is_parsed_by_the_client(client: openai.OpenAI) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.responses.parse(model="auto", input="Ada as JSON", text_format=Person)
    assert answer.output_parsed == Person(name="Ada", age=36)


def test_a_conversation_goes_on_with_what_was_answered(client: openai.OpenAI) -> None:
    first = client.responses.create(model="auto", input="The capital of France?")
    again: Any = [
        {"role": "user", "content": "The capital of France?"},
        *[item.model_dump() for item in first.output],
        {"role": "user", "content": "and the capital of Spain?"},
    ]
    assert client.responses.create(model="auto", input=again, store=False).output_text


def test_a_text_that_reaches_its_cap_is_incomplete(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model="auto", input="The capital of France?", max_output_tokens=2, stream=True
    )
    last = list(stream)[-1]

    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("more", "kind", "code", "param"),
    [
        ({"store": True}, openai.BadRequestError, "unsupported_value", "store"),
        (
            {"previous_response_id": "resp_1"},
            openai.BadRequestError,
            "previous_response_not_found",
            "previous_response_id",
        ),
        ({"model": "gpt-nothing"}, openai.NotFoundError, "model_not_found", "model"),
        ({"extra_body": {"x": 1}}, openai.BadRequestError, "invalid_value", "x"),
        ({"temperature": -1}, openai.BadRequestError, "invalid_value", "temperature"),
        (
            {"input": [{"role": "user", "content": None}]},
            openai.BadRequestError,
            "invalid_value",
            "input[0].content",
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": 1}}},
            openai.BadRequestError,
            "invalid_value",
            "text.format.schema",
        ),
        (
            {"extra_headers": {"x-firsthop-label": "secret"}},
            openai.PermissionDeniedError,
            "forbidden_by_policy",
            None,
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_clients_own_classes(
    client: openai.OpenAI, more: Any, kind: Any, code: str, param: str | None, stream: bool
) -> None:
    asked = {"model": "auto", "input": "x", "stream": stream, **more}
    with pytest.raises(kind) as caught:
        client.responses.create(**asked)

    assert caught.value.code == code
    assert caught.value.param == param
    if param is not None and code != "model_not_found":
        assert caught.value.body["message"].startswith(f"{param}: ")


def test_nothing_was_stored_so_nothing_is_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.retrieve("resp_1")
    assert caught.value.code == "response_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.delete("resp_1")


def test_a_target_that_dies_after_commit_ends_in_an_error_that_the_client_raises(
    failing: Sidecar,
) -> None:
    got: list[Any] = []
    with opened(failing) as client, pytest.raises(openai.APIError) as caught:
        got.extend(client.responses.create(model="cloud", input="it breaks off", stream=True))
    assert got[-1].type == "response.failed"
    assert caught.value.code == "bad_gateway"

    asked = {"model": "cloud", "input": "it breaks off", "stream": True}
    events = failing.call(asked, "/v1/responses").body.decode().split("\n\n")
    failed = json.loads(events[-3].partition("data: ")[2])
    assert failed["type"] == "response.failed"
    assert failed["response"]["output"][0]["content"][0]["text"] == "one two"
    row = failing.last()[0]
    assert row.status == "no_answer"
    assert "cut" in row.flags


def test_comments_keep_a_stream_alive_and_an_error_after_one_is_an_event(sidecar: Sidecar) -> None:
    asked = {"model": "cloud", "input": "it takes a second", "stream": True}
    body = sidecar.call(asked, "/v1/responses").body
    assert body.startswith(b": ")
    assert b"event: response.completed" in body

    soon = {"x-firsthop-deadline-s": "0.5"}
    asked = {"model": "cloud", "input": "never answers", "stream": True}
    body = sidecar.call(asked, "/v1/responses", soon).body
    said = json.loads(body.rpartition(b"data: ")[2])
    assert (said["type"], said["error"]["code"]) == ("error", "deadline_reached")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_work_at_once(
    client: openai.OpenAI, sidecar: Sidecar, stream: bool
) -> None:
    asked: Any = {"model": "cloud", "input": "never answers", "stream": stream}
    with pytest.raises(openai.APITimeoutError):
        list(client.with_options(timeout=0.15).responses.create(**asked))
    left = time.time()
    until(lambda: sidecar.last()[0].status == "cancelled")

    row = sidecar.last()[0]
    assert row.started_at + row.total_s <= left + 0.15


def test_log_probabilities_come_on_every_surface_that_has_them(client: openai.OpenAI) -> None:
    """The script tells -0.1 for each of the device's words."""
    question: Any = [{"role": "user", "content": "The capital of France?"}]
    chat = client.chat.completions.create(
        model="auto", messages=question, logprobs=True, top_logprobs=2
    )
    said = chat.choices[0].logprobs
    assert said is not None
    assert "".join(one.token for one in said.content or ()) == chat.choices[0].message.content
    assert {one.logprob for one in said.content or ()} == {-0.1}
    chunks = client.chat.completions.create(
        model="auto", messages=question, logprobs=True, stream=True
    )
    told = [c.choices[0].logprobs for c in chunks if c.choices[0].logprobs]
    assert "".join(one.token for t in told for one in t.content or ()).endswith("Paris.")
    old = client.completions.create(model="auto", prompt="The capital of France?", logprobs=1)
    legacy = old.choices[0].logprobs
    assert legacy is not None
    assert legacy.text_offset == [0, 3, 11, 14, 21, 24]
    new = client.responses.create(
        model="auto",
        input="The capital of France?",
        include=["message.output_text.logprobs"],
    )
    part: Any = new.output[0]
    assert [one.logprob for one in part.content[0].logprobs] == [-0.1] * 6


def test_log_probabilities_that_no_target_tells_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="cloud", messages=[{"role": "user", "content": "x"}], logprobs=True
        )
    assert caught.value.code == "unsupported"
