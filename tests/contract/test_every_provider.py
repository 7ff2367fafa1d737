"""One list of promises, held by every provider that speaks HTTP, over both transports.

The providers are found, not listed: whatever module has a `DIALECT` is held to all of this.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import fields
from importlib import import_module
from typing import Any

import pytest
from contract.calls import (
    ASK,
    HTTP_PROVIDERS,
    KEY,
    MODEL,
    OWN,
    TRANSPORTS,
    Heard,
    dialect_of,
    listen,
    opened,
    provider_of,
    target,
)
from contract.replay import Recording, Replay, recordings

from router import providers
from router.errors import Filtered, HopError
from router.providers.base import Transport
from router.types import Ask, Usage

EVERY = [pytest.param(name, t, id=f"{name}-{t}") for name in HTTP_PROVIDERS for t in TRANSPORTS]
PLAYED = [
    pytest.param(name, transport, recording, id=f"{name}-{transport}-{recording.name}")
    for name in HTTP_PROVIDERS
    for transport in TRANSPORTS
    for recording in recordings(provider_of(name))
]
RECORDED = {recording.name: recording for recording in recordings("nvidia_nim")}


def played(
    name: str, transport: Transport, *script: Recording, **more: Any
) -> tuple[Heard, Replay]:
    """One call to a server that plays `script`."""

    async def main() -> tuple[Heard, Replay]:
        async with (
            Replay(list(script)) as replay,
            opened(providers.build(target(name, replay.url(), transport, **more))) as provider,
        ):
            return await listen(provider), replay

    return asyncio.run(main())


@pytest.mark.parametrize(("name", "transport", "recording"), PLAYED)
def test_a_recorded_exchange_becomes_what_it_stands_for(
    name: str, transport: Transport, recording: Recording
) -> None:
    expect = recording.expect
    options = {"logprobs": True} if "tokens" in expect else {}
    timeout_s = 0.2 if "stall" in recording.name else 5.0

    heard, _ = played(name, transport, recording, options=options, timeout_s=timeout_s)

    if expect.get("stalls"):
        expect = {**expect, "error": "timed_out", "retryable": True}
    assert (heard.error.kind if heard.error else None) == expect.get("error"), heard.error
    if heard.error is None:
        check_answer(heard, expect)
    else:
        check_error(heard.error, expect)
        assert heard.text == expect.get("text", "")
        assert heard.only("usage") is None
        check_calls(heard, [])


def check_answer(heard: Heard, expect: Any) -> None:
    usage = heard.only("usage")
    said = {field.name: expect.get(field.name) for field in fields(Usage)}
    assert heard.text == expect["text"]
    assert heard.only("finish") == expect["finish"]
    assert heard.filtered == tuple(expect.get("filtered", ()))
    assert (usage or Usage()) == Usage(**said)
    assert usage is None or heard.chunks[-1].usage is usage
    assert heard.only("model") == expect["model"]
    assert heard.only("request_id") == expect["request_id"]
    check_calls(heard, expect.get("tool_calls", []))
    tokens = [token for chunk in heard.chunks for token in chunk.tokens]
    assert [t.logprob for t in tokens] == pytest.approx([t[0] for t in expect.get("tokens", [])])
    for token, (_, margin) in zip(tokens, expect.get("tokens", []), strict=True):
        assert token.margin == (None if margin is None else pytest.approx(margin))
        assert token.entropy is None


def check_calls(heard: Heard, expected: list[list[str | None]]) -> None:
    """All calls come at once, not after the finish reason; an id of None is made up."""
    with_calls = [number for number, chunk in enumerate(heard.chunks) if chunk.tool_calls]
    ends = [number for number, chunk in enumerate(heard.chunks) if chunk.finish]
    calls = [call for chunk in heard.chunks for call in chunk.tool_calls]
    assert len(with_calls) <= 1
    assert not ends or all(number <= ends[0] for number in with_calls)
    assert [[c.name, c.arguments] for c in calls] == [wanted[1:] for wanted in expected]
    assert len({call.id for call in calls}) == len(calls)
    for call, (call_id, *_) in zip(calls, expected, strict=True):
        assert call.id if call_id is None else call.id == call_id


def check_error(error: HopError, expect: Any) -> None:
    assert error.retryable is expect["retryable"]
    assert error.retry_after_s == expect.get("retry_after_s")
    assert error.status == expect.get("status")
    assert error.target == "cloud"
    assert error.reached
    if "code" in expect:
        assert error.code == expect["code"]
    if isinstance(error, Filtered):
        assert error.categories == tuple(expect.get("filtered", ()))
    assert expect.get("says", "") in error.message
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.code)
    assert KEY not in shown


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_what_is_sent_is_what_was_asked(name: str, transport: Transport) -> None:
    dialect = dialect_of(name)

    _, replay = played(name, transport, RECORDED["common/plain"])

    (sent,) = replay.sent
    assert sent.line == "POST /v1/chat/completions HTTP/1.1"
    assert sent.values("content-type") == ["application/json"]
    assert sent.body == {
        "model": MODEL,
        "messages": [{"role": m.role, "content": m.content} for m in ASK.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        dialect.cap_field: 77,
    }
    assert sent.values("x-client-request-id") == ["attempt-0001"]
    for header, value in dialect.headers.items():
        assert sent.values(header) == [value]


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_what_the_call_sets_is_sent_and_logprobs_only_when_asked(
    name: str, transport: Transport
) -> None:
    ask = Ask(
        attempt_id="a",
        messages=ASK.messages,
        max_output_tokens=5,
        temperature=0.0,
        seed=0,
        stop=("END", "\n\n"),
    )

    async def main() -> Any:
        async with Replay([RECORDED["common/plain"]]) as replay:
            options = {"logprobs": True}
            bound = target(name, replay.url(), transport, options=options)
            async with opened(providers.build(bound)) as provider:
                await listen(provider, ask)
            return replay.sent[0].body

    body = asyncio.run(main())

    assert (body["temperature"], body["seed"], body["stop"]) == (0.0, 0, ["END", "\n\n"])
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_the_key_goes_in_its_headers_and_nowhere_else(
    name: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "an-organisation")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "a-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "authorization: Bearer third-key\nx-more: 1")

    _, replay = played(name, transport, RECORDED["common/plain"])

    (sent,) = replay.sent
    carriers = {header for header, value in sent.headers if KEY in value}
    assert carriers == set(dialect_of(name).key_headers)
    assert KEY.encode() not in sent.raw_body
    assert KEY not in sent.line
    values = {value for _, value in sent.headers}
    assert not values & {"an-organisation", "a-project", "Bearer another-key", "Bearer third-key"}
    assert len(sent.values("authorization")) <= 1


def test_both_transports_send_the_same_headers() -> None:
    def names(transport: Transport) -> set[str]:
        _, replay = played("azure_ai", transport, RECORDED["common/plain"])
        return {name for name, _ in replay.sent[0].headers}

    assert names("sdk") - {"connection"} == names("lean") - {"connection"}


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_a_missing_key_says_what_to_set_and_nothing_is_sent(
    name: str, transport: Transport
) -> None:
    dialect = dialect_of(name)
    if not dialect.key_env:
        heard, replay = played(name, transport, RECORDED["common/plain"], api_key=None)
        assert heard.error is None
        assert replay.sent[0].values("authorization") == []
        return
    base_url = dialect.base_url or "http://127.0.0.1:9/v1"
    bound = target(name, base_url, transport, api_key=None, model="asked/model")
    provider = providers.build(bound)

    heard = asyncio.run(listen(provider))

    assert heard.error is not None
    assert heard.error.kind == "auth_failed"
    assert heard.error.unbilled
    assert all(variable in heard.error.message for variable in dialect.key_env)


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_one_connection_serves_call_after_call(name: str, transport: Transport) -> None:
    async def main() -> Replay:
        script = [RECORDED[f"common/{n}"] for n in ("plain", "429_short", "gzip", "plain")]
        async with Replay(script) as replay:
            bound = target(name, replay.url(), transport)
            async with opened(providers.build(bound)) as provider:
                for _ in range(4):
                    await listen(provider)
        return replay

    replay = asyncio.run(main())

    assert len(replay.sent) == 4
    assert replay.connections == 1


Leave = Callable[[Any, "asyncio.Task[Any]"], Awaitable[None]]


async def close_it(stream: Any, reader: asyncio.Task[Any]) -> None:
    reader.cancel()
    await asyncio.wait([reader])
    await stream.aclose()


async def close_between(stream: Any, reader: asyncio.Task[Any]) -> None:
    await reader
    await stream.aclose()


@pytest.mark.parametrize(
    ("leave", "recording"),
    [
        pytest.param(close_it, "stall", id="cancelled-while-it-waits-for-text"),
        pytest.param(close_it, "stall_at_once", id="cancelled-before-any-text"),
        pytest.param(close_between, "stall", id="closed-between-two-chunks"),
    ],
)
@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_leaving_stops_the_work_behind_it(
    name: str, transport: Transport, leave: Leave, recording: str
) -> None:
    async def main() -> float:
        spoken = asyncio.Event()

        async def read_on(stream: Any) -> None:
            async for chunk in stream:
                if chunk.text:
                    spoken.set()
                if leave is close_between and chunk.text:
                    return

        async with Replay([RECORDED[f"common/{recording}"]]) as replay:
            bound = target(name, replay.url(), transport)
            async with opened(providers.build(bound)) as provider:
                stream = provider.stream(ASK)
                reader = asyncio.create_task(read_on(stream))
                await (replay.asked if recording == "stall_at_once" else spoken).wait()
                left = time.perf_counter()
                await leave(stream, reader)
                await asyncio.wait_for(replay.hung_up.wait(), 5.0)
                return time.perf_counter() - left

    assert asyncio.run(main()) < 0.150


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_a_refused_connection_is_unavailable_and_certainly_free(
    name: str, transport: Transport
) -> None:
    async def main() -> Heard:
        async with Replay([RECORDED["common/plain"]]) as replay:
            url = replay.url()
        async with opened(providers.build(target(name, url, transport))) as provider:
            return await listen(provider)

    error = asyncio.run(main()).error

    assert error is not None
    assert error.kind == "unavailable"
    assert error.retryable
    assert error.unbilled
    assert "refuses connections" in error.message


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_after_closing_a_call_fails_as_a_hop_does(name: str, transport: Transport) -> None:
    async def main() -> Heard:
        provider = providers.build(target(name, "http://127.0.0.1:9/v1", transport))
        await provider.aclose()
        return await listen(provider)

    error = asyncio.run(main()).error

    assert error is not None
    assert (error.kind, error.retryable) == ("unavailable", False)


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_no_time_left_asks_nobody(name: str, transport: Transport) -> None:
    ask = Ask(attempt_id="a", messages=ASK.messages, max_output_tokens=5, timeout_s=0.0)
    provider = providers.build(target(name, "http://127.0.0.1:9/v1", transport))

    error = asyncio.run(listen(provider, ask)).error

    assert error is not None
    assert (error.kind, error.unbilled) == ("timed_out", True)


@pytest.mark.parametrize(("name", "transport"), EVERY)
def test_many_calls_at_once_keep_their_answers_apart(name: str, transport: Transport) -> None:
    async def main() -> list[Heard]:
        async with Replay([RECORDED["common/plain"]]) as replay:
            bound = target(name, replay.url(), transport)
            async with opened(providers.build(bound)) as provider:
                return await asyncio.gather(*(listen(provider) for _ in range(20)))

    assert {heard.text for heard in asyncio.run(main())} == {"Hello, you."}


@pytest.mark.parametrize("name", HTTP_PROVIDERS)
def test_the_key_is_not_shown(name: str) -> None:
    bound = target(name, "http://127.0.0.1:9/v1", "lean")

    assert KEY not in repr(bound)
    assert KEY not in repr(providers.build(bound))


@pytest.mark.parametrize("name", OWN)
def test_a_dialect_tells_its_own_name_and_when_the_service_was_looked_at(name: str) -> None:
    module = import_module(f"router.providers.{name}")
    source = inspect.getsource(module)

    assert dialect_of(name).name == name
    assert "Status:" in (module.__doc__ or "")
    assert len(source.splitlines()) < 60
