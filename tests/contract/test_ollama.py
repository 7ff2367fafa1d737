"""Ollama's own wire, held to the promises that every provider keeps, and to those of its own.

The targets of the recorded exchanges are marked as off the device, so that nothing but the call
itself is sent; what is asked before it is tested by itself.
"""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from contract.calls import ASK, KEY, MODEL, Heard, listen, opened
from contract.calls import target as target_of
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.errors import HopError
from router.types import Ask, Image, Message, Tool, ToolCall, Usage

RECORDED = {p.stem: load(p) for p in sorted((WIRE / "ollama").glob("*.http"))}
OFF = {"here": False}


def reply(body: Any, status: str = "200 OK") -> Recording:
    """A short answer in JSON."""
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return Recording("made here", "", {}, f"{head}\r\n\r\n".encode(), (data,), "end")


SHOW = reply({"details": {"format": "gguf"}, "model_info": {"llama.context_length": 131072}})
SHOW_CLOUD = reply({"remote_model": "big", "remote_host": "https://ollama.com:443"})


def target(base_url: str, options: Any = None, **more: Any) -> Any:
    chosen = OFF if options is None else options
    return target_of("ollama", base_url, "lean", options=chosen, **more)


def played(*script: Recording, ask: Ask = ASK, **more: Any) -> tuple[Heard, Replay]:
    """One call to a server that plays `script`."""

    async def main() -> tuple[Heard, Replay]:
        async with (
            Replay(list(script)) as replay,
            opened(providers.build(target(replay.url(""), **more))) as provider,
        ):
            return await listen(provider, ask), replay

    return asyncio.run(main())


def failure(heard: Heard) -> HopError:
    assert heard.error is not None
    return heard.error


@pytest.mark.parametrize("name", list(RECORDED))
def test_a_recorded_exchange_becomes_what_it_stands_for(name: str) -> None:
    recording = RECORDED[name]
    expect = recording.expect

    heard, _ = played(recording, timeout_s=0.2 if "stall" in name else 5.0)

    assert (heard.error.kind if heard.error else None) == expect.get("error"), heard.error
    assert heard.text == expect.get("text", "")
    if heard.error is None:
        check_answer(heard, expect)
    else:
        check_error(heard.error, expect)
        assert heard.only("usage") is None


def check_answer(heard: Heard, expect: Any) -> None:
    names = ("input_tokens", "output_tokens", "cached_input_tokens")
    usage = heard.only("usage")
    assert (usage or Usage()) == Usage(**{name: expect.get(name) for name in names})
    assert usage is None or heard.chunks[-1].usage is usage
    assert heard.only("finish") == expect["finish"]
    assert heard.only("model") == expect["model"]
    tokens = [token for chunk in heard.chunks for token in chunk.tokens]
    wanted = expect.get("tokens", [])
    assert [t.logprob for t in tokens] == pytest.approx([logprob for logprob, _ in wanted])
    for token, (_, margin) in zip(tokens, wanted, strict=True):
        assert token.margin == (None if margin is None else pytest.approx(margin))
        assert token.entropy is None
    calls = [call for chunk in heard.chunks for call in chunk.tool_calls]
    for call, (call_id, name, arguments) in zip(calls, expect.get("calls", []), strict=True):
        assert call.name == name
        assert json.loads(call.arguments) == arguments
        assert call.id == call_id or (call_id is None and call.id.startswith("call_"))


def check_error(error: HopError, expect: Any) -> None:
    assert error.retryable is expect["retryable"]
    assert error.retry_after_s == expect.get("retry_after_s")
    assert error.status == expect.get("status")
    assert error.target == "cloud"
    assert error.reached
    assert expect.get("says", "") in error.message


