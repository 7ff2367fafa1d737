"""Answers that come whole, though a stream was asked for: paid for, so taken; by every wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from contract.calls import FORMS, HTTP_PROVIDERS, TRANSPORTS, Heard, listen, opened, target
from contract.nim_server import failure, reply
from contract.replay import Recording, Replay

from router import providers
from router.providers.base import Transport
from router.types import Usage

EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)
EACH = pytest.mark.parametrize("name", [*HTTP_PROVIDERS, *FORMS])
USAGE = {"prompt_tokens": 1000, "completion_tokens": 10}


def completion(message: Any, **more: Any) -> Any:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    return {"id": "c1", "model": "m", "choices": [choice], "usage": USAGE}


def heard_of(answer: Recording, transport: Transport, name: str, **more: Any) -> Heard:
    async def main() -> Heard:
        async with Replay([answer]) as replay:
            bound = target(name, replay.url("/openai/v1"), transport, **more)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    return asyncio.run(main())


@EACH
@EACH_WAY
def test_a_whole_answer_is_taken_with_its_usage(name: str, transport: Transport) -> None:
    heard = heard_of(reply(completion({"content": "Grüße.\nYou."})), transport, name)

    assert heard.error is None
    assert (heard.text, heard.only("finish")) == ("Grüße.\nYou.", "stop")
    assert heard.only("usage") == Usage(input_tokens=1000, output_tokens=10)
    transits = [chunk.transit for chunk in heard.chunks if chunk.transit]
    assert [transit.connect_s is not None for transit in transits] == [True]


@EACH_WAY
def test_a_refusal_and_calls_are_read_from_it_too(transport: Transport) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    refused = completion({"content": None, "refusal": "No."})
    called = completion({"content": None, "tool_calls": [call]}, finish_reason="tool_calls")

    said = heard_of(reply(refused), transport, "openai_compatible")
    calls = heard_of(reply(called), transport, "openai_compatible")

    assert (said.error, said.text) == (None, "No.")
    assert [c.name for chunk in calls.chunks for c in chunk.tool_calls] == ["f"]


@EACH_WAY
def test_one_with_megabytes_of_probabilities_is_no_line_too_long(transport: Transport) -> None:
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    count = 20_000
    body = completion({"content": "x" * count}, logprobs={"content": [token] * count})

    heard = heard_of(
        reply(body), transport, "openai_compatible", options={"logprobs": True}, timeout_s=20.0
    )

    assert heard.error is None
    assert sum(len(chunk.tokens) for chunk in heard.chunks) == count


@EACH_WAY
@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        (reply({"choices": "none"}), "bad_wire", True),
        (reply({"output": [], "usage": {"output_tokens": 9}}), "bad_wire", False),
        (reply({"choices": [], "error": {"type": "server_error"}}), "unavailable", True),
        (reply([1]), "bad_wire", True),
        (reply(None), "bad_wire", True),
    ],
    ids=["no-choices", "another-wire-that-was-paid", "an-error", "a-list", "nothing"],
)
def test_json_that_is_no_completion_is_an_error(
    transport: Transport, answer: Recording, kind: str, retryable: bool
) -> None:
    error = failure(heard_of(answer, transport, "openai_compatible"))

    assert (error.kind, error.retryable) == (kind, retryable)


@EACH_WAY
def test_a_whole_answer_that_stalls_ends_with_the_calls_own_time(transport: Transport) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    stalls = Recording("made here", "", {}, head, (b'{"choices": [',), "stall")

    heard = heard_of(stalls, transport, "openai_compatible", timeout_s=2.0)

    assert failure(heard).kind == "timed_out"
