"""The parts of `firsthop init` that need no server: addresses, prices, and what is written."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from router.cli import init_price, init_servers
from router.cli.init_plan import OWN_BOX, Hop, KeyPlan, Plan, dollars
from router.cli.init_write import config_text, write
from router.config import load
from router.errors import ConfigError
from router.keys import InFile, InKeyring

TIERS = ("device", "cloud-fast", "cloud-strong")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("https://localhost:9/", "https://localhost:9"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_ollamas_variable_is_an_address_in_many_forms(host: str, url: str) -> None:
    assert init_servers._ollama_url(host) == url


@pytest.mark.parametrize("url", ["http://192.0.2.1:1", "http://example.com", "nowhere", "http://["])
def test_a_server_that_is_elsewhere_is_not_asked(url: str) -> None:
    given = dict.fromkeys(("ollama", "lmstudio", "foundry"), url)
    found = asyncio.run(init_servers.find_servers(given))

    for one in found:
        assert isinstance(one, init_servers.Silent)
        assert "is not on this machine" in one.why


@pytest.mark.parametrize(
    "written", ["", "1", "a/b", "1/", "-1/2", "0/0", "nan/1", "1/inf", "1/2/3"]
)
def test_what_is_no_price_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="two amounts of dollars"):
        dollars(written, "--usd-per-1m")


def test_a_price_is_exact() -> None:
    assert dollars(" 0.15 / 0.60", "") == (Decimal("0.15"), Decimal("0.60"))


@pytest.mark.parametrize(
    "word",
    ["plain", "yes", "5", "1e5", "null", "a: b", "#x", "C:\\k\\a.key", "a'b", "ü", "/k e/y", "x:"],
)
def test_every_word_is_read_back_as_it_was(word: str) -> None:
    cloud = Hop(
        name="cloud", provider="ollama", model=word, about="x", base_url="http://127.0.0.1:9",
        key=KeyPlan(place=InKeyring(word, word), value=None),
        options={"think": True},
    )  # fmt: skip
    told = config_text(Plan(policy="p", tiers=TIERS, device=None, cloud=cloud), None)
    target = yaml.safe_load(told)["targets"]["cloud"]

    assert (target["model"], target["tier"], target["options"]) == (word, "device", {"think": True})
    assert target["api_key"] == {"keyring": {"service": word, "user": word}}


def cloud(model: str, provider: str = "azure_ai", url: str = "https://a.openai.azure.com") -> Hop:
    return Hop(name="cloud", provider=provider, model=model, about="x", base_url=url)


@pytest.mark.parametrize(
    ("served", "price"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-20240806", "gpt-4o"),
        # Of the package `genai-prices` alone.
        ("phi-4-reasoning-plus", "phi-4-reasoning-plus"),
        ("gpt-4o-like", None),
        ("", None),
        (None, None),
    ],
)
def test_a_deployment_is_priced_as_what_answered_where_any_list_has_that(
    served: str | None, price: str | None
) -> None:
    assert init_price._priced_like(cloud("ours"), served) == price


def test_a_name_is_looked_up_in_every_list_and_one_for_all_models_has_to_be_meant() -> None:
    openai = cloud("m", "openai_compatible", "https://api.openai.com/v1")

    assert init_price._named(openai, "gpt-4-turbo") == "gpt-4-turbo"
    assert init_price._named(openai, "own-box") == OWN_BOX
    with pytest.raises(ConfigError, match="no price line is called 'gpt-4-turbot'"):
        init_price._named(openai, "gpt-4-turbot")
    with pytest.raises(ConfigError, match="no price line is called 'any'"):
        init_price._named(cloud("m", "nvidia_nim", "http://127.0.0.1:9"), "any")


def plan(folder: Path, **more: object) -> Plan:
    key = KeyPlan(place=InFile(folder / "cloud.key"), value="a-key-0123456789", new=True)
    fields = {"price": "openai_compatible/own-box@2024-01-01", "key": key, **more}
    cloud = Hop(
        name="cloud", provider="openai_compatible", model="m", about="x",
        base_url="http://127.0.0.1:9/v1", **fields,  # type: ignore[arg-type]
    )  # fmt: skip
    device = Hop(name="device", provider="device", model="phi-3.5-mini", about="y")
    return Plan(policy="balanced", tiers=TIERS, device=device, cloud=cloud)


def test_what_is_written_loads_and_its_repr_tells_no_key(tmp_path: Path) -> None:
    made = plan(tmp_path)
    files = write(made, tmp_path / "firsthop.yaml")
    device, cloud = load(tmp_path / "firsthop.yaml").targets

    assert files == [tmp_path / "firsthop.yaml", tmp_path / "cloud.key"]
    assert (device.target.tier, cloud.target.tier) == ("device", "cloud-fast")
    assert cloud.target.api_key == "a-key-0123456789"
    assert "a-key" not in repr(made)


def test_what_would_not_load_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "firsthop.prices.yaml").write_text("mine")
    (tmp_path / "firsthop.yaml").write_text("mine")
    bad = plan(tmp_path, own_usd_per_1m=(Decimal(1), Decimal(2)), options={"no": True})

    with pytest.raises(ConfigError, match="no such option"):
        write(bad, tmp_path / "firsthop.yaml")

    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "firsthop.prices.yaml": "mine", "firsthop.yaml": "mine"
    }  # fmt: skip


def test_a_key_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "cloud.key").write_text("older")

    with pytest.raises(ConfigError, match="is there already"):
        write(plan(tmp_path), tmp_path / "firsthop.yaml")
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.key"]
    assert (tmp_path / "cloud.key").read_text() == "older"