def test_what_is_sent_is_what_was_asked() -> None:
    _, replay = played(RECORDED["plain"], api_key=None)

    (sent,) = replay.sent
    assert sent.line == "POST /api/chat HTTP/1.1"
    assert sent.values("content-type") == ["application/json"]
    assert sent.values("authorization") == []
    assert sent.body == {
        "model": MODEL,
        "messages": [{"role": m.role, "content": m.content} for m in ASK.messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_predict": 77, "num_ctx": 8192},
    }


def test_what_the_call_and_the_config_set_is_sent() -> None:
    ask = replace(ASK, temperature=0.0, seed=0, stop=("END", "\n\n"), max_output_tokens=5)
    options = {**OFF, "num_ctx": 4096, "logprobs": True, "think": False, "keep_alive": "10m"}

    _, replay = played(RECORDED["plain"], ask=ask, options=options)

    body = replay.sent[0].body
    assert body["options"] == {
        "num_predict": 5,
        "num_ctx": 4096,
        "temperature": 0.0,
        "seed": 0,
        "stop": ["END", "\n\n"],
    }
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert (body["think"], body["keep_alive"]) == (False, "10m")


def test_tools_and_their_results_go_out_as_ollama_names_them() -> None:
    parameters = {"type": "object", "properties": {"word": {"type": "string"}}}
    call = ToolCall(id="call_7", name="look_up", arguments='{"word": "Grüße"}')
    ask = replace(
        ASK,
        tools=(Tool(name="look_up", description="Looks up.", parameters=parameters),),
        messages=(
            Message(role="user", content="?"),
            Message(role="assistant", content="", tool_calls=(call,)),
            Message(role="tool", content="greetings", tool_call_id="call_7"),
        ),
    )

    heard, replay = played(RECORDED["plain"], ask=ask)

    assert heard.error is None
    body = replay.sent[0].body
    function = {"name": "look_up", "description": "Looks up.", "parameters": parameters}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["messages"][1]["tool_calls"] == [
        {"id": "call_7", "function": {"name": "look_up", "arguments": {"word": "Grüße"}}}
    ]
    assert body["messages"][2] == {
        "role": "tool",
        "content": "greetings",
        "tool_call_id": "call_7",
        "tool_name": "look_up",
    }


@pytest.mark.parametrize("arguments", ["{", "[]", '"text"', '{"x": NaN}'])
def test_arguments_that_are_no_object_can_not_be_sent_back(arguments: str) -> None:
    call = ToolCall(id="c", name="look_up", arguments=arguments)
    message = Message(role="assistant", content="", tool_calls=(call,))

    heard, replay = played(RECORDED["plain"], ask=replace(ASK, messages=(message,)))

    assert (failure(heard).kind, failure(heard).reached) == ("refused", False)
    assert "a tool call's arguments are no JSON" in failure(heard).message
    assert replay.sent == []


def test_a_schema_that_is_no_json_is_refused_before_sending() -> None:
    for ask in (
        replace(ASK, json_schema={"enum": {1, 2}}),
        replace(ASK, tools=(Tool(name="look_up", parameters={"half": "\ud83d"}),)),
    ):
        heard, replay = played(RECORDED["plain"], ask=ask)

        assert (failure(heard).kind, failure(heard).reached) == ("refused", False)
        assert replay.sent == []


def test_json_is_asked_for_by_its_name_or_its_schema() -> None:
    schema = {"type": "object", "required": ["größe"]}

    _, plain = played(RECORDED["plain"], ask=replace(ASK, json=True))
    _, shaped = played(RECORDED["plain"], ask=replace(ASK, json_schema=schema))

    assert plain.sent[0].body["format"] == "json"
    assert shaped.sent[0].body["format"] == schema


def seen(url: str) -> Ask:
    return replace(ASK, messages=(Message(role="user", content="?", images=(Image(url=url),)),))


def test_pictures_go_along_where_the_config_says_that_the_model_sees() -> None:
    options = {**OFF, "abilities": ["images"], "max_image_bytes": 30}
    version = reply({"version": "0.40.2"})

    heard, replay = played(
        version, RECORDED["plain"], ask=seen("data:image/png;base64,iVBO"), options=options
    )
    fetched, _ = played(RECORDED["plain"], ask=seen("https://a.example/b"), options=options)
    large, _ = played(RECORDED["plain"], ask=seen("data:;base64," + "A" * 40), options=options)

    assert heard.error is None
    assert replay.sent[1].body["messages"][0]["images"] == ["iVBO"]
    assert "data: URL" in failure(fetched).message
    assert "max_image_bytes" in failure(large).message
    assert failure(fetched).kind == failure(large).kind == "incapable"


@pytest.mark.parametrize(
    ("abilities", "ask", "need"),
    [
        (None, seen("data:image/png;base64,iVBO"), "images"),
        ([], replace(ASK, tools=(Tool(name="look_up"),)), "tools"),
        (["tools"], replace(ASK, json=True), "json"),
    ],
)
def test_what_it_can_not_honour_is_refused_and_nothing_is_sent(
    abilities: list[str] | None, ask: Ask, need: str
) -> None:
    options = OFF if abilities is None else {**OFF, "abilities": abilities}

    heard, replay = played(RECORDED["plain"], ask=ask, options=options)

    error = failure(heard)
    assert (error.kind, error.reached) == ("incapable", False)
    assert need in error.message
    assert replay.sent == []


def test_text_no_wire_carries_is_refused_before_sending() -> None:
    ask = replace(ASK, messages=(Message(role="user", content="half \ud83d"),))

    heard, replay = played(RECORDED["plain"], ask=ask)

    assert (failure(heard).kind, failure(heard).unbilled) == ("refused", True)
    assert replay.sent == []


def test_a_key_goes_in_its_header_and_into_no_error() -> None:
    told = reply({"error": f"unauthorized: {KEY}"}, "401 Unauthorized")

    heard, replay = played(told)

    (sent,) = replay.sent
    assert sent.values("authorization") == [f"Bearer {KEY}"]
    assert KEY.encode() not in sent.raw_body
    assert "[secret]" in failure(heard).message
    assert KEY not in "".join(traceback.format_exception(failure(heard)))


def test_a_target_on_the_device_asks_once_where_its_model_runs() -> None:
    async def main() -> tuple[list[Heard], Replay]:
        async with (
            Replay([SHOW, RECORDED["plain"]]) as replay,
            opened(providers.build(target(replay.url(""), {}))) as provider,
        ):
            return [await listen(provider) for _ in range(3)], replay

    heard, replay = asyncio.run(main())

    assert [h.text for h in heard] == ["Hello, you."] * 3
    lines = [sent.line.split()[1] for sent in replay.sent]
    assert lines == ["/api/show", "/api/chat", "/api/chat", "/api/chat"]
    assert replay.sent[0].body == {"model": MODEL}
    assert replay.connections == 1


def test_a_model_that_runs_elsewhere_gets_no_word_of_a_prompt_meant_for_the_device() -> None:
    async def main() -> tuple[list[HopError], Replay]:
        async with (
            Replay([SHOW_CLOUD]) as replay,
            opened(providers.build(target(replay.url(""), {}))) as provider,
        ):
            return [failure(await listen(provider)) for _ in range(2)], replay

    errors, replay = asyncio.run(main())

    assert [(e.kind, e.retryable, e.reached) for e in errors] == [("refused", False, False)] * 2
    assert "https://ollama.com:443" in errors[0].message
    assert [sent.line.split()[1] for sent in replay.sent] == ["/api/show"]
    assert all(b"And now?" not in sent.raw_body for sent in replay.sent)


def test_a_model_that_moved_away_is_found_out_by_its_answer_and_not_asked_again() -> None:
    async def main() -> tuple[Heard, Heard, Replay]:
        async with (
            Replay([SHOW, RECORDED["remote"]]) as replay,
            opened(providers.build(target(replay.url(""), {}))) as provider,
        ):
            return await listen(provider), await listen(provider), replay

    first, second, replay = asyncio.run(main())

    assert (first.text, failure(first).kind) == ("", "refused")
    assert "has left this device" in failure(first).message
    assert failure(first).reached
    assert not failure(second).reached
    assert len(replay.sent) == 2


def test_where_a_model_runs_must_be_told_in_a_way_that_can_be_read() -> None:
    heard, replay = played(reply(["what?"]), options={})

    assert (failure(heard).kind, failure(heard).unbilled) == ("bad_wire", True)
    assert [sent.line.split()[1] for sent in replay.sent] == ["/api/show"]


def test_a_model_that_is_not_there_is_found_out_before_the_prompt_is_sent() -> None:
    heard, replay = played(RECORDED["404"], options={})

    assert (failure(heard).kind, failure(heard).unbilled) == ("gone", True)
    assert "try: ollama pull asked-model" in failure(heard).message
    assert [sent.line.split()[1] for sent in replay.sent] == ["/api/show"]


LONG = replace(ASK, messages=(Message(role="user", content="a long story " * 800),))


def test_a_prompt_that_may_not_fit_goes_only_to_a_version_that_would_say_so() -> None:
    old, refused = played(reply({"version": "0.12.5"}), RECORDED["plain"], ask=LONG)
    new, sent = played(reply({"version": "0.12.6"}), RECORDED["plain"], ask=LONG)
    unread, _ = played(reply({"version": None}), RECORDED["plain"], ask=LONG)

    assert (failure(old).kind, failure(old).reached) == ("incapable", False)
    assert "0.12.5 would cut" in failure(old).message
    assert [s.line for s in refused.sent] == ["GET /api/version HTTP/1.1"]
    assert new.error is None
    assert [s.line.split()[1] for s in sent.sent] == ["/api/version", "/api/chat"]
    assert failure(unread).kind == "bad_wire"


def test_a_prompt_that_surely_fits_is_sent_to_any_version() -> None:
    heard, replay = played(RECORDED["plain"], ask=LONG, options={**OFF, "num_ctx": 12_000})

    assert heard.error is None
    assert [s.line.split()[1] for s in replay.sent] == ["/api/chat"]


def test_a_new_enough_version_is_asked_for_once_and_an_old_one_each_time() -> None:
    async def main() -> list[str]:
        script = [reply({"version": "0.9"}), reply({"version": "0.13.0"}), RECORDED["plain"]]
        async with (
            Replay(script) as replay,
            opened(providers.build(target(replay.url("")))) as provider,
        ):
            for _ in range(3):
                await listen(provider, LONG)
            return [sent.line.split()[1] for sent in replay.sent]

    assert asyncio.run(main()) == ["/api/version", "/api/version", "/api/chat", "/api/chat"]


def test_a_long_line_and_an_endless_error_page_are_cut_off() -> None:
    head = "HTTP/1.1 {}\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
    line = (b'{"x":"', *([b"x" * 60_000] * 40))
    page = (b"x" * 60_000,) * 2000

    long, _ = played(Recording("made here", "", {}, head.format("200 OK").encode(), line, "end"))
    endless, _ = played(Recording("made here", "", {}, head.format("500 Oh").encode(), page, "end"))

    assert failure(long).kind == "bad_wire"
    assert "1000000 bytes" in failure(long).message
    assert (failure(endless).kind, failure(endless).status) == ("unavailable", 500)
    assert len(failure(endless).message) < 400


def test_a_refused_connection_asks_whether_ollama_is_running() -> None:
    async def main() -> Heard:
        async with Replay([RECORDED["plain"]]) as replay:
            url = replay.url("")
        async with opened(providers.build(target(url, {}))) as provider:
            return await listen(provider)

    error = failure(asyncio.run(main()))

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", True, True)
    assert "is Ollama running?" in error.message


def test_one_connection_serves_call_after_call() -> None:
    async def main() -> Replay:
        script = [RECORDED[name] for name in ("plain", "503_busy", "gzip", "plain")]
        async with (
            Replay(script) as replay,
            opened(providers.build(target(replay.url("")))) as provider,
        ):
            for _ in range(4):
                await listen(provider)
        return replay

    replay = asyncio.run(main())

    assert len(replay.sent) == 4
    assert replay.connections == 1


Leave = Callable[[Any, "asyncio.Task[Any]"], Awaitable[None]]


async def cancel_it(stream: Any, reader: asyncio.Task[Any]) -> None:
    reader.cancel()
    await asyncio.wait([reader])
    await stream.aclose()


async def close_between(stream: Any, reader: asyncio.Task[Any]) -> None:
    await reader
    await stream.aclose()


@pytest.mark.parametrize(
    ("leave", "recording"),
    [
        pytest.param(cancel_it, "stall", id="cancelled-while-it-waits-for-text"),
        pytest.param(cancel_it, "stall_at_once", id="cancelled-before-any-text"),
        pytest.param(close_between, "stall", id="closed-between-two-chunks"),
    ],
)
def test_leaving_stops_the_work_behind_it(leave: Leave, recording: str) -> None:
    async def main() -> float:
        spoken = asyncio.Event()

        async def read_on(stream: Any) -> None:
            async for chunk in stream:
                if chunk.text:
                    spoken.set()
                if leave is close_between and chunk.text:
                    return

        async with (
            Replay([RECORDED[recording]]) as replay,
            opened(providers.build(target(replay.url("")))) as provider,
        ):
            stream = provider.stream(ASK)
            reader = asyncio.create_task(read_on(stream))
            await (replay.asked if recording == "stall_at_once" else spoken).wait()
            left = time.perf_counter()
            await leave(stream, reader)
            await asyncio.wait_for(replay.hung_up.wait(), 5.0)
            return time.perf_counter() - left

    assert asyncio.run(main()) < 0.150


def test_after_closing_and_on_another_loop_a_call_fails_as_a_hop_does() -> None:
    async def main(provider: Any = None) -> tuple[Any, Heard]:
        async with Replay([RECORDED["plain"]]) as replay:
            provider = provider or providers.build(target(replay.url("")))
            heard = await listen(provider)
            await provider.aclose()
            return provider, await listen(provider) if heard.error is None else heard

    provider, closed = asyncio.run(main())
    _, elsewhere = asyncio.run(main(provider))

    for heard, said in ((closed, "closed"), (elsewhere, "event loop")):
        error = failure(heard)
        assert (error.kind, error.retryable, error.unbilled) == ("unavailable", False, True)
        assert said in error.message


def test_no_time_left_is_told_before_anything_is_sent() -> None:
    heard, replay = played(RECORDED["plain"], ask=replace(ASK, timeout_s=0.0))

    assert (failure(heard).kind, failure(heard).reached) == ("timed_out", False)
    assert replay.sent == []
