"""Looking at a target without a call: what each provider finds out, and what it must not do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from contract.calls import (
    HTTP_PROVIDERS,
    KEY,
    MODEL,
    OWN,
    SHIPPED,
    dialect_of,
    listen,
    target,
)
from contract.check_server import LISTED, NOT_THERE, READY, TURNED_AWAY, listing, looked, reply
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.clock import ManualClock
from router.providers.check import Check, Checkable
from router.providers.openai_wire import OpenAIWire

PLAIN = load(WIRE / "common" / "plain.http")


EVERY = pytest.mark.parametrize("name", HTTP_PROVIDERS)


def there(name: str) -> bool | None:
    """What a list that has the model tells of it: of a deployment it tells nothing."""
    return True if dialect_of(name).lists_models else None


@pytest.mark.parametrize("name", SHIPPED)
def test_every_provider_can_be_looked_at(name: str) -> None:
    options = {"steps": [{"text": "yes"}]} if name == "scripted" else {}
    bound = target(name, "http://127.0.0.1:9", "lean", options=options)

    assert isinstance(providers.build(bound), Checkable)


@EVERY
def test_a_target_that_is_well(name: str) -> None:
    found, replay = looked(name, LISTED, TURNED_AWAY, READY)

    assert (found.reachable, found.authorised, found.well) == (True, True, True)
    assert found.model_exists is there(name)
    assert found.models == ("another", MODEL)
    assert found.url == f"{replay.url()}/models"
    assert found.took_s is not None
    assert found.retires == dialect_of(name).retired
    assert replay.sent[0].line == "GET /v1/models HTTP/1.1"
    assert {n for n, value in replay.sent[0].headers if KEY in value} == set(
        dialect_of(name).key_headers
    )
    assert KEY not in str(replay.sent[1])
    assert all(sent.raw_body == b"" for sent in replay.sent)


@EVERY
def test_a_list_for_everybody_proves_nothing_of_a_key(name: str) -> None:
    found, _ = looked(name, LISTED, LISTED, READY)

    assert (found.reachable, found.authorised, found.model_exists) == (True, None, there(name))


@EVERY
def test_what_was_found_stays_found_when_the_second_question_gets_no_answer(name: str) -> None:
    found, _ = looked(name, LISTED, Recording("made here", "", {}, b"", (), "cut"), READY)

    assert (found.reachable, found.authorised, found.model_exists) == (True, None, there(name))


@EVERY
def test_a_key_that_is_turned_away_is_named_and_not_shown(name: str) -> None:
    found, _ = looked(name, TURNED_AWAY)

    assert (found.reachable, found.authorised, found.well) == (True, False, False)
    assert KEY not in str(found)
    assert "[secret]" in found.says[0]


@EVERY
def test_a_missing_key_is_told_beside_what_else_is_found(name: str) -> None:
    found, replay = looked(name, LISTED, READY, api_key=None)

    assert found.reachable
    # At an address of one's own only who has no other, as Azure, can't do without.
    dialect = dialect_of(name)
    needs_one = dialect.base_url is None and bool(dialect.key_env)
    assert (found.authorised is False) is needs_one
    assert (dialect.key_env[0] in str(found.says)) if needs_one else not found.says
    assert all(sent.values("authorization") == [] for sent in replay.sent)


@EVERY
def test_a_model_that_is_not_in_the_list_is_not_there(name: str) -> None:
    near = listing({"id": MODEL + "-2"})

    found, _ = looked(name, near, near, READY)

    if dialect_of(name).lists_models:
        assert (found.model_exists, found.well) == (False, False)
        assert f"did you mean '{MODEL}-2'?" in found.says[0]
    else:
        assert found.model_exists is None


@EVERY
@pytest.mark.parametrize(
    ("told", "date"),
    [
        ("2027-01-14", "2027-01-14"),
        ("2027-01-14T00:00:00Z", "2027-01-14"),
        (1_800_000_000, "2027-01-15"),
        ("soon", None),
        (None, None),
        (True, None),
        (1e300, None),
    ],
)
def test_the_day_a_model_ends_is_told_where_the_list_has_it(
    name: str, told: Any, date: str | None
) -> None:
    found, _ = looked(name, listing({"id": MODEL, "shutdown_date": told}), TURNED_AWAY, READY)

    assert found.retires == (dialect_of(name).retired or date)


@EVERY
def test_a_list_that_echoes_the_key_among_its_names_does_not_show_it(name: str) -> None:
    found, _ = looked(name, listing({"id": f"{KEY}-1"}), TURNED_AWAY, READY)

    assert found.models == ("another", "[secret]-1")
    assert KEY not in str(found)


@EVERY
@pytest.mark.parametrize(("told", "limit"), [(4096, 4096), (0, None), ("4096", None), (True, None)])
def test_a_models_length_is_told_where_the_list_has_it(
    name: str, told: Any, limit: int | None
) -> None:
    found, _ = looked(name, listing({"id": MODEL, "max_model_len": told}), TURNED_AWAY, READY)

    assert found.context_limit == limit


@EVERY
@pytest.mark.parametrize(
    ("answer", "ready", "exists"),
    [
        pytest.param(NOT_THERE, None, None, id="no-list"),
        pytest.param(reply({}, "410 Gone"), None, False, id="gone"),
        pytest.param(reply({}, "500 Oh"), False, None, id="broken"),
        pytest.param(reply({}, "429 Too Many"), None, None, id="limited"),
        pytest.param(reply({"data": "none"}), None, None, id="no-list-in-it"),
        pytest.param(reply([1, None, {"id": 3}]), None, False, id="a-list-of-anything"),
    ],
)
def test_what_else_the_list_may_be_is_not_taken_for_more_than_it_says(
    name: str, answer: Recording, ready: bool | None, exists: bool | None
) -> None:
    found, _ = looked(name, answer, answer, api_key=KEY)

    assert found.reachable
    assert found.authorised is None
    assert found.says or found.model_exists is None
    if not name.startswith("nvidia_nim"):
        assert found.ready is ready
    if dialect_of(name).lists_models or exists is None:
        assert found.model_exists is exists


@EVERY
def test_a_redirect_takes_no_key_along(name: str) -> None:
    async def main() -> tuple[Check, Replay]:
        async with Replay([LISTED]) as other:
            moved = reply({}, "302 Found", f"Location: {other.url()}/models")
            async with Replay([moved]) as replay:
                built: Any = providers.build(target(name, replay.url(), "lean"))
                return await built.check(), other

    found, other = asyncio.run(main())

    assert other.connections == 0
    assert found.reachable
    assert "redirects" in found.says[0]


@pytest.mark.parametrize("name", [*HTTP_PROVIDERS, "ollama"])
def test_nobody_there_is_not_reachable_and_nothing_is_raised(name: str) -> None:
    async def main() -> Check:
        async with Replay([PLAIN]) as replay:
            url = replay.url("" if name == "ollama" else "/v1")
        built: Any = providers.build(target(name, url, "lean"))
        return await built.check()

    found = asyncio.run(main())

    assert (found.reachable, found.well) == (False, False)
    assert "refuses connections" in found.says[0]


@pytest.mark.parametrize("name", [*HTTP_PROVIDERS, "ollama"])
@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(load(WIRE / "common" / "stall_at_once.http"), id="stall"),
        pytest.param(Recording("made here", "", {}, b"", (), "cut"), id="hung-up"),
        pytest.param(Recording("made here", "", {}, b"hello\r\n\r\n", (), "end"), id="not-http"),
        pytest.param(load(WIRE / "common" / "broken_gzip.http"), id="broken-gzip"),
        pytest.param(load(WIRE / "common" / "html_200.http"), id="a-page"),
        pytest.param(load(WIRE / "common" / "invalid_utf8.http"), id="no-text"),
        pytest.param(
            Recording(
                "made here",
                "",
                {},
                b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                (b"[" * 1_000_000,) * 17,
                "end",
            ),
            id="endless",
        ),
    ],
)
def test_no_answer_is_so_broken_that_a_look_at_it_raises(name: str, recording: Recording) -> None:
    found, _ = looked(name, recording, timeout_s=0.3)

    assert found.says
    assert found.model_exists is None


@pytest.mark.parametrize("name", OWN)
def test_a_look_belongs_to_no_event_loop_and_outlives_the_calls(name: str) -> None:
    async def main(built: Any) -> Check:
        async with Replay([PLAIN, LISTED, TURNED_AWAY, READY]) as replay:
            provider = built or providers.build(target(name, replay.url(), "lean"))
            if built is None:
                await listen(provider)
            await provider.aclose()
            found: Check = await provider.check()
            kept.append(provider)
            return found

    kept: list[Any] = []

    assert asyncio.run(main(None)).well
    assert asyncio.run(main(kept[0])).reachable is False  # that server has gone


def test_how_far_the_clocks_are_apart_is_told_by_the_servers_date() -> None:
    dated = reply({"data": []}, "200 OK", "Date: Sun, 22 Nov 2026 12:00:00 GMT")
    undated = reply({"data": []}, "200 OK", "Date: yesterday")

    async def main(answer: Recording) -> Check:
        async with Replay([answer]) as replay:
            bound = target("openai_compatible", replay.url(), "lean")
            wire = OpenAIWire(
                bound, dialect_of("openai_compatible"), clock=ManualClock(wall=1_795_349_100.0)
            )
            return await wire.check()

    assert asyncio.run(main(dated)).clock_ahead_s == pytest.approx(299.5)
    assert asyncio.run(main(undated)).clock_ahead_s is None
