"""Microsoft Entra ID: tokens instead of keys, in every form and over both transports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from contract.calls import FORMS, KEY, TRANSPORTS, Heard, listen, opened, target
from contract.check_server import LISTED, TURNED_AWAY, reply
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.clock import ManualClock
from router.errors import ConfigError, HopError
from router.providers import azure_ai
from router.providers.azure_entra import Identity, Tokens
from router.providers.base import Transport
from router.providers.check import Check

PLAIN = load(WIRE / "common" / "plain.http")
ENTRA = {"auth": "entra"}
NAMES = ["azure_ai", *FORMS]
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)
SECRET = "token-of-the-credential-0"
HOUR_S = 3600
SCOPES = {
    "azure_ai": "https://ai.azure.com/.default",
    "azure_ai:deployments": "https://cognitiveservices.azure.com/.default",
    "azure_ai:online": "https://ml.azure.com/.default",
    "azure_ai:inference": "https://ml.azure.com/.default",
}


@dataclass(frozen=True)
class Given:
    token: str
    expires_on: int


@dataclass
class Handed:
    """A credential that hands out what it was given, one after the other, and counts."""

    lives_s: float = HOUR_S
    fails: list[Exception] = field(default_factory=list)
    clock: ManualClock | None = None
    gate: asyncio.Event | None = None
    scopes: list[str] = field(default_factory=list)
    closed: int = 0

    async def get_token(self, *scopes: str) -> Given:
        self.scopes += scopes
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        now = 4_000_000_000.0 if self.clock is None else self.clock.wall()
        return Given(f"token-of-the-credential-{len(self.scopes) - 1}", int(now + self.lives_s))

    async def close(self) -> None:
        self.closed += 1


def entra(name: str, replay: Replay, transport: Transport, **options: Any) -> Any:
    bound = target(name, replay.url(), transport, api_key=None, options={**ENTRA, **options})
    return bound


def asked(
    name: str, transport: Transport, handed: Handed, *script: Recording, **options: Any
) -> tuple[list[Heard], Replay]:
    """A call for each recording."""

    async def main() -> tuple[list[Heard], Replay]:
        async with Replay(list(script or [PLAIN])) as replay:
            bound = entra(name, replay, transport, **options)
            async with opened(azure_ai.build(bound, credential=handed)) as provider:
                return [await listen(provider) for _ in script or [PLAIN]], replay

    return asyncio.run(main())


@pytest.mark.parametrize("name", NAMES)
@EACH_WAY
def test_a_token_goes_as_a_bearer_and_is_asked_for_once(name: str, transport: Transport) -> None:
    handed = Handed()

    heard, replay = asked(name, transport, handed, PLAIN, PLAIN, PLAIN)

    assert [h.text for h in heard] == ["Hello, you."] * 3
    assert [s.values("authorization") for s in replay.sent] == [[f"Bearer {SECRET}"]] * 3
    assert [s.values("api-key") for s in replay.sent] == [[]] * 3
    assert handed.scopes == [SCOPES[name]]
    assert handed.closed == 1


def looked(handed: Handed, *script: Recording) -> tuple[Check, Replay]:
    """A look between two calls, on another event loop than theirs would be."""

    async def main() -> tuple[Check, Replay]:
        async with Replay(list(script)) as replay:
            built: Any = azure_ai.build(entra("azure_ai", replay, "lean"), credential=handed)
            return await built.check(), replay

    return asyncio.run(main())


def test_a_look_fetches_a_token_and_leaves_the_credential_to_its_owner() -> None:
    handed = Handed()

    found, replay = looked(handed, LISTED, TURNED_AWAY)

    assert (found.reachable, found.authorised) == (True, True)
    assert [s.values("authorization") for s in replay.sent] == [[f"Bearer {SECRET}"], []]
    assert (handed.scopes, handed.closed) == ([SCOPES["azure_ai"]], 0)


def test_a_look_without_a_token_says_what_to_try() -> None:
    refuses = Handed(fails=[ClientAuthenticationError("nobody is signed in")])
    away = Handed(fails=[ServiceRequestError("no way there")])

    found, replay = looked(refuses, TURNED_AWAY)
    unknown, _ = looked(away, TURNED_AWAY, LISTED)

    assert (found.reachable, found.authorised) == (True, False)
    assert "az login" in found.says[0]
    assert replay.sent[0].values("authorization") == []
    assert unknown.authorised is None
    assert "nobody could be asked" in unknown.says[0]


def test_a_token_that_is_turned_away_at_a_look_is_told_with_its_scope_and_not_shown() -> None:
    refused = reply({"error": {"message": f"no role: {SECRET}"}}, "403 Forbidden")

    found, _ = looked(Handed(), refused)

    assert (found.reachable, found.authorised) == (True, False)
    assert SECRET not in str(found)
    assert SCOPES["azure_ai"] in str(found.says)


@EACH_WAY
def test_the_scope_can_be_another_clouds(transport: Transport) -> None:
    handed = Handed()

    asked("azure_ai", transport, handed, scope="https://ai.azure.us/.default")

    assert handed.scopes == ["https://ai.azure.us/.default"]


@EACH_WAY
def test_a_token_that_can_not_be_had_says_what_to_try_and_nothing_is_sent(
    transport: Transport,
) -> None:
    handed = Handed(fails=[ClientAuthenticationError("no identity here")])

    (heard,), replay = asked("azure_ai", transport, handed)

    assert replay.sent == []
    assert heard.error is not None
    assert (heard.error.kind, heard.error.unbilled) == ("auth_failed", True)
    assert "az login" in heard.error.message
    assert "no identity here" in heard.error.message


@EACH_WAY
def test_an_authority_out_of_reach_may_be_asked_again(transport: Transport) -> None:
    handed = Handed(fails=[ServiceRequestError("no route")])

    heard, replay = asked("azure_ai", transport, handed, PLAIN, PLAIN)

    assert heard[0].error is not None
    assert (heard[0].error.kind, heard[0].error.retryable) == ("unavailable", True)
    assert heard[0].error.unbilled
    assert heard[1].text == "Hello, you."
    assert len(replay.sent) == 1


@EACH_WAY
def test_a_token_that_is_turned_away_is_fetched_anew_and_shown_nowhere(
    transport: Transport,
) -> None:
    body = json.dumps({"error": {"code": "401", "message": f"bad token {SECRET}"}}).encode()
    head = b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    turned_away = Recording("made here", "", {}, head % len(body), (body,), "end")
    handed = Handed()

    heard, replay = asked("azure_ai", transport, handed, turned_away, PLAIN)

    assert heard[0].error is not None
    assert heard[0].error.kind == "auth_failed"
    assert "role" in heard[0].error.message
    assert SECRET not in heard[0].error.message
    assert heard[1].text == "Hello, you."
    assert [s.values("authorization") for s in replay.sent] == [
        [f"Bearer {SECRET}"],
        ["Bearer token-of-the-credential-1"],
    ]


@EACH_WAY
def test_waiting_for_a_token_ends_with_the_calls_time(transport: Transport) -> None:
    async def main() -> tuple[Heard, Replay]:
        handed = Handed(gate=asyncio.Event())
        async with Replay([PLAIN]) as replay:
            bound = target(
                "azure_ai", replay.url(), transport, api_key=None, options=ENTRA, timeout_s=0.2
            )
            async with opened(azure_ai.build(bound, credential=handed)) as provider:
                return await listen(provider), replay

    heard, replay = asyncio.run(main())

    assert heard.error is not None
    assert heard.error.kind == "timed_out"
    assert replay.sent == []


def tokens_of(handed: Handed) -> Tokens:
    assert handed.clock is not None
    return Tokens(Identity("default", "a-scope", lambda: handed), handed.clock)


def test_a_token_is_renewed_before_it_ends_and_nobody_waits_for_it() -> None:
    async def main() -> None:
        clock = ManualClock()
        handed = Handed(clock=clock)
        tokens = tokens_of(handed)
        assert await tokens.bearer() == SECRET
        clock.advance(HOUR_S - 400)
        assert await tokens.bearer() == SECRET
        assert len(handed.scopes) == 1
        clock.advance(150)  # 250 s are left
        handed.gate = asyncio.Event()
        assert await tokens.bearer() == SECRET  # at once, with the credential still at it
        assert await tokens.bearer() == SECRET
        await asyncio.sleep(0)
        handed.gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert await tokens.bearer() == "token-of-the-credential-1"
        assert len(handed.scopes) == 2
        await tokens.aclose()

    asyncio.run(main())


def test_a_renewal_that_fails_leaves_the_token_that_is_there_and_is_tried_again_later() -> None:
    async def main() -> None:
        clock = ManualClock()
        handed = Handed(clock=clock)
        tokens = tokens_of(handed)
        await tokens.bearer()
        clock.advance(HOUR_S - 200)
        handed.fails = [ServiceRequestError("no route")]
        for _ in range(3):
            assert await tokens.bearer() == SECRET
            for _ in range(5):
                await asyncio.sleep(0)
        assert len(handed.scopes) == 2
        clock.advance(31)
        assert await tokens.bearer() == SECRET
        for _ in range(5):
            await asyncio.sleep(0)
        assert await tokens.bearer() == "token-of-the-credential-2"
        await tokens.aclose()

    asyncio.run(main())


def test_a_token_that_has_ended_is_not_used() -> None:
    async def main() -> None:
        clock = ManualClock()
        handed = Handed(clock=clock, lives_s=100)
        tokens = tokens_of(handed)
        await tokens.bearer()
        clock.advance(71)
        assert await tokens.bearer() == "token-of-the-credential-1"
        await tokens.aclose()

    asyncio.run(main())


def test_many_calls_wait_for_one_token_and_one_that_leaves_takes_nothing_away() -> None:
    async def main() -> None:
        handed = Handed(clock=ManualClock(), gate=asyncio.Event())
        tokens = tokens_of(handed)
        waiting = [asyncio.create_task(tokens.bearer()) for _ in range(20)]
        while not handed.scopes:
            await asyncio.sleep(0.001)
        waiting[0].cancel()
        assert handed.gate is not None
        handed.gate.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [SECRET] * 19
        assert len(handed.scopes) == 1
        await tokens.aclose()
        await tokens.aclose()
        assert handed.closed == 1

    asyncio.run(main())


def test_closing_stops_a_fetch_under_way() -> None:
    async def main() -> None:
        handed = Handed(clock=ManualClock(), gate=asyncio.Event())
        tokens = tokens_of(handed)
        waiting = asyncio.create_task(tokens.bearer())
        while not handed.scopes:
            await asyncio.sleep(0.001)
        await tokens.aclose()
        with pytest.raises((HopError, asyncio.CancelledError)):
            await waiting
        assert handed.closed == 1

    asyncio.run(main())


@asynccontextmanager
async def identity_endpoint(
    monkeypatch: pytest.MonkeyPatch, status: str, answer: dict[str, Any]
) -> AsyncIterator[Replay]:
    """A loopback stand-in of the endpoint that App Service gives a process with an identity."""
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    recording = Recording("made here", "", {}, f"{head}\r\n\r\n".encode(), (body,), "end")
    async with Replay([recording]) as replay:
        monkeypatch.setenv("IDENTITY_ENDPOINT", replay.url("/msi/token"))
        monkeypatch.setenv("IDENTITY_HEADER", "a-header-of-the-machine")
        yield replay


@pytest.mark.parametrize("name", ["azure_ai", "azure_ai:inference"])
@EACH_WAY
def test_azure_identity_gets_a_token_from_a_managed_identity(
    name: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {
        "access_token": "token-of-the-machine",
        "expires_on": "4000000000",
        "resource": SCOPES[name].removesuffix("/.default"),
        "token_type": "Bearer",
    }

    async def main() -> tuple[list[Heard], Replay, Replay]:
        async with (
            identity_endpoint(monkeypatch, "200 OK", answer) as authority,
            Replay([PLAIN]) as replay,
        ):
            options = {**ENTRA, "credential": "managed_identity", "client_id": "an-identity"}
            bound = target(name, replay.url(), transport, api_key=None, options=options)
            async with opened(providers.build(bound)) as provider:
                return [await listen(provider) for _ in range(2)], replay, authority

    heard, replay, authority = asyncio.run(main())

    assert [h.text for h in heard] == ["Hello, you."] * 2, heard[0].error
    assert [s.values("authorization") for s in replay.sent] == [["Bearer token-of-the-machine"]] * 2
    (sent,) = authority.sent
    assert "client_id=an-identity" in sent.line
    assert sent.values("x-identity-header") == ["a-header-of-the-machine"]


def test_what_azure_identity_finds_by_itself_is_used_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = {
        "access_token": "token-of-the-machine",
        "expires_on": "4000000000",
        "resource": "https://ai.azure.com",
        "token_type": "Bearer",
    }

    async def main() -> tuple[Heard, Replay]:
        async with (
            identity_endpoint(monkeypatch, "200 OK", answer),
            Replay([PLAIN]) as replay,
        ):
            bound = target("azure_ai", replay.url(), "lean", api_key=None, options=ENTRA)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider), replay

    heard, replay = asyncio.run(main())

    assert heard.text == "Hello, you.", heard.error
    assert replay.sent[0].values("authorization") == ["Bearer token-of-the-machine"]


def test_azure_identity_without_an_identity_says_what_to_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> Heard:
        answer = {"statusCode": 400, "message": "No managed identity found"}
        async with (
            identity_endpoint(monkeypatch, "400 Bad Request", answer),
            Replay([PLAIN]) as replay,
        ):
            options = {**ENTRA, "credential": "managed_identity"}
            bound = target("azure_ai", replay.url(), "lean", api_key=None, options=options)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    error = asyncio.run(main()).error

    assert error is not None
    assert (error.kind, error.unbilled) == ("auth_failed", True)
    assert "give this machine a managed identity" in error.message


@pytest.mark.parametrize(
    ("options", "key", "field", "says"),
    [
        ({"auth": "entr"}, None, "auth", "entra"),
        ({"auth": "entra"}, KEY, "auth", "api_key"),
        ({"scope": "https://x/.default"}, KEY, "scope", "auth: entra"),
        ({"client_id": "x"}, KEY, "client_id", "auth: entra"),
        ({"auth": "entra", "credential": "azure_cl"}, None, "credential", "azure_cli"),
        ({"auth": "entra", "client_id": "x"}, None, "client_id", "credential: default"),
        ({"auth": "entra", "scope": 7}, None, "scope", "text"),
    ],
)
def test_options_of_entra_that_can_not_be_meant_are_refused(
    options: dict[str, Any], key: str | None, field: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        azure_ai.build(
            target("azure_ai", "http://127.0.0.1:9", "lean", api_key=key, options=options)
        )

    assert caught.value.field == f"targets.cloud.options.{field}"
    assert says in str(caught.value)
