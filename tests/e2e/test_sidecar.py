"""The sidecar against the official `openai` client, unmodified."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.sidecar import Sidecar, serving, until

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with serving(tmp_path_factory.mktemp("sidecar"), "--heartbeat", "0.2") as server:
        yield server


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Sidecar]:
    """A server of the test's own: failures open the circuit breakers of its targets."""
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sidecar.url, api_key="none", max_retries=0) as found:
        yield found


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def events(body: bytes) -> list[Any]:
    found = [line[6:] for line in body.decode().split("\n\n") if line.startswith("data: ")]
    assert found[-1] == "[DONE]"
    return [json.loads(event) for event in found[:-1]]


def test_a_plain_answer_is_what_the_client_expects(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=user("The capital of France?")
    )
    answer = raw.parse()

    assert answer.choices[0].message.content == "The capital of France is Paris."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert answer.model == "small"
    router = answer.model_extra["router"] if answer.model_extra else {}
    assert router["route"] == ["device"]
    assert raw.headers["x-firsthop-decision-id"] == router["decision_id"]
    assert raw.headers["x-firsthop-policy"].startswith("plain@")
    assert raw.headers["x-firsthop-cost-usd"] == "0"
    assert raw.headers["x-firsthop-certified"] == "false"


def test_a_stream_gives_the_same_text_and_ends_with_how_it_came_about(
    client: openai.OpenAI, sidecar: Sidecar
) -> None:
    stream = client.chat.completions.create(
        model="auto",
        messages=user("something hard"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "An answer of the cloud."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert all(c.usage is None for c in chunks[:-1])
    assert {c.id for c in chunks} == {chunks[0].id}
    router = (chunks[-2].model_extra or {})["router"]
    assert router["route"] == ["device", "cloud"]
    assert sidecar.booked(router["decision_id"]).request.status == "answered"


def test_a_dropped_draft_is_never_on_the_socket(sidecar: Sidecar) -> None:
    for streamed in (True, False):
        assert b"DROPPED" not in sidecar.ask("something hard", stream=streamed).body


def test_tools_are_called_and_their_results_taken_back(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model="auto", messages=user("the weather in Oslo?"), tools=[TOOL]
    )
    message = first.choices[0].message

    assert first.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.tool_calls is not None
    assert message.tool_calls[0].type == "function"
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}
    back: Any = message.model_dump()  # with its nulls, as apps do
    result: Any = {"role": "tool", "tool_call_id": "a1", "name": "weather", "content": "rain"}
    second = client.chat.completions.create(
        model="auto", messages=[*user("the weather in Oslo?"), back, result], tools=[TOOL]
    )
    assert second.choices[0].finish_reason == "tool_calls"


def test_streamed_tool_calls_add_up(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="auto", messages=user("the weather in Oslo?"), tools=[TOOL]
    ) as stream:
        final = stream.get_final_completion()

    call = (final.choices[0].message.tool_calls or [])[0]
    assert (call.id, call.function.name) == ("a1", "weather")
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    assert final.choices[0].finish_reason == "tool_calls"


def test_an_answer_of_a_schema_is_parsed_by_the_client(client: openai.OpenAI) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model="auto", messages=user("Ada as JSON"), response_format=Person
    )

    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)


def test_bodies_hold_against_the_clients_own_types(sidecar: Sidecar) -> None:
    plain = sidecar.ask("The capital of France?")
    ChatCompletion.model_validate(plain.json, strict=True)
    for question, more in (
        ("something hard", {"stream_options": {"include_usage": True}}),
        ("the weather?", {"tools": [TOOL]}),
    ):
        for event in events(sidecar.ask(question, stream=True, **more).body):
            ChatCompletionChunk.model_validate(event, strict=True)
    old = {"model": "auto", "prompt": "The capital of France?"}
    whole = sidecar.call(old, "/v1/completions").json
    Completion.model_validate(whole, strict=True)
    streamed = events(sidecar.call({**old, "stream": True}, "/v1/completions").body)
    for event in streamed:
        for choice in event["choices"]:  # OpenAI sends null until the end; its type has no word
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        Completion.model_validate(event, strict=True)
    assert "".join(e["choices"][0]["text"] for e in streamed) == whole["choices"][0]["text"]


def test_a_model_is_auto_a_policy_or_a_target(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"auto", "plain", "cloud-only", "device", "cloud"} <= set(names)
    Model.model_validate(client.models.retrieve("cloud").model_dump(), strict=True)

    def route(model: str) -> Any:
        answer = client.chat.completions.create(model=model, messages=user("the capital?"))
        return (answer.model_extra or {})["router"]["route"]

    assert route("auto") == ["device"]
    assert route("cloud") == ["cloud"]
    assert route("cloud-only") == ["cloud"]
    with pytest.raises(openai.NotFoundError) as caught:
        route("gpt-nothing")
    assert caught.value.code == "model_not_found"


