"""The sidecar against the official `anthropic` client, unmodified."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from support.sidecar import CONFIG, Reply, Sidecar, serving, until
from support.strict import strictly

TOOL: Any = {
    "name": "weather",
    "description": "How it is outside.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
HEADERS = {"anthropic-version": "2023-06-01", "x-api-key": "none"}
WRONG = """\
        - match: malformed
          tool_calls: [{id: a1, name: weather, arguments: '{"city": '}]
"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    head, sign, tail = CONFIG.rpartition("        - {match: breaks off")
    folder = tmp_path_factory.mktemp("sidecar")
    with serving(folder, "--heartbeat", "0.2", config=head + WRONG + sign + tail) as server:
        yield server


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Sidecar]:
    """A server of the test's own: failures open the circuit breakers of its targets."""
    with serving(tmp_path) as server:
        yield server


def opened(server: Sidecar) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"http://127.0.0.1:{server.port}", api_key="none", max_retries=0
    )


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[anthropic.Anthropic]:
    with opened(sidecar) as found:
        yield found


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def ask(server: Sidecar, text: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    asked = {"model": "auto", "max_tokens": 50, "messages": user(text), **more}
    return server.call(asked, "/v1/messages", {**HEADERS, **(headers or {})})


def events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each by its name and held to its type; pings are left out."""
    found = []
    for event in body.decode().split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        if value["type"] != "ping":
            strictly(RawMessageStreamEvent, value, "router")
            found.append(value)
    return found


def test_a_plain_answer_is_what_the_client_expects(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model="auto", max_tokens=50, messages=user("The capital of France?")
    )
    message = raw.parse()

    assert [block.text for block in message.content] == ["The capital of France is Paris."]
    assert (message.stop_reason, message.model) == ("end_turn", "small")
    assert message.usage.output_tokens == 6
    router = (message.model_extra or {})["router"]
    assert router["route"] == ["device"]
    assert raw.headers["x-firsthop-decision-id"] == router["decision_id"]
    assert message._request_id == f"req_{router['decision_id']}"


def test_bodies_hold_against_the_clients_own_types(sidecar: Sidecar) -> None:
    plain = ask(sidecar, "The capital of France?").json
    called = ask(sidecar, "the weather in Oslo?", tools=[TOOL]).json
    refused = ask(sidecar, "x", max_tokens=0).json

    assert strictly(Message, plain, "router").type == "message"
    assert strictly(Message, called, "router").stop_reason == "tool_use"
    assert refused["error"].pop("details")["error_code"] == "unsupported_value"
    assert strictly(ErrorResponse, refused).error.type == "invalid_request_error"


def test_a_stream_has_the_events_that_the_client_waits_for(sidecar: Sidecar) -> None:
    reply = ask(sidecar, "something hard", stream=True)
    found = events(reply.body)

    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    text = "".join(event["delta"]["text"] for event in found[2:-3])
    assert text == "An answer of the cloud."
    assert found[-2]["usage"]["output_tokens"] == 5
    assert found[-2]["router"]["route"] == ["device", "cloud"]
    assert reply.headers["request-id"] == f"req_{found[-2]['router']['decision_id']}"


def test_the_clients_stream_adds_up(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model="auto", max_tokens=50, system="Be brief.", messages=user("something hard")
    ) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert text == "An answer of the cloud."
    assert message.content[0].type == "text"
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 5)
    assert message.usage.input_tokens > 0


def test_a_dropped_draft_is_never_on_the_socket(sidecar: Sidecar) -> None:
    for streamed in (True, False):
        assert b"DROPPED" not in ask(sidecar, "something hard", stream=streamed).body


def test_tools_are_called_and_their_results_taken_back(
    client: anthropic.Anthropic, sidecar: Sidecar
) -> None:
    turns = user("the weather in Oslo?")
    first = client.messages.create(model="auto", max_tokens=50, messages=turns, tools=[TOOL])
    (call,) = [block for block in first.content if block.type == "tool_use"]

    assert first.stop_reason == "tool_use"
    assert (call.id, call.name, call.input) == ("a1", "weather", {"city": "Oslo"})
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    turns = [*turns, first.to_param(), {"role": "user", "content": [result]}]
    second = client.messages.create(model="auto", max_tokens=50, messages=turns, tools=[TOOL])
    router = (second.model_extra or {})["router"]
    assert router["route"] == ["cloud"]
    assert sidecar.booked(router["decision_id"]).hops[0].cause == "loop"


def test_streamed_tool_calls_add_up(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model="auto", max_tokens=50, messages=user("the weather in Oslo?"), tools=[TOOL]
    ) as stream:
        message = stream.get_final_message()

    (call,) = message.content
    assert call.type == "tool_use"
    assert call.input == {"city": "Oslo"}
    assert message.stop_reason == "tool_use"


def test_a_call_that_is_no_object_is_an_error_with_its_decision(sidecar: Sidecar) -> None:
    reply = ask(sidecar, "a malformed call", tools=[TOOL])

    assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
    decision = reply.headers["x-firsthop-decision-id"]
    assert reply.json["request_id"] == reply.headers["request-id"] == f"req_{decision}"
    assert sidecar.booked(decision).request.status == "answered"


def test_an_answer_of_a_schema_is_parsed_by_the_client(client: anthropic.Anthropic) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    message = client.messages.parse(
        model="auto", max_tokens=50, messages=user("Ada as json"), output_format=Person
    )
    assert message.parsed_output == Person(name="Ada", age=36)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"model": "nobody"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, anthropic.BadRequestError),
        ({"extra_headers": {"anthropic-version": "2023-01-01"}}, anthropic.BadRequestError),
        ({"extra_headers": {"x-firsthop-label": "secret"}}, anthropic.PermissionDeniedError),
        ({"extra_headers": {"x-firsthop-lable": "pii"}}, anthropic.BadRequestError),
        ({"extra_headers": {"content-encoding": "gzip"}}, anthropic.APIStatusError),
    ],
)
def test_errors_are_the_clients_own_classes(
    client: anthropic.Anthropic, more: dict[str, Any], kind: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(
            **{"model": "auto", "max_tokens": 50, "messages": user("hi"), **more}
        )
    assert isinstance(caught.value.body, dict)
    assert caught.value.error_code
    assert caught.value.body["error"].pop("details")
    body = {name: value for name, value in caught.value.body.items() if name != "router"}
    assert strictly(ErrorResponse, body).request_id == caught.value.request_id


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("everybody fails", anthropic._exceptions.OverloadedError, "overloaded_error"),
        ("everybody is busy", anthropic.RateLimitError, "rate_limit_error"),
        ("nobody can", anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_failures_of_every_target_are_told_by_their_cause(
    failing: Sidecar, text: str, kind: type[anthropic.APIStatusError], said: str
) -> None:
    with opened(failing) as client, pytest.raises(kind) as caught:
        client.messages.create(model="auto", max_tokens=50, messages=user(text))

    assert caught.value.type == said
    assert caught.value.response.headers["x-firsthop-route"] == "device>cloud"
    again = {"rate_limit_error": "7"}.get(said)
    assert caught.value.response.headers.get("retry-after") == again


def test_a_deadline_is_a_timeout(failing: Sidecar) -> None:
    reply = ask(failing, "never answers", {"x-firsthop-deadline-s": "0.2"}, model="cloud")

    assert (reply.status, reply.json["error"]["type"]) == (504, "timeout_error")


def test_a_target_that_dies_after_commit_ends_in_an_error_event(failing: Sidecar) -> None:
    got: list[str] = []
    with (
        opened(failing) as client,
        client.messages.stream(
            model="cloud", max_tokens=50, messages=user("it breaks off")
        ) as stream,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        got.extend(stream.text_stream)

    assert "".join(got) == "one two"
    assert (caught.value.type, caught.value.error_code) == ("api_error", "bad_gateway")
    assert "cut" in failing.last()[0].flags
    assert b"message_stop" not in ask(failing, "it breaks off", stream=True).body


def test_pings_keep_a_stream_alive_while_a_draft_is_held(
    sidecar: Sidecar, client: anthropic.Anthropic
) -> None:
    body = ask(sidecar, "it takes a second", stream=True).body

    assert body.startswith(b'event: ping\ndata: {"type":"ping"}\n\n')
    assert events(body)[0]["type"] == "message_start"
    with client.messages.stream(
        model="auto", max_tokens=50, messages=user("it takes a second")
    ) as stream:
        assert "".join(stream.text_stream) == "at last"


def test_after_a_ping_an_error_is_an_event(sidecar: Sidecar, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(
            client.messages.create(
                model="cloud",
                max_tokens=50,
                messages=user("never answers"),
                stream=True,
                extra_headers={"x-firsthop-deadline-s": "0.5"},
            )
        )
    assert caught.value.status_code == 200
    assert caught.value.error_code == "deadline_reached"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_work_at_once(
    client: anthropic.Anthropic, sidecar: Sidecar, stream: bool
) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        list(
            client.with_options(timeout=0.15).messages.create(
                model="cloud", max_tokens=50, messages=user("never answers"), stream=stream
            )
        )
    left = time.time()
    until(lambda: sidecar.last()[0].status == "cancelled")

    row = sidecar.last()[0]
    assert row.started_at + row.total_s <= left + 0.15


def test_a_stream_that_is_closed_in_the_middle_is_booked(
    client: anthropic.Anthropic, sidecar: Sidecar
) -> None:
    with client.messages.stream(model="cloud", max_tokens=50, messages=user("an essay")) as stream:
        assert next(iter(stream.text_stream))
    until(lambda: sidecar.last()[0].status == "cancelled")


def test_what_the_caller_says_of_a_request_is_booked(
    client: anthropic.Anthropic, sidecar: Sidecar
) -> None:
    message = client.messages.create(
        model="auto",
        max_tokens=50,
        messages=user("The capital of France?"),
        metadata={"user_id": "ada"},
        extra_headers={"x-firsthop-label": "internal", "x-firsthop-tags": "team=search"},
    )
    row = sidecar.booked((message.model_extra or {})["router"]["decision_id"]).request
    assert row.label == "internal"
    assert row.tags == {"user": "ada", "team": "search"}
