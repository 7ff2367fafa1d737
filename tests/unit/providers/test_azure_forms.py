"""Which form of Azure an address is of, and what follows from it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router import providers
from router.document import parse_yaml
from router.errors import ConfigError
from router.providers import abilities, azure_ai, azure_entra, azure_forms
from router.providers.azure_forms import Form, find_form
from router.providers.base import Target


def form(base_url: str, **options: Any) -> Form:
    return find_form(bound(base_url, **options), azure_ai.DIALECT)


def bound(base_url: str, **options: Any) -> Target:
    return Target(
        name="cloud",
        tier="strong",
        provider="azure_ai",
        model="my deployment",
        base_url=base_url,
        api_key="a-key-0123456789",
        options=options,
    )


RESOURCE = "https://res.openai.azure.com"
VERSION = "2024-10-21"
CHAT = "/chat/completions"
VERSIONED = f"{CHAT}?api-version={VERSION}"
MODELS = f"{CHAT}?api-version=2024-05-01-preview"
OLD = f"{RESOURCE}/openai/deployments/gpt"
ONLINE = "https://ep.westeurope.inference.ml.azure.com"
GOVERNMENT = "https://ep.usgovvirginia.inference.ml.azure.us"
CHINA = "https://ep.chinaeast2.inference.ml.azure.cn"


@pytest.mark.parametrize(
    ("base_url", "options", "name", "url"),
    [
        (RESOURCE, {}, "v1", f"{RESOURCE}/openai/v1{CHAT}"),
        (f"{RESOURCE}/", {}, "v1", f"{RESOURCE}/openai/v1{CHAT}"),
        (f"{RESOURCE}/openai/v1/", {}, "v1", f"{RESOURCE}/openai/v1{CHAT}"),
        (f"{RESOURCE}/openai/v1{CHAT}", {}, "v1", f"{RESOURCE}/openai/v1{CHAT}"),
        (
            f"{RESOURCE}/openai/v1",
            {"api_version": "preview"},
            "v1",
            f"{RESOURCE}/openai/v1{CHAT}?api-version=preview",
        ),
        (OLD, {"api_version": VERSION}, "deployments", f"{OLD}{VERSIONED}"),
        (f"{OLD}{VERSIONED}", {}, "deployments", f"{OLD}{VERSIONED}"),
        (f"{OLD}{VERSIONED}", {"api_version": VERSION}, "deployments", f"{OLD}{VERSIONED}"),
        (
            RESOURCE,
            {"api_version": VERSION},
            "deployments",
            f"{RESOURCE}/openai/deployments/my%20deployment{VERSIONED}",
        ),
        (
            f"{RESOURCE}/openai/?api-version={VERSION}",
            {},
            "deployments",
            f"{RESOURCE}/openai/deployments/my%20deployment{VERSIONED}",
        ),
        (
            f"{RESOURCE}/OpenAI/Deployments/gpt?api-version={VERSION}",
            {},
            "deployments",
            f"{RESOURCE}/OpenAI/Deployments/gpt{VERSIONED}",
        ),
        (
            "https://res.openai.azure.com./openai/v1",
            {},
            "v1",
            f"https://res.openai.azure.com./openai/v1{CHAT}",
        ),
        (
            "https://res.services.ai.azure.com/api/projects/p/openai/v1",
            {},
            "v1",
            f"https://res.services.ai.azure.com/api/projects/p/openai/v1{CHAT}",
        ),
        (
            f"{RESOURCE}/new/path",
            {"dialect": "v1"},
            "v1",
            f"{RESOURCE}/new/path{CHAT}",
        ),
        ("https://gateway.example/llm", {}, "v1", f"https://gateway.example/llm{CHAT}"),
        ("https://res.openai.azure.us", {}, "v1", f"https://res.openai.azure.us/openai/v1{CHAT}"),
        (f"{GOVERNMENT}/score", {}, "online", f"{GOVERNMENT}/score"),
        (f"{CHINA}/v1", {}, "online", f"{CHINA}/v1{CHAT}"),
        (f"{ONLINE}/score", {}, "online", f"{ONLINE}/score"),
        (f"{ONLINE}/v1", {}, "online", f"{ONLINE}/v1{CHAT}"),
        (f"{ONLINE}/v1{CHAT}", {}, "online", f"{ONLINE}/v1{CHAT}"),
        (
            "https://res.services.ai.azure.com/models",
            {},
            "inference",
            f"https://res.services.ai.azure.com/models{MODELS}",
        ),
        (
            "https://res.services.ai.azure.com",
            {"dialect": "inference"},
            "inference",
            f"https://res.services.ai.azure.com/models{MODELS}",
        ),
        (
            "https://phi.swedencentral.models.ai.azure.com",
            {},
            "inference",
            f"https://phi.swedencentral.models.ai.azure.com{MODELS}",
        ),
        (
            OLD,
            {"dialect": "inference", "api_version": "2024-08-01-preview"},
            "inference",
            f"{OLD}{CHAT}?api-version=2024-08-01-preview",
        ),
        ("http://127.0.0.1:8000/v1", {}, "v1", f"http://127.0.0.1:8000/v1{CHAT}"),
    ],
)
def test_an_address_says_its_form_and_where_calls_go(
    base_url: str, options: dict[str, Any], name: str, url: str
) -> None:
    found = form(base_url, **options)
    provider: Any = azure_ai.build(bound(base_url, **options))

    assert found.name == name
    assert provider.endpoint.chat_url == url


def test_each_form_has_its_own_habits() -> None:
    found = {
        f.name: (f.dialect.key_headers, f.dialect.cap_field, dict(f.dialect.headers))
        for f in (
            form(RESOURCE),
            form(OLD, api_version=VERSION),
            form(f"{ONLINE}/score", deployment="blue-2"),
            form("https://res.services.ai.azure.com/models"),
        )
    }

    assert found == {
        "v1": (("api-key",), "max_completion_tokens", {}),
        "deployments": (("api-key",), "max_completion_tokens", {}),
        "online": (("authorization",), "max_tokens", {"azureml-model-deployment": "blue-2"}),
        "inference": (
            ("authorization", "api-key"),
            "max_tokens",
            {"extra-parameters": "pass-through"},
        ),
    }


def test_an_old_version_is_asked_as_it_knows_and_options_have_the_last_word() -> None:
    old = form(OLD, api_version="2024-06-01").dialect
    provider: Any = azure_ai.build(
        bound(
            OLD, api_version="2024-06-01", cap_field="max_completion_tokens", usage_in_stream=True
        )
    )

    assert (old.cap_field, old.usage_in_stream) == ("max_tokens", False)
    assert provider.dialect.cap_field == "max_completion_tokens"
    assert provider.dialect.usage_in_stream


def test_only_the_models_route_has_ended() -> None:
    assert form("https://res.services.ai.azure.com/models").dialect.retired == "2026-08-26"
    assert form("https://phi.westus.models.ai.azure.com").dialect.retired is None
    assert form(RESOURCE).dialect.retired is None


@pytest.mark.parametrize(
    ("base_url", "options", "field", "says"),
    [
        (OLD, {}, "options.api_version", "2024-10-21"),
        (OLD, {"api_version": 20241021}, "options.api_version", "in quotes"),
        (OLD, {"api_version": "2024-10-21&x=1"}, "options.api_version", "no API version"),
        (
            f"{OLD}{VERSIONED}",
            {"api_version": "2024-06-01"},
            "options.api_version",
            "write it once",
        ),
        (ONLINE, {}, "base_url", "/score"),
        (RESOURCE, {"deployment": "blue"}, "options.deployment", "model"),
        (f"{ONLINE}/v1", {"deployment": "a b"}, "options.deployment", "name of a deployment"),
        (RESOURCE, {"dialect": "inferense"}, "options.dialect", "inference"),
        (f"{RESOURCE}/openai/v1?x=1", {}, "base_url", "query"),
        (f"{RESOURCE}/openai", {}, "base_url", f"write {RESOURCE}/openai/v1/"),
        (f"{RESOURCE}/openai/v1/models", {}, "base_url", f"write {RESOURCE}/openai/v1/"),
        (f"{RESOURCE}/openai/v1/responses", {}, "base_url", f"write {RESOURCE}/openai/v1/"),
        (f"{RESOURCE}/openai/v1/completions", {}, "base_url", f"write {RESOURCE}/openai/v1/"),
        (
            "https://res.services.ai.azure.com/api/projects/p",
            {},
            "base_url",
            "write https://res.services.ai.azure.com/openai/v1/",
        ),
        (
            "https://res.cognitiveservices.azure.cn/x",
            {},
            "base_url",
            "write https://res.cognitiveservices.azure.cn/openai/v1/",
        ),
        (
            f"{RESOURCE}/openai/deployments/",
            {},
            "base_url",
            f"write {RESOURCE}/openai/deployments/my%20deployment?api-version={VERSION}",
        ),
        (
            f"{RESOURCE}/openai/responses?api-version=2025-04-01-preview",
            {},
            "base_url",
            "my%20deployment?api-version=2025-04-01-preview",
        ),
        ("http://[::1", {}, "base_url", "URL"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_what_to_write(
    base_url: str, options: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        azure_ai.build(bound(base_url, **options))

    assert caught.value.field == f"targets.cloud.{field}"
    assert says.lower() in str(caught.value).lower()


class Nobody:
    """A credential that is never asked."""

    async def get_token(self, *scopes: str) -> azure_entra.Token:
        raise AssertionError(scopes)

    async def close(self) -> None:
        return None


def by_entra(base_url: str, **options: Any) -> Any:
    target = replace(bound(base_url, auth="entra", **options), api_key=None)
    return azure_ai.build(target, credential=Nobody())


@pytest.mark.parametrize(
    "base_url", ["http://res.openai.azure.com", "http://gateway.example/openai/v1"]
)
def test_a_token_is_not_sent_where_others_can_read_it(base_url: str) -> None:
    with pytest.raises(ConfigError, match="https://") as caught:
        by_entra(base_url)

    assert caught.value.field == "targets.cloud.base_url"
    assert by_entra(base_url.replace("http:", "HTTPS:"))
    assert by_entra("http://127.0.0.1:8000/v1")
    assert azure_ai.build(bound(base_url)), "of a key nothing is said here"


@pytest.mark.parametrize("base_url", ["https://res.openai.azure.us", f"{CHINA}/v1"])
def test_the_scope_of_a_national_cloud_is_asked_for_not_guessed(base_url: str) -> None:
    with pytest.raises(ConfigError, match="national cloud") as caught:
        by_entra(base_url)

    assert caught.value.field == "targets.cloud.options.scope"
    assert by_entra(base_url, scope="https://its.own/.default")
    assert azure_ai.build(bound(base_url))


def documented() -> dict[str, dict[str, Any]]:
    """The targets of the Azure section, by name."""
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    section = page.partition("\n## Azure AI\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```yaml\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    found: dict[str, dict[str, Any]] = {}
    for block in blocks:
        found |= parse_yaml(block, "providers.md").data
    return found


@pytest.mark.parametrize(
    ("name", "form_of_it"),
    [
        ("azure", "v1"),
        ("azure-old", "deployments"),
        ("endpoint", "online"),
        ("serverless", "inference"),
        ("azure-entra", "v1"),
    ],
)
def test_each_target_in_the_docs_is_built_and_of_the_form_it_shows(
    name: str, form_of_it: str
) -> None:
    said = documented()[name]
    assert ("api_key" in said) == (name != "azure-entra")
    target = Target(
        name=name,
        tier=said["tier"],
        provider=said["provider"],
        model=said["model"],
        base_url=said["base_url"],
        api_key="a-key-0123456789" if "api_key" in said else None,
        options=said.get("options", {}),
    )

    provider: Any = providers.build(target)

    assert provider.form.name == form_of_it


def test_every_option_of_azure_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")

    for option in (*azure_forms.OPTIONS, *azure_entra.OPTIONS, *abilities.HABITS):
        assert re.search(rf"\b{option}\b", page), option


@pytest.mark.parametrize(
    "base_url", ["https://us\u2100er:hidden-word@h.x", "https://hidden-word@[h"]
)
def test_an_address_that_is_no_url_is_not_repeated(base_url: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL") as caught:
        form(base_url)

    assert "hidden-word" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "hidden-word" not in repr(bound(base_url))
