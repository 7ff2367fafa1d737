"""Looking at those that can tell more than a list of models, or tell it in their own way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from contract.calls import MODEL, listen, opened, target
from contract.check_server import LISTED, NOT_THERE, READY, TURNED_AWAY, looked, reply
from contract.nim_server import SHAPED
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.providers.base import Target
from router.providers.check import Check
from router.providers.github_models import DIALECT as GITHUB
from router.providers.github_wire import GitHubWire

PLAIN = load(WIRE / "common" / "plain.http")

# NIM


@pytest.mark.parametrize(
    ("health", "ready"),
    [
        pytest.param([READY], True, id="ready"),
        pytest.param([reply({}, "503 No"), READY], False, id="loading"),
        pytest.param([reply({}, "503 No"), reply({}, "502 No")], False, id="down"),
        pytest.param([NOT_THERE], None, id="no-nim-but-its-wire"),
    ],
)
def test_a_container_of_ones_own_tells_its_health_and_version(
    health: list[Recording], ready: bool | None
) -> None:
    script = [LISTED, TURNED_AWAY, *health, reply({"release": "2.0.1", "api": "2.0.1"})]

    found, replay = looked("nvidia_nim", *script)

    assert (found.ready, found.version) == (ready, "NIM 2.0.1")
    lines = [sent.line.split()[1] for sent in replay.sent]
    assert (
        lines[2:4]
        == ["/v1/health/ready", "/v1/health/live"][: len(health)]
        + ["/v1/version"][: 2 - len(health)]
    )
    assert ("not loaded" in str(found.says)) is (ready is False and health[-1] is READY)
    assert ("not up" in str(found.says)) is (ready is False and health[-1] is not READY)


def test_a_container_that_is_starting_is_not_taken_for_one_without_a_version() -> None:
    starting = reply({}, "503 No")
    script = [LISTED, TURNED_AWAY, starting, READY, starting, reply({"release": "1.8.0"}), PLAIN]

    async def main() -> tuple[Check, Any]:
        async with (
            Replay(script) as replay,
            opened(providers.build(target("nvidia_nim", replay.url(), "lean"))) as provider,
        ):
            built: Any = provider
            found = await built.check()
            await listen(provider, SHAPED)
            return found, replay.sent[-1].body

    found, body = asyncio.run(main())

    assert (found.ready, found.version) == (False, None)
    assert "503" in found.says[-1]
    assert "nvext" in body


def test_a_look_teaches_which_version_a_container_is() -> None:
    script = [LISTED, TURNED_AWAY, READY, reply({"release": "1.8.0"}), PLAIN]

    async def main() -> list[str]:
        async with (
            Replay(script) as replay,
            opened(providers.build(target("nvidia_nim", replay.url(), "lean"))) as provider,
        ):
            built: Any = provider
            await built.check()
            await listen(provider, SHAPED)
            return [sent.line.split()[1] for sent in replay.sent[4:]]

    assert asyncio.run(main()) == ["/v1/chat/completions"]


# GitHub Models


@pytest.mark.parametrize(
    ("path", "catalogue"),
    [
        ("/inference", "/catalog/models"),
        ("/orgs/an-org/inference", "/catalog/models"),
        ("/gh/inference/", "/gh/catalog/models"),
        ("", "/models"),
    ],
)
def test_githubs_catalogue_is_found_beside_its_address(path: str, catalogue: str) -> None:
    entries = reply(
        [
            {"id": "openai/gpt-4.1", "name": "OpenAI GPT-4.1", "rate_limit_tier": "high"},
            {"id": "azureml://registries/azure-openai/models/gpt-4o/versions/2", "name": "gpt-4o"},
        ]
    )

    async def main(model: str) -> tuple[Check, str]:
        async with Replay([entries]) as replay:
            bound = target("github_models", replay.url(path), "lean", model=model)
            found = await GitHubWire(bound, GITHUB).check()
            return found, replay.sent[0].line.split()[1]

    for model in ("openai/gpt-4.1", "gpt-4o"):
        found, asked = asyncio.run(main(model))
        assert (found.model_exists, asked) == (True, catalogue)
        assert found.retires == "2026-07-30"
    assert asyncio.run(main("openai/gpt-4"))[0].model_exists is False


# Azure's forms


@pytest.mark.parametrize(
    ("form", "path", "asked"),
    [
        pytest.param("azure_ai", "/openai/v1", "/openai/v1/models", id="v1"),
        pytest.param("azure_ai", "/openai/v1?api-version=preview",
                     "/openai/v1/models?api-version=preview", id="v1-preview"),
        pytest.param("azure_ai:deployments", "/openai/deployments/d",
                     "/openai/models?api-version=2024-10-21", id="versioned"),
        pytest.param("azure_ai:online", "/v1", "/v1/models", id="model-server"),
        pytest.param("azure_ai:deployments", "/a/gateway", None, id="a-gateway-of-a-deployment"),
        pytest.param("azure_ai:online", "/score", None, id="scoring-script"),
        pytest.param("azure_ai:inference", "/models", None, id="inference"),
    ],
)  # fmt: skip
def test_each_form_of_azure_is_asked_where_its_list_lies(
    form: str, path: str, asked: str | None
) -> None:
    async def main() -> tuple[Check, Replay]:
        async with Replay([LISTED, TURNED_AWAY]) as replay:
            built: Any = providers.build(target(form, replay.url(path), "lean"))
            async with opened(built):
                return await built.check(), replay

    found, replay = asyncio.run(main())

    if asked is None:
        assert (found.reachable, found.authorised, found.model_exists) == (None, None, None)
        assert "has no list of models" in found.says[0]
        assert found.retires == ("2026-08-26" if path == "/models" else None)
        assert replay.connections == 0
    else:
        assert (found.reachable, found.authorised, found.model_exists) == (True, True, None)
        assert [sent.line.split()[1] for sent in replay.sent] == [asked, asked]


def test_azures_older_list_tells_when_a_model_ends() -> None:
    entry = {"id": MODEL, "deprecation": {"fine_tune": 1, "inference": 1_800_000_000}}
    found, _ = looked("azure_ai", reply({"data": [entry]}), TURNED_AWAY)
    odd, _ = looked("azure_ai", reply({"data": [{"id": MODEL, "deprecation": 7}]}), TURNED_AWAY)

    assert (found.retires, odd.retires) == ("2027-01-15", None)


# Ollama, the device, a script

TAGS = reply({"models": [{"name": f"{MODEL}:latest", "model": f"{MODEL}:latest"}]})
AWAY = reply({"models": [{"name": MODEL, "remote_host": "https://ollama.com:443"}]})
VERSION = reply({"version": "0.40.2"})


@pytest.mark.parametrize(
    ("tags", "options", "ready", "exists", "said"),
    [
        pytest.param(TAGS, {}, None, True, "", id="there"),
        pytest.param(reply({"models": []}), {}, None, False, "ollama pull", id="not-pulled"),
        pytest.param(AWAY, {}, False, True, "here: false", id="elsewhere-but-meant-here"),
        pytest.param(AWAY, {"here": False}, None, True, "", id="elsewhere-and-meant-so"),
        pytest.param(reply([]), {}, None, None, "no list", id="not-ollama"),
        pytest.param(NOT_THERE, {}, None, None, "no list", id="nothing-there"),
    ],
)
def test_an_ollama_server_tells_its_version_and_its_models(
    tags: Recording, options: Any, ready: bool | None, exists: bool | None, said: str
) -> None:
    found, replay = looked("ollama", tags, VERSION, options=options, api_key=None)

    assert (found.reachable, found.ready, found.model_exists) == (True, ready, exists)
    assert found.version == (None if exists is None else "Ollama 0.40.2")
    assert said in str(found.says)
    assert replay.sent[0].line == "GET /api/tags HTTP/1.1"


def test_an_ollama_behind_a_key_tells_whether_it_takes_it_and_what_it_has() -> None:
    found, _ = looked("ollama", TAGS, TURNED_AWAY, VERSION)
    anybody, replay = looked("ollama", TAGS, TAGS, reply({}, "500 Oh"))
    bare, _ = looked("ollama", TAGS, VERSION, api_key=None)

    assert (found.authorised, found.version) == (True, "Ollama 0.40.2")
    assert found.models == (f"{MODEL}:latest",)
    assert (anybody.authorised, anybody.version, anybody.model_exists) == (None, None, True)
    assert anybody.url == f"{replay.url('')}/api/tags"
    assert bare.authorised is None


def test_a_cloud_model_of_ollama_is_in_no_list_until_it_was_run() -> None:
    found, _ = looked("ollama", reply({"models": []}), VERSION, model="big:cloud")

    assert (found.model_exists, found.well) == (None, True)


def test_the_device_tells_whether_its_model_can_be_read(tmp_path: Path) -> None:
    async def main(model: str) -> Check:
        built: Any = providers.build(Target(name="d", tier="t", provider="device", model=model))
        found: Check = await built.check()
        await built.aclose()
        return found

    (tmp_path / "genai_config.json").write_text(
        json.dumps({"model": {"type": "llama", "context_length": 2048}})
    )
    good = asyncio.run(main(str(tmp_path)))
    bad = asyncio.run(main(str(tmp_path / "none")))

    assert (good.reachable, good.model_exists, good.context_limit) == (True, True, 2048)
    assert good.ready is None
    assert (bad.reachable, bad.model_exists, bad.well) == (False, False, False)
    assert "genai_config.json" in bad.says[0]
