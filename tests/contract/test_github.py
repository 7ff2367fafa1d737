"""What GitHub Models had beside the chat wire: addresses, ids, organisations, an end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from contract.calls import TRANSPORTS, Heard, listen, opened, target
from contract.replay import WIRE, Recording, Replay, load

from router import config, providers
from router.compose import fit
from router.errors import ConfigError
from router.providers.base import Target, Transport

PLAIN = load(WIRE / "common" / "plain.http")
OWN = "https://models.github.ai/inference"
OLDER = "https://models.inference.ai.azure.com"


def built(base_url: str | None, model: str = "openai/gpt-4.1", **options: Any) -> Any:
    return providers.build(
        Target(
            name="gh",
            tier="t",
            provider="github_models",
            model=model,
            base_url=base_url,
            api_key="k",
            options=options,
        )
    )


@pytest.mark.parametrize("base_url", [None, OWN, OWN + "/"])
def test_its_own_address_knows_models_by_publisher_and_name(base_url: str | None) -> None:
    assert built(base_url).endpoint.chat_url == f"{OWN}/chat/completions"
    for model in ("gpt-4.1", "openai/", "/gpt-4.1"):
        with pytest.raises(ConfigError, match=r"targets\.gh\.model.*publisher and name"):
            built(base_url, model)


def test_its_older_address_knew_them_by_name_alone() -> None:
    assert built(OLDER, "gpt-4o").endpoint.chat_url == f"{OLDER}/chat/completions"
    with pytest.raises(ConfigError, match=r"targets\.gh\.model.*name alone.*gpt-4o"):
        built(OLDER, "openai/gpt-4o")


def test_a_look_alike_knows_models_by_what_it_likes() -> None:
    for model in ("gpt-4o", "openai/gpt-4o"):
        assert built("https://models.corp.example/inference", model)


def test_an_organisation_pays_at_an_address_of_its_own() -> None:
    provider = built(None, org="my-org")

    assert provider.endpoint.base_url == "https://models.github.ai/orgs/my-org/inference"


@pytest.mark.parametrize(
    ("base_url", "org"),
    [
        (None, "no/slash"),
        (None, "-x"),
        (None, "a" * 40),
        (None, ""),
        (None, 7),
        (OLDER, "my-org"),
        ("https://models.github.ai/orgs/other/inference", "my-org"),
    ],
)
def test_an_organisation_that_can_be_none_is_refused(base_url: str | None, org: Any) -> None:
    with pytest.raises(ConfigError, match=r"targets\.gh\.options\.org"):
        built(base_url, "gpt-4o" if base_url == OLDER else "openai/gpt-4o", org=org)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_for_an_organisation_goes_there_with_githubs_headers(transport: Transport) -> None:
    async def main() -> Replay:
        async with Replay([PLAIN]) as replay:
            bound = target(
                "github_models", replay.url("/inference"), transport, options={"org": "my-org"}
            )
            async with opened(providers.build(bound)) as provider:
                await listen(provider)
        return replay

    (sent,) = asyncio.run(main()).sent

    assert sent.line == "POST /orgs/my-org/inference/chat/completions HTTP/1.1"
    assert sent.values("x-github-api-version") == ["2022-11-28"]


def limited(transport: Transport, *headers: str, message: str = "") -> Heard:
    body = f'{{"error": {{"code": "RateLimitReached", "message": "{message}"}}}}'.encode()
    lines = ["HTTP/1.1 429 Too Many Requests", *headers, f"Content-Length: {len(body)}"]
    refusal = Recording("made here", "", {}, "\r\n".join([*lines, "", ""]).encode(), (body,), "end")

    async def main() -> Heard:
        async with Replay([refusal]) as replay:
            bound = target("github_models", replay.url(), transport)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    return asyncio.run(main())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("headers", "message", "wait_s"),
    [
        (["x-ratelimit-type: UserConcurrentRequests", "retry-after: 0"], "", 1.0),
        (["x-ratelimit-type: UserConcurrentRequests"], "", 1.0),
        ([], "exceeded for UserConcurrentRequests. Please wait 0 seconds", 1.0),
        (["x-ratelimit-type: UserConcurrentRequests", "retry-after: 3"], "", 3.0),
        (["x-ratelimit-type: UserByMinute", "retry-after: 0"], "", 0.0),
    ],
)
def test_the_limit_on_calls_at_once_is_never_retried_at_once(
    transport: Transport, headers: list[str], message: str, wait_s: float
) -> None:
    error = limited(transport, *headers, message=message).error

    assert error is not None
    assert (error.kind, error.retryable, error.retry_after_s) == ("rate_limited", True, wait_s)


def test_a_config_that_names_it_loads_with_a_warning_of_its_end_and_what_to_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "firsthop.yaml"
    file.write_text(
        "version: 1\npolicy: cloud-only\ntargets:\n  old:\n    tier: cloud-fast\n"
        "    provider: github_models\n    model: openai/gpt-4o-mini\n"
        "    api_key: {env: GITHUB_TOKEN}\n    price: device/*@2024-01-01\n"
    )

    with caplog.at_level(logging.WARNING):
        fit(config.load(file, {"GITHUB_TOKEN": "k"}))

    (said,) = [r.getMessage() for r in caplog.records if "github_models" in r.getMessage()]
    assert "old" in said
    assert "2026-07-30" in said
    assert "azure_ai or nvidia_nim" in said
