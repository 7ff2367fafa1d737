"""Which providers there are, and how one is built."""

from __future__ import annotations

import subprocess
import sys

import pytest

from router import providers
from router.errors import ConfigError
from router.providers.base import Dialect, Target


def target(provider: str, **more: object) -> Target:
    return Target(name="t", tier="x", provider=provider, model="m", **more)  # type: ignore[arg-type]


def test_providers_are_found_by_looking_not_by_a_table() -> None:
    assert {"azure_ai", "github_models", "nvidia_nim", "openai_compatible", "scripted"} <= set(
        providers.names()
    )
    assert not {"base", "sse", "openai_wire", "openai_lean"} & set(providers.names())


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"targets\.t\.provider.*did you mean 'nvidia_nim'"):
        providers.build(target("nvidia-nim"))


@pytest.mark.parametrize("name", ["sse", "..errors", "os", ""])
def test_what_is_no_provider_is_not_imported_as_one(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no provider"):
        providers.build(target(name))
    with pytest.raises(ConfigError, match="there is no provider"):
        providers.dialect(name)


def test_a_dialect_is_read_without_building_anything() -> None:
    github = providers.dialect("github_models")

    assert isinstance(github, Dialect)
    assert github.retired == "2026-07-30"
    assert github.successors
    assert providers.dialect("scripted") is None


@pytest.mark.parametrize(
    ("name", "base_url", "key_headers", "cap_field"),
    [
        ("azure_ai", None, ("api-key",), "max_completion_tokens"),
        ("nvidia_nim", "https://integrate.api.nvidia.com/v1", ("authorization",), "max_tokens"),
        ("github_models", "https://models.github.ai/inference", ("authorization",), "max_tokens"),
        ("openai_compatible", None, ("authorization",), "max_tokens"),
    ],
)
def test_each_service_is_spoken_to_as_its_documents_say(
    name: str, base_url: str | None, key_headers: tuple[str, ...], cap_field: str
) -> None:
    dialect = providers.dialect(name)

    assert dialect is not None
    assert (dialect.base_url, dialect.key_headers, dialect.cap_field) == (
        base_url,
        key_headers,
        cap_field,
    )


def test_names_dialects_and_building_import_no_heavy_library() -> None:
    code = (
        "import sys; from router import providers; from router.providers.base import Target\n"
        "for n in providers.names():\n"
        "    if n != 'device': providers.dialect(n)\n"
        "for n in ('azure_ai', 'nvidia_nim'):\n"
        "    providers.build(Target(name='t', tier='x', provider=n, model='m',"
        " base_url='https://h.example', api_key='k'))\n"
        "heavy = {'aiohttp', 'openai', 'httpx', 'httpx2', 'numpy', 'onnxruntime_genai'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["azure_ai", "nvidia_nim", "github_models", "openai_compatible"])
def test_an_unknown_option_is_refused_with_the_nearest(name: str) -> None:
    bound = target(name, base_url="http://127.0.0.1:1/v1", options={"logprob": True})

    with pytest.raises(ConfigError, match=r"targets\.t\.options\.logprob.*'logprobs'"):
        providers.build(bound)


def test_an_option_has_to_be_a_truth_value() -> None:
    bound = target("nvidia_nim", options={"logprobs": "yes"})

    with pytest.raises(ConfigError, match="true or false, not 'yes'"):
        providers.build(bound)
