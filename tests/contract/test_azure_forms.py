"""Every promise again, for each form in which Azure serves chat completions, over both transports.

`test_every_provider.py` and `test_more_than_text.py` hold Azure's first form to them, as they do
every provider; here the same tests are run on the others. What differs by form is below.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract import test_every_provider as every
from contract import test_more_than_text as more
from contract.calls import (
    ASK,
    FORMS,
    KEY,
    MODEL,
    TRANSPORTS,
    Heard,
    dialect_of,
    listen,
    opened,
    target,
)
from contract.replay import Recording, Replay, recordings

from router import providers
from router.providers.base import Transport

OTHERWISE = {"test_what_is_sent_is_what_was_asked"}
PROMISES = [
    promise
    for module in (every, more)
    for name, promise in inspect.getmembers(module, inspect.isfunction)
    if name.startswith("test_")
    and name not in OTHERWISE
    and list(inspect.signature(promise).parameters) == ["name", "transport"]
]
PLAYED = recordings("azure_ai")
FORM = pytest.mark.parametrize("name", list(FORMS))
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)
ROUTES = {
    "azure_ai:deployments": "/chat/completions?api-version=2024-10-21",
    "azure_ai:online": "/chat/completions",
    "azure_ai:inference": "/chat/completions?api-version=2024-05-01-preview",
}


def test_there_are_promises_to_keep() -> None:
    assert len(PROMISES) > 12


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@EACH_WAY
@FORM
def test_a_form_keeps_the_promise(
    name: str, transport: Transport, promise: Callable[[str, Transport], None]
) -> None:
    promise(name, transport)


@pytest.mark.parametrize("recording", PLAYED, ids=lambda recording: recording.name)
@EACH_WAY
@FORM
def test_a_recorded_exchange_becomes_what_it_stands_for(
    name: str, transport: Transport, recording: Recording
) -> None:
    every.test_a_recorded_exchange_becomes_what_it_stands_for(name, transport, recording)


@pytest.mark.parametrize(
    ("leave", "recording"),
    [(every.close_it, "stall"), (every.close_it, "stall_at_once"), (every.close_between, "stall")],
)
@EACH_WAY
@FORM
def test_leaving_stops_the_work_behind_it(
    name: str, transport: Transport, leave: every.Leave, recording: str
) -> None:
    every.test_leaving_stops_the_work_behind_it(name, transport, leave, recording)


@EACH_WAY
@FORM
def test_the_key_goes_in_its_headers_and_nowhere_else(
    name: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    every.test_the_key_goes_in_its_headers_and_nowhere_else(name, transport, monkeypatch)


@EACH_WAY
@FORM
def test_what_is_sent_is_what_was_asked_at_the_forms_own_route(
    name: str, transport: Transport
) -> None:
    dialect = dialect_of(name)

    async def main() -> Replay:
        async with Replay([every.RECORDED["common/plain"]]) as replay:
            bound = target(name, replay.url("/d"), transport)
            async with opened(providers.build(bound)) as provider:
                await listen(provider)
        return replay

    (sent,) = asyncio.run(main()).sent

    assert sent.line == f"POST /d{ROUTES[name]} HTTP/1.1"
    assert sent.body == {
        "model": MODEL,
        "messages": [{"role": m.role, "content": m.content} for m in ASK.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        dialect.cap_field: 77,
    }
    keys = {
        header: value if header == "api-key" else f"Bearer {value}"
        for header, value in dict.fromkeys(dialect.key_headers, KEY).items()
    }
    for header, value in {**dialect.headers, **keys}.items():
        assert sent.values(header) == [value]
    assert sent.values("content-type") == ["application/json"]
    assert sent.values("user-agent") == ["firsthop"]
    assert sent.values("x-ms-client-request-id") == [ASK.attempt_id]


@FORM
def test_both_transports_send_the_same_headers(name: str) -> None:
    def names(transport: Transport) -> set[str]:
        _, replay = every.played(name, transport, every.RECORDED["common/plain"])
        return {header for header, _ in replay.sent[0].headers}

    assert names("sdk") - {"connection"} == names("lean") - {"connection"}


@EACH_WAY
def test_a_scoring_script_is_called_at_its_own_path(transport: Transport) -> None:
    async def main() -> Any:
        async with Replay([every.RECORDED["common/plain"]]) as replay:
            bound = target("azure_ai:online", replay.url("/score"), transport)
            async with opened(providers.build(bound)) as provider:
                heard = await listen(provider)
        return heard, replay

    heard, replay = asyncio.run(main())

    assert heard.text == "Hello, you."
    assert replay.sent[0].line == "POST /score HTTP/1.1"
    assert replay.sent[0].values("azureml-model-deployment") == ["blue"]


TLS = Path(__file__).parent / "tls"


def by_the_client(replay: Replay, base_url: str | None = None, **more: Any) -> Heard:
    """One call through the client of the inference dialect, which has a way of its own."""

    async def main() -> Heard:
        async with replay:
            if "proxy" in more:
                more["proxy"] = more["proxy"].replace("PORT", str(replay.port))
            bound = target("azure_ai:inference", base_url or replay.url(), "sdk", **more)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    return asyncio.run(main())


def with_tls() -> Replay:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem")
    return Replay([every.RECORDED["common/plain"]], tls=context)


def test_its_client_trusts_whom_the_target_names_and_nobody_else() -> None:
    strange = by_the_client(with_tls()).error
    known = by_the_client(with_tls(), ca_file=str(TLS / "authority.pem"))

    assert strange is not None
    assert (strange.kind, strange.retryable, strange.unbilled) == ("unavailable", False, True)
    assert "certificate" in strange.message
    assert known.text == "Hello, you."


def test_its_client_goes_through_the_targets_proxy() -> None:
    replay = Replay([every.RECORDED["common/plain"]])

    heard = by_the_client(
        replay, "http://cloud.example/models", proxy="http://me:word@127.0.0.1:PORT"
    )

    assert heard.text == "Hello, you."
    (sent,) = replay.sent
    assert sent.line.startswith("POST http://cloud.example/models/chat/completions?api-version=")
    assert sent.values("proxy-authorization") == ["Basic bWU6d29yZA=="]


@pytest.mark.parametrize("recording", ["500", "503", "408", "429_short", "redirect"])
def test_its_client_neither_asks_again_nor_goes_elsewhere(recording: str) -> None:
    replay = Replay([every.RECORDED[f"common/{recording}"]])

    by_the_client(replay)

    assert len(replay.sent) == 1


def test_its_client_writes_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)

    for recording in ("plain", "cut", "401", "500", "broken_gzip"):
        by_the_client(Replay([every.RECORDED[f"common/{recording}"]]))

    assert [r.name for r in caplog.records if r.name.startswith("azure")] == []


def test_its_client_sends_many_megabytes_whole() -> None:
    picture = "data:image/png;base64," + "QUJD" * 1_000_000
    ask = more.with_images(picture)

    body = more.sent("azure_ai:inference", "sdk", ask, **more.SEES)

    assert body["messages"][0]["content"][1]["image_url"]["url"] == picture


@EACH_WAY
def test_a_service_that_ended_says_so_when_it_is_gone(transport: Transport) -> None:
    async def main() -> Heard:
        async with Replay([every.RECORDED["common/410"]]) as replay:
            bound = target("azure_ai:inference", replay.url("/models"), transport)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    error = asyncio.run(main()).error

    assert error is not None
    assert error.kind == "gone"
    assert "ended on 2026-08-26" in error.message
    assert "/openai/v1" in error.message