def test_what_the_caller_says_of_a_request_is_booked(
    client: openai.OpenAI, sidecar: Sidecar
) -> None:
    answer = client.chat.completions.create(
        model="auto",
        messages=user("the capital?"),
        metadata={"team": "search", "firsthop_label": "internal"},
        user="u1",
        extra_headers={"x-firsthop-tags": "env=prod", "x-firsthop-deadline-s": "9"},
    )
    row = sidecar.booked((answer.model_extra or {})["router"]["decision_id"]).request

    assert row.label == "internal"
    assert row.tags == {"team": "search", "user": "u1", "env": "prod"}


def opened(server: Sidecar) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


@pytest.mark.parametrize(
    ("more", "kind", "code"),
    [
        ({"extra_headers": {"x-firsthop-label": "secret"}}, openai.PermissionDeniedError, "forb"),
        ({"extra_headers": {"x-firsthop-labl": "pii"}}, openai.BadRequestError, "unknown_header"),
        ({"n": 9}, openai.BadRequestError, "unsupported_value"),
        ({"extra_body": {"top_secret": 1}}, openai.BadRequestError, "invalid_value"),
        ({"temperature": -1}, openai.BadRequestError, "invalid_value"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_clients_own_classes(
    client: openai.OpenAI, more: Any, kind: Any, code: str, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="auto", messages=user("x"), stream=stream, **more)

    assert caught.value.code.startswith(code)


@pytest.mark.parametrize(
    ("question", "kind", "code"),
    [
        ("everybody fails", openai.InternalServerError, "unavailable"),
        ("everybody is busy", openai.RateLimitError, "rate_limited"),
        ("nobody can", openai.BadRequestError, "unsupported"),
    ],
)
def test_failures_of_every_target_are_told_by_their_cause(
    failing: Sidecar, question: str, kind: Any, code: str
) -> None:
    with opened(failing) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(model="auto", messages=user(question), stream=True)

    assert caught.value.code == code
    assert caught.value.response.headers["x-firsthop-route"] == "device>cloud"
    if kind is openai.RateLimitError:
        assert caught.value.response.headers["retry-after"] in ("6", "7")
    if kind is openai.InternalServerError:
        assert caught.value.status_code == 503


def test_a_deadline_is_a_504_that_no_client_tries_again(failing: Sidecar) -> None:
    with opened(failing) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="cloud",
            messages=user("never answers"),
            extra_headers={"x-firsthop-deadline-s": "0.2"},
        )

    assert caught.value.status_code == 504
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["x-firsthop-route"] == "cloud"


def test_a_target_that_dies_after_commit_ends_in_a_clean_error_event(failing: Sidecar) -> None:
    got: list[str] = []
    with opened(failing) as client:
        stream = client.chat.completions.create(
            model="cloud", messages=user("it breaks off"), stream=True
        )
        with pytest.raises(openai.APIError) as caught:
            got.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    assert "".join(got) == "one two"
    assert caught.value.code == "bad_gateway"
    row = failing.last()[0]
    assert row.status == "no_answer"
    assert "cut" in row.flags
    assert b"[DONE]" not in failing.ask("it breaks off", stream=True).body


def test_comments_keep_a_stream_alive_while_a_draft_is_held(sidecar: Sidecar) -> None:
    body = sidecar.ask("it takes a second", stream=True).body

    assert body.startswith(b": ")
    assert body.count(b": waiting for an answer\n\n") >= 3
    assert b'{"content":" last"}' in body
    assert body.endswith(b"data: [DONE]\n\n")


def test_after_a_comment_an_error_is_an_event(sidecar: Sidecar) -> None:
    soon = {"x-firsthop-deadline-s": "0.5"}
    reply = sidecar.ask("never answers", soon, stream=True, model="cloud")

    assert reply.status == 200
    assert json.loads(reply.body.rpartition(b"data: ")[2])["error"]["code"] == "deadline_reached"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_work_at_once(
    client: openai.OpenAI, sidecar: Sidecar, stream: bool
) -> None:
    with pytest.raises(openai.APITimeoutError):
        list(
            client.with_options(timeout=0.15).chat.completions.create(
                model="cloud", messages=user("never answers"), stream=stream
            )
        )
    left = time.time()
    until(lambda: sidecar.last()[0].status == "cancelled")

    row = sidecar.last()[0]
    assert row.started_at + row.total_s <= left + 0.15


def test_a_decision_can_be_looked_at_afterwards(sidecar: Sidecar) -> None:
    name = sidecar.ask("something hard").json["router"]["decision_id"]
    detail = sidecar.call(None, f"/v1/decisions/{name}").json

    assert detail["request"]["path"] == ["device", "cloud"]
    assert "messages" not in detail
    assert sidecar.call(None, f"/v1/decisions/{name[:20]}").status == 404
    assert sidecar.call(None, "/v1/decisions/..%2f").status == 404


def test_curl_gets_an_answer(sidecar: Sidecar) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = json.dumps({"messages": user("The capital of France?")})
    said = subprocess.run(
        [curl, "-sS", f"{sidecar.url}/chat/completions", "--json", body],
        capture_output=True,
        check=True,
        timeout=20,
    )

    assert json.loads(said.stdout)["choices"][0]["message"]["content"].endswith("Paris.")
