"""Tools, JSON and pictures: what every provider of the chat wire sends, and what it refuses.

How calls come back is played from recordings in `test_every_provider.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from contract.calls import ASK, HTTP_PROVIDERS, TRANSPORTS, Heard, listen, opened, target
from contract.replay import WIRE, Replay, load

from router import providers
from router.errors import HopError
from router.providers.base import Transport
from router.types import Ask, Image, Message, Tool, ToolCall

PLAIN = load(WIRE / "common" / "plain.http")
OBJECT = load(WIRE / "common" / "empty_object.http")
EVERY = pytest.mark.parametrize(
    ("name", "transport"),
    [pytest.param(name, t, id=f"{name}-{t}") for name in HTTP_PROVIDERS for t in TRANSPORTS],
)
OPENAIS_WORDS = pytest.mark.parametrize(
    ("name", "transport"),
    [(n, t) for n in HTTP_PROVIDERS for t in TRANSPORTS if n != "nvidia_nim/nim1"],
)
"""Who wants a schema in other words is in `test_nim.py`."""

PICTURE = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"ort": {"type": "string", "enum": ["Köln"]}}}
LOOK_UP = Tool(name="look_up", description="Schlägt nach.", parameters=SCHEMA)
SEES = {"abilities": ["images", "tools", "json"]}


def with_images(*urls: str, text: str = "What is it?") -> Ask:
    images = tuple(Image(url=url) for url in urls)
    return replace(ASK, messages=(Message(role="user", content=text, images=images),))


def asked(name: str, transport: Transport, ask: Ask, **options: Any) -> tuple[Heard, list[Any]]:
    """What came of one call, and the bodies that were sent for it."""

    async def main() -> tuple[Heard, list[Any]]:
        answer = OBJECT if "json" in ask.needs else PLAIN
        async with Replay([answer]) as replay:
            bound = target(name, replay.url(), transport, options=options)
            async with opened(providers.build(bound)) as provider:
                heard = await listen(provider, ask)
        return heard, [sent.body for sent in replay.sent if sent.line.startswith("POST")]

    return asyncio.run(main())


def sent(name: str, transport: Transport, ask: Ask, **options: Any) -> Any:
    """The body of a call that ends well."""
    heard, (body,) = asked(name, transport, ask, **options)
    assert heard.error is None
    return body


def refused(name: str, transport: Transport, ask: Ask, **options: Any) -> HopError:
    """The error of a call that is never sent."""
    heard, bodies = asked(name, transport, ask, **options)
    assert bodies == []
    assert heard.error is not None
    assert not heard.error.reached
    assert not heard.error.retryable
    assert heard.error.target == "cloud"
    return heard.error


@EVERY
def test_tools_are_sent_with_their_schemas(name: str, transport: Transport) -> None:
    ask = replace(ASK, tools=(LOOK_UP, Tool(name="clock")))

    body = sent(name, transport, ask)

    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Schlägt nach.", "parameters": SCHEMA},
        },
        {
            "type": "function",
            "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert not {"tool_choice", "response_format"} & body.keys()


@EVERY
def test_calls_and_their_results_go_back_as_they_came(name: str, transport: Transport) -> None:
    calls = (
        ToolCall(id="call_a1", name="look_up", arguments='{"ort":  "Köln"'),
        ToolCall(id="call_b2", name="clock", arguments=""),
    )
    messages = (
        Message(role="user", content="?"),
        Message(role="assistant", content="", tool_calls=calls),
        Message(role="tool", content="a town", tool_call_id="call_a1"),
        Message(role="tool", content="", tool_call_id="call_b2"),
        Message(role="assistant", content="And now:", tool_calls=calls[1:]),
    )
    clock = {"id": "call_b2", "type": "function", "function": {"name": "clock", "arguments": ""}}

    body = sent(name, transport, replace(ASK, messages=messages))

    assert body["messages"] == [
        {"role": "user", "content": "?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_a1",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": '{"ort":  "Köln"'},
                },
                clock,
            ],
        },
        {"role": "tool", "content": "a town", "tool_call_id": "call_a1"},
        {"role": "tool", "content": "", "tool_call_id": "call_b2"},
        {"role": "assistant", "content": "And now:", "tool_calls": [clock]},
    ]


@OPENAIS_WORDS
def test_json_is_asked_for_as_an_object_or_by_its_schema(name: str, transport: Transport) -> None:
    by_schema = replace(ASK, json=True, json_schema=SCHEMA)
    wanted = {"name": "answer", "schema": SCHEMA}

    assert sent(name, transport, replace(ASK, json=True))["response_format"] == {
        "type": "json_object"
    }
    assert sent(name, transport, by_schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": wanted,
    }
    strict = sent(name, transport, by_schema, strict_schema=True)
    assert strict["response_format"]["json_schema"] == {**wanted, "strict": True}


@OPENAIS_WORDS
def test_a_server_with_one_json_format_is_asked_in_that_one(
    name: str, transport: Transport
) -> None:
    body = sent(
        name,
        transport,
        replace(ASK, json=True),
        json_formats=["json_schema"],
        strict_schema=True,  # which this schema is not
    )
    error = refused(name, transport, replace(ASK, json_schema=SCHEMA), json_formats=["json_object"])

    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    assert error.kind == "incapable"
    assert "json_formats" in error.message


@EVERY
def test_pictures_go_as_parts_beside_the_text(name: str, transport: Transport) -> None:
    url = "https://pictures.example/a.png"

    body = sent(name, transport, with_images(url, PICTURE), **SEES)
    silent = sent(name, transport, with_images("DATA:,x", "HTTP://a", text=""), **SEES)

    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "image_url", "image_url": {"url": PICTURE}},
            ],
        }
    ]
    assert [part["type"] for part in silent["messages"][0]["content"]] == ["image_url"] * 2


@EVERY
def test_pictures_over_the_limit_together_are_not_sent(name: str, transport: Transport) -> None:
    most = 2 * len(PICTURE)
    far = "https://pictures.example/" + "a" * most

    error = refused(
        name, transport, with_images(PICTURE, PICTURE), **SEES, max_image_bytes=most - 1
    )
    sent(name, transport, with_images(PICTURE, far, PICTURE), **SEES, max_image_bytes=most)

    assert error.kind == "incapable"
    assert str(most) in error.message


NEEDS = {
    "tools": replace(ASK, tools=(Tool(name="look_up"),)),
    "json": replace(ASK, json=True),
    "images": with_images(PICTURE),
}


@pytest.mark.parametrize("need", list(NEEDS))
@EVERY
def test_what_it_can_not_honour_is_refused_and_nothing_is_sent(
    name: str, transport: Transport, need: str
) -> None:
    others = [word for word in NEEDS if word != need]

    for abilities in ([], others):
        error = refused(name, transport, NEEDS[need], abilities=abilities)
        assert error.kind == "incapable"
        assert error.message.endswith(f"this needs: {need}")


@EVERY
def test_it_takes_tools_and_json_unless_told_and_pictures_only_when_told(
    name: str, transport: Transport
) -> None:
    def abilities(**options: Any) -> Any:
        bound = target(name, "http://127.0.0.1:9/v1", transport, options=options)
        return getattr(providers.build(bound), "abilities", None)

    assert abilities() == {"tools", "json"}
    assert abilities(**SEES) == {"images", "tools", "json"}
    assert abilities(abilities=[]) == frozenset()
    assert "images" in refused(name, transport, NEEDS["images"]).message


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(with_images("file:///etc/passwd"), id="picture-in-a-file"),
        pytest.param(with_images("pictures.example/a.png"), id="picture-without-scheme"),
        pytest.param(replace(ASK, json_schema={"a": {1, 2}}), id="set-in-a-schema"),
        pytest.param(replace(ASK, json_schema={"a": float("nan")}), id="nan-in-a-schema"),
        pytest.param(replace(ASK, json_schema={"a": 2**64}), id="number-past-64-bits"),
        pytest.param(replace(ASK, json_schema={"a": "\ud800"}), id="half-a-pair-in-a-schema"),
        pytest.param(replace(ASK, tools=(Tool(name="\ud800"),)), id="half-a-pair-in-a-name"),
        pytest.param(with_images("data:,\ud800"), id="half-a-pair-in-an-address"),
    ],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_no_wire_carries_is_refused_before_it_is_sent(transport: Transport, ask: Ask) -> None:
    error = refused("openai_compatible", transport, ask, **SEES)

    assert error.kind == "refused"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_schema_may_be_any_mapping_and_both_transports_write_it_alike(
    transport: Transport,
) -> None:
    odd: Any = {"properties": {1: (True, None, 0.5)}}

    body = sent("openai_compatible", transport, replace(ASK, json_schema=odd))

    assert body["response_format"]["json_schema"]["schema"] == {
        "properties": {"1": [True, None, 0.5]}
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pictures_of_many_megabytes_arrive_whole(transport: Transport) -> None:
    picture = "data:image/png;base64," + "QUJD" * 2_000_000

    body = sent("openai_compatible", transport, with_images(picture), **SEES)

    assert body["messages"][0]["content"][1]["image_url"]["url"] == picture


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_twenty_megabytes_of_pictures_are_the_most_unless_told(transport: Transport) -> None:
    picture = "data:image/png;base64," + "QUJD" * 5_000_000

    error = refused("openai_compatible", transport, with_images(picture), **SEES)

    assert error.kind == "incapable"
    assert "20,000,000" in error.message
