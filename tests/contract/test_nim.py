"""What NVIDIA NIM does beside the chat wire: two versions, and schemas that are held to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from contract.calls import ASK, KEY, TRANSPORTS, Heard, listen, opened, target
from contract.nim_server import SCHEMA, SHAPED, failure, nim, reply, says
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.clock import ManualClock
from router.errors import ConfigError
from router.providers.base import Transport
from router.types import Ask, Usage

PLAIN = load(WIRE / "common" / "plain.http")
STALL = load(WIRE / "common" / "stall_at_once.http")
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)


def asked(
    transport: Transport, *script: Recording, ask: Ask = SHAPED, times: int = 1, **options: Any
) -> tuple[list[Heard], Replay]:
    """Calls one after the other to a container that plays `script`."""

    async def main() -> tuple[list[Heard], Replay]:
        async with (
            Replay(list(script)) as replay,
            opened(nim(replay.url(), transport, options=options)) as provider,
        ):
            return [await listen(provider, ask) for _ in range(times)], replay

    return asyncio.run(main())


def paths(replay: Replay) -> list[str]:
    return [sent.line.split()[1] for sent in replay.sent]


# Two versions


@EACH_WAY
@pytest.mark.parametrize("kind", ["nim1", "nim2"])
def test_a_version_that_is_named_is_asked_in_its_words(transport: Transport, kind: str) -> None:
    (heard,), replay = asked(transport, says('{"n": 1}'), dialect=kind)

    (sent,) = replay.sent
    assert heard.error is None
    if kind == "nim1":
        assert sent.body["nvext"] == {"guided_json": SCHEMA}
        assert "response_format" not in sent.body
    else:
        assert sent.body["response_format"]["json_schema"]["schema"] == SCHEMA
        assert "nvext" not in sent.body


@EACH_WAY
@pytest.mark.parametrize(
    ("told", "route", "kind"),
    [
        pytest.param([{"release": "1.10.1", "api": "1.4.0"}], 1, "nim1", id="version-1"),
        pytest.param([{"release": "2.0.3", "api": "2.0.3"}], 1, "nim2", id="version-2"),
        pytest.param([{"release": "v3.1"}], 1, "nim2", id="a-later-one"),
        pytest.param([None, {"version": "1.3.0", "modelInfo": []}], 2, "nim1", id="metadata"),
        pytest.param([None, None], 2, "nim2", id="no-nim-but-its-wire"),
        pytest.param([{"release": "nightly"}], 1, "nim2", id="no-number"),
        pytest.param([{"release": "0.0.0"}], 1, "nim2", id="a-build-of-ones-own"),
    ],
)
def test_a_container_is_asked_once_which_version_it_is(
    transport: Transport, told: list[Any], route: int, kind: str
) -> None:
    script = [reply(t, "404 Not Found" if t is None else "200 OK") for t in told]

    heard, replay = asked(transport, *script, says('{"n": 1}'), times=2)

    assert [h.error for h in heard] == [None, None]
    assert paths(replay) == [
        *["/v1/version", "/v1/metadata"][:route],
        "/v1/chat/completions",
        "/v1/chat/completions",
    ]
    for sent in replay.sent[route:]:
        assert ("nvext" in sent.body) is (kind == "nim1")
        assert ("response_format" in sent.body) is (kind == "nim2")
    assert all(sent.values("authorization") == [f"Bearer {KEY}"] for sent in replay.sent)


@EACH_WAY
def test_who_wants_no_schema_waits_for_no_question(transport: Transport) -> None:
    _, replay = asked(transport, says("{}"), ask=ASK)

    assert paths(replay) == ["/v1/chat/completions"]


@EACH_WAY
def test_any_object_is_asked_for_alike_in_both_versions(transport: Transport) -> None:
    _, replay = asked(transport, says("{}"), ask=replace(ASK, json=True), dialect="nim1")

    assert replay.sent[0].body["response_format"] == {"type": "json_object"}


@EACH_WAY
@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Recording("made here", "", {}, b"", (), "cut"), id="hung-up"),
        pytest.param(reply({}, "503 No"), id="starting"),
        pytest.param(reply({}, "401 No"), id="turned-away"),
    ],
)
def test_a_question_that_gets_no_answer_costs_its_time_once_a_minute(
    transport: Transport, refusal: Recording
) -> None:
    async def main() -> tuple[list[str], list[str]]:
        clock = ManualClock()
        async with (
            Replay(
                [refusal, says('{"n": 1}'), says('{"n": 1}'), reply({"release": "1.0"})]
            ) as replay,
            opened(nim(replay.url(), transport, clock)) as provider,
        ):
            await listen(provider, SHAPED)
            await listen(provider, SHAPED)
            before = paths(replay)
            clock.advance(61)
            await listen(provider, SHAPED)
            return before, paths(replay)[len(before) :]

    before, after = asyncio.run(main())

    assert before == ["/v1/version", "/v1/chat/completions", "/v1/chat/completions"]
    assert after[0] == "/v1/version"


@EACH_WAY
def test_a_question_that_takes_too_long_is_within_the_calls_time(transport: Transport) -> None:
    async def main() -> tuple[Heard, float]:
        async with (
            Replay([STALL]) as replay,
            opened(nim(replay.url(), transport, timeout_s=0.4)) as provider,
        ):
            began = asyncio.get_running_loop().time()
            heard = await listen(provider, SHAPED)
            return heard, asyncio.get_running_loop().time() - began

    heard, took_s = asyncio.run(main())

    assert failure(heard).kind == "timed_out"
    assert took_s < 2.0  # libraries are imported in it


def test_the_hosted_service_is_not_asked_for_a_version() -> None:
    provider = nim("https://integrate.api.nvidia.com/v1", "lean")

    async def learned() -> Any:
        return await provider._version.learn({})  # would fail the test by leaving loopback

    assert asyncio.run(learned()) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dialect": "nim3"}, "no dialect of NIM.*did you mean 'nim"),
        ({"status_url": 7}, "has to be an address"),
        ({"status_url": "api.nvcf.nvidia.com"}, r"options\.status_url.*http"),
        ({"status_uri": "x"}, "did you mean 'status_url'"),
    ],
)
def test_options_are_held_to_what_they_can_be(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        providers.build(target("nvidia_nim", "http://127.0.0.1:9/v1", "lean", options=options))


# Schemas held to


@EACH_WAY
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"n": "one"}', "n breaks 'type'"),
        ("{}", "breaks 'required'"),
        ('```json\n{"n": 1}\n```', "it is no JSON"),
        ("Here you are: 1", "it is no JSON"),
        ("", "it is no JSON"),
    ],
)
def test_json_that_breaks_its_schema_ends_in_an_error_of_its_own(
    transport: Transport, text: str, problem: str
) -> None:
    (heard,), _ = asked(transport, says(text), dialect="nim2")

    error = failure(heard)
    assert (error.kind, error.retryable, error.unbilled) == ("incapable", False, False)
    assert (error.target, problem in error.message) == ("cloud", True)
    assert heard.text == text
    assert heard.only("usage") == Usage(input_tokens=9, output_tokens=4)


@EACH_WAY
@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_says_so_itself(transport: Transport, finish: str) -> None:
    (heard,), _ = asked(transport, says('{"n"', finish), dialect="nim2")

    assert heard.error is None
    assert heard.only("finish") == finish


@EACH_WAY
def test_an_object_was_asked_for_and_a_list_is_none(transport: Transport) -> None:
    (heard,), _ = asked(transport, says("[1]"), ask=replace(ASK, json=True))

    assert failure(heard).kind == "incapable"
    assert "no object" in failure(heard).message


@EACH_WAY
def test_a_container_that_passed_over_a_schema_is_asked_again_what_it_is(
    transport: Transport,
) -> None:
    """As after an update of the container under a router that runs on."""
    script = [
        *[reply({"release": "1.8.0"}), says('{"n": 1}'), says("Well, one.")],
        *[reply({"release": "2.0.0"}), says('{"n": 1}')],
    ]

    heard, replay = asked(transport, *script, times=3)

    assert [h.error.kind if h.error else None for h in heard] == [None, "incapable", None]
    assert "nvext" in replay.sent[2].body
    assert "response_format" in replay.sent[4].body
