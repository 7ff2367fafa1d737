"""Answers of hosted NIM that take long: a 202, and then asking until they are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from contract.calls import ASK, KEY, TRANSPORTS, Heard, listen, opened, target
from contract.nim_server import failure, nim, reply
from contract.replay import WIRE, Recording, Replay, load

from router.clock import ManualClock
from router.providers.base import Transport
from router.providers.nim_pending import STATUS_URL
from router.providers.nim_wire import NimWire
from router.providers.nvidia_nim import DIALECT
from router.types import Ask, Usage

PLAIN = load(WIRE / "common" / "plain.http")
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)

PENDING = reply(None, "202 Accepted", "NVCF-REQID: 0f0e-77", "NVCF-STATUS: pending-evaluation")
WORDY = reply({"status": "pending"}, "202 Accepted", "NVCF-REQID: 0f0e-77")
WHOLE = {
    "id": "chat-1",
    "object": "chat.completion",
    "model": "some/model",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Grüße."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
CALLS = {
    "model": "some/model",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
}


def polled(
    transport: Transport, *script: Recording, timeout_s: float = 5.0, ask: Ask = ASK
) -> tuple[Heard, Replay, Replay, float]:
    """One call that is told to wait; the other server is the one that is asked for the answer.

    The last value is the seconds that were waited, on a clock of our own.
    """

    async def main() -> tuple[Heard, Replay, Replay, float]:
        clock = ManualClock()
        async with Replay([PENDING]) as first, Replay(list(script)) as status:
            more = {"options": {"status_url": status.url("/status/")}, "timeout_s": timeout_s}
            async with opened(nim(first.url(), transport, clock, **more)) as provider:
                heard = await listen(provider, ask)
            return heard, first, status, clock.now()

    return asyncio.run(main())


@EACH_WAY
def test_an_answer_that_takes_long_is_asked_for_until_it_is_there(transport: Transport) -> None:
    heard, first, status, waited_s = polled(transport, PENDING, WORDY, PENDING, reply(WHOLE))

    assert heard.error is None
    assert (heard.text, heard.only("finish"), heard.only("model")) == (
        "Grüße.",
        "stop",
        "some/model",
    )
    assert heard.only("usage") == Usage(input_tokens=12, output_tokens=3)
    assert len(first.sent) == 1
    assert [sent.line for sent in status.sent] == ["GET /status/0f0e-77 HTTP/1.1"] * 4
    assert all(sent.values("authorization") == [f"Bearer {KEY}"] for sent in status.sent)
    assert all(sent.raw_body == b"" for sent in status.sent)
    for sent in (*first.sent, *status.sent):
        assert sent.values("nvcf-poll-seconds") == ["5"]
    assert status.connections == 1
    assert waited_s == pytest.approx(0.25 + 0.5 + 1 + 2)


@EACH_WAY
def test_a_late_answer_may_be_a_stream_or_hold_calls(transport: Transport) -> None:
    streamed, *_ = polled(transport, PLAIN)
    called, *_ = polled(transport, reply(CALLS))

    assert streamed.error is None
    assert streamed.text == "Hello, you."
    assert called.error is None
    assert [c.name for chunk in called.chunks for c in chunk.tool_calls] == ["f", "g"]
    assert called.only("finish") == "tool_calls"


@EACH_WAY
def test_a_late_answer_is_held_to_its_schema_too(transport: Transport) -> None:
    heard, *_ = polled(transport, reply(WHOLE), ask=replace(ASK, json=True))

    assert failure(heard).kind == "incapable"


@EACH_WAY
@pytest.mark.parametrize(
    ("status", "kind", "asked_times"),
    [
        ("404 Not Found", "unavailable", 1),
        ("410 Gone", "unavailable", 1),
        ("401 Unauthorized", "auth_failed", 1),
        ("302 Found", "refused", 1),
        ("503 Busy", "unavailable", 3),
        ("429 Too Many", "rate_limited", 3),
    ],
)
def test_the_status_address_may_fail_and_a_model_is_not_given_up_for_it(
    transport: Transport, status: str, kind: str, asked_times: int
) -> None:
    refusal = reply({"detail": "no"}, status, "Location: https://elsewhere.example/x")

    heard, _, other, _ = polled(transport, refusal)

    error = failure(heard)
    assert (error.kind, error.status, error.unbilled) == (kind, 202, False)
    assert not error.retryable, "what was taken is not sent again"
    assert "pending" in error.message
    assert len(other.sent) == asked_times


@EACH_WAY
def test_a_hiccup_of_the_status_address_loses_no_answer(transport: Transport) -> None:
    busy = reply({"detail": "no"}, "503 Busy", "Retry-After: 3")

    heard, _, status, waited_s = polled(transport, busy, busy, PENDING, busy, busy, reply(WHOLE))

    assert heard.error is None
    assert len(status.sent) == 6
    assert waited_s >= 4 * 3


@EACH_WAY
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply({"choices": "none"}), id="no-choices"),
        pytest.param(reply([1]), id="a-list"),
        pytest.param(reply({"choices": [3]}), id="a-choice-that-is-none"),
    ],
)
def test_a_late_answer_that_is_none_is_a_bad_wire(transport: Transport, answer: Recording) -> None:
    heard, *_ = polled(transport, answer)

    assert failure(heard).kind == "bad_wire"


@EACH_WAY
@pytest.mark.parametrize("name", ["cut", "mid_stream_error", "json_error_200", "html_200"])
def test_a_late_answer_that_fails_is_not_paid_for_again(transport: Transport, name: str) -> None:
    """Each of them is retryable where it is the first answer."""
    broken = load(WIRE / "common" / f"{name}.http")
    heard, *_ = polled(transport, broken)

    assert broken.expect["retryable"]
    assert failure(heard).kind == broken.expect["error"]
    assert not failure(heard).retryable


@asynccontextmanager
async def waiting(
    transport: Transport, first: Recording, status: Recording, timeout_s: float = 5.0
) -> AsyncIterator[tuple[Any, Replay]]:
    """A provider on the real clock, and the server that it asks for late answers."""
    async with Replay([first]) as box, Replay([status]) as late:
        options = {"status_url": late.url("/status")}
        built = nim(box.url(), transport, options=options, timeout_s=timeout_s)
        async with opened(built) as provider:
            yield provider, late


@EACH_WAY
def test_waiting_ends_with_the_calls_own_time(transport: Transport) -> None:
    async def main() -> tuple[Heard, float]:
        async with waiting(transport, PENDING, PENDING, 0.6) as (provider, _):
            await listen(provider)  # imports what a call needs
            began = asyncio.get_running_loop().time()
            heard = await listen(provider)
            return heard, asyncio.get_running_loop().time() - began

    heard, took_s = asyncio.run(main())

    assert (failure(heard).kind, failure(heard).status) == ("timed_out", 202)
    assert not failure(heard).retryable
    assert took_s < 0.6 + 0.25


@EACH_WAY
def test_leaving_stops_the_asking(transport: Transport) -> None:
    async def main() -> tuple[int, int]:
        async with waiting(transport, PENDING, PENDING) as (provider, status):
            reader = asyncio.create_task(listen(provider))
            await asyncio.wait_for(status.asked.wait(), 5.0)
            reader.cancel()
            await asyncio.wait([reader])
            left = len(status.sent)
            await asyncio.sleep(0.6)  # longer than the pause it would have made
            return left, len(status.sent)

    left, later = asyncio.run(main())

    assert left == later


@EACH_WAY
@pytest.mark.parametrize("told", ["../../evil", "..", "a b", "x" * 200, "a?b=c", ""])
def test_an_id_that_no_path_can_carry_is_asked_for_nowhere(transport: Transport, told: str) -> None:
    async def main() -> tuple[Heard, Replay]:
        odd = reply(None, "202 Accepted", f"NVCF-REQID: {told}")
        async with waiting(transport, odd, PLAIN) as (provider, status):
            return await listen(provider), status

    heard, status = asyncio.run(main())

    assert failure(heard).kind in ("bad_wire", "unavailable")
    assert not failure(heard).retryable
    assert status.sent == []


@EACH_WAY
def test_a_container_of_ones_own_can_not_send_its_key_to_nvidia(transport: Transport) -> None:
    """It fails at once, for leaving loopback would fail the test."""

    async def main() -> tuple[Heard, Replay]:
        async with (
            Replay([PENDING]) as replay,
            opened(nim(replay.url(), transport)) as provider,
        ):
            return await listen(provider), replay

    heard, replay = asyncio.run(main())

    assert (failure(heard).kind, failure(heard).status) == ("unavailable", 202)
    assert not failure(heard).retryable
    assert len(replay.sent) == 1


@pytest.mark.parametrize(
    ("url", "asks"),
    [
        (None, True),
        ("https://integrate.api.nvidia.com/v1", True),
        ("http://integrate.api.nvidia.com/v1", False),
        ("https://integrate.api.nvidia.com.evil.example/v1", False),
        ("https://evilnvidia.com/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_only_nvidias_own_hosts_are_believed_that_nvidia_has_the_answer(
    url: str | None, asks: bool
) -> None:
    provider = NimWire(target("nvidia_nim", url, "lean"), DIALECT)  # type: ignore[arg-type]

    assert (provider._pending is not None) is asks
    assert STATUS_URL.startswith("https://api.nvcf.nvidia.com/")
