"""The way to an endpoint: addresses, proxies, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from yarl import URL

from router import providers
from router.errors import AuthFailed, ConfigError
from router.providers.base import Dialect, Target
from router.providers.endpoint import find_endpoint, key_headers

PLAIN = Dialect(name="plain")
SERVICE = Dialect(name="service", base_url="https://api.example/v1", key_env=("SERVICE_KEY",))
CUSTOMERS = Dialect(name="customers", key_env=("THEIR_KEY",), key_headers=("api-key",))


def target(base_url: str | None = None, provider: str = "plain", **more: Any) -> Target:
    return Target(name="t", tier="x", provider=provider, model="m", base_url=base_url, **more)


def test_the_targets_address_comes_before_the_dialects() -> None:
    assert find_endpoint(target(), SERVICE).chat_url == "https://api.example/v1/chat/completions"
    own = find_endpoint(target("http://box:8000/v1/"), SERVICE)
    assert own.chat_url == "http://box:8000/v1/chat/completions"
    assert (own.host, own.secure) == ("box:8000", False)


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        "",
        "api.example/v1",
        "ftp://api.example",
        "https://",
        "https://api.example:port/v1",
        "https://api example/v1",
        "https://[::1/v1",
        "https://" + "a" * 70 + ".example/v1",
        "https://" + "ä" * 70 + ".example/v1",
        "https://☃.example/v1",
        "https://user:secret@api.example/v1",
        "https://api.example/v1?api-version=1",
        "https://api.example/v1#top",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_its_field(base_url: str | None) -> None:
    with pytest.raises(ConfigError, match=r"targets\.t\.base_url") as caught:
        find_endpoint(target(base_url), PLAIN)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://Straße.example/v1", "xn--strae-oqa.example"),
        ("https://bücher.example/v1", "xn--bcher-kva.example"),
        ("https://cloud.example/v1", "cloud.example"),
    ],
)
def test_a_name_is_looked_up_as_browsers_do(written: str, meant: str) -> None:
    assert find_endpoint(target(written), PLAIN).address == (meant, 443)
    assert httpx.URL(written).raw_host == meant.encode()
    assert URL(written).raw_host == meant


def test_the_environments_proxy_is_used_unless_the_target_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "near.example")

    assert find_endpoint(target("https://far.example"), PLAIN).proxy == "http://proxy.example:3128"
    assert find_endpoint(target("https://near.example"), PLAIN).proxy is None
    assert find_endpoint(target("http://far.example"), PLAIN).proxy is None
    named = find_endpoint(target("https://near.example", proxy="http://own.example:1"), PLAIN)
    assert named.proxy == "http://own.example:1"


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:1", "127.8.8.8", "[::1]:1"])
def test_loopback_is_never_sent_through_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")

    assert find_endpoint(target(f"http://{host}/v1"), PLAIN).proxy is None


def test_a_proxy_of_a_kind_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")

    with pytest.raises(ConfigError, match=r"from the environment.*http"):
        find_endpoint(target("https://far.example"), PLAIN)


def test_a_proxys_password_is_not_shown() -> None:
    endpoint = find_endpoint(target("https://x.example", proxy="http://me:secret@p.example"), PLAIN)

    assert "secret" not in repr(endpoint)


def test_a_ca_file_is_looked_at_when_the_target_is_built(tmp_path: Path) -> None:
    missing, empty = tmp_path / "none.pem", tmp_path / "empty.pem"
    empty.write_text("nothing")

    for file in (missing, empty):
        with pytest.raises(ConfigError, match="CA file") as caught:
            find_endpoint(target("https://x.example", ca_file=str(file)), PLAIN)
        assert caught.value.file == str(file)


def test_the_key_goes_in_the_dialects_headers() -> None:
    keyed = target(api_key="k")

    assert key_headers(keyed, SERVICE) == {"authorization": "Bearer k"}
    assert key_headers(keyed, CUSTOMERS) == {"api-key": "k"}


def test_a_service_needs_its_key_and_a_server_of_ones_own_does_not() -> None:
    with pytest.raises(AuthFailed, match="set SERVICE_KEY"):
        key_headers(target(), SERVICE)
    with pytest.raises(AuthFailed, match="set SERVICE_KEY"):
        key_headers(target("https://api.example/v2"), SERVICE)
    with pytest.raises(AuthFailed, match="set THEIR_KEY"):
        key_headers(target("https://mine.example"), CUSTOMERS)
    assert key_headers(target("http://127.0.0.1:8000/v1"), SERVICE) == {}
    assert key_headers(target("http://127.0.0.1:8000/v1"), PLAIN) == {}


@pytest.mark.parametrize("key", ["secret\n", " secret", "sécret", "sec\r\nret", "secret\x00"])
def test_a_key_no_header_can_carry_is_named_without_being_shown(key: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        key_headers(target(api_key=key), SERVICE)

    assert "header" in str(caught.value)
    assert key.strip() not in str(caught.value)


AZURE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    "written", [AZURE, AZURE + "/", AZURE + "/openai/v1", AZURE + "/openai/v1/"]
)
def test_azure_takes_the_address_as_the_portal_shows_it(written: str) -> None:
    provider: Any = providers.build(target(written, "azure_ai", api_key="k"))

    assert provider.endpoint.chat_url == AZURE + "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    "written", [AZURE + "/openai/deployments/d", AZURE + "/openai/v1?api-version=2024-10-21"]
)
def test_azures_versions_where_they_are_missing_or_out_of_place_are_refused(written: str) -> None:
    with pytest.raises(ConfigError, match=r"versio.*/openai/v1/"):
        providers.build(target(written, "azure_ai", api_key="k"))


def test_azure_without_an_address_shows_one() -> None:
    with pytest.raises(ConfigError, match=r"such as https://my-resource\.openai\.azure\.com"):
        providers.build(target(None, "azure_ai"))


def test_a_compatible_server_is_told_its_habits() -> None:
    url = "http://127.0.0.1:8000/v1"
    options = {"cap_field": "max_completion_tokens", "usage_in_stream": False}
    provider: Any = providers.build(target(url, "openai_compatible", options=options))

    assert provider.dialect.cap_field == "max_completion_tokens"
    assert provider.dialect.usage_in_stream is False
    with pytest.raises(ConfigError, match="did you mean 'max_tokens'"):
        providers.build(target(url, "openai_compatible", options={"cap_field": "max_token"}))


def test_azure_names_the_field_of_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"targets\.t\.base_url"):
        providers.build(target("https://[::1", "azure_ai", api_key="k"))
