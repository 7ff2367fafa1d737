"""Prices out of genai-prices: only what it really says of this very model, and nothing made up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from router.catalogue.packaged import _service, packaged
from router.ledger.pricing import cost, worst_case
from router.types import Usage

DAY = date(2026, 11, 22)
PLAIN = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))


def model(name: str, prices: object, match: object = None) -> ModelInfo:
    return ModelInfo(id=name, match=match or ClauseEquals(equals=name), prices=prices)  # type: ignore[arg-type]


@pytest.fixture
def data() -> Iterator[list[Provider]]:
    """Data of the test's own: `azure`, which borrows of `openai` and `lender`."""
    azure = Provider(
        id="azure",
        name="Azure",
        api_pattern=r"https://[a-z]+\.azure\.test",
        fallback_model_providers=["openai", "lender"],
        models=[model("own", PLAIN)],
    )
    openai = Provider(id="openai", name="OpenAI", api_pattern=r"https://api\.openai\.test")
    lender = Provider(id="lender", name="Lender", api_pattern=r"https://lender\.test")
    services = [azure, openai, lender]
    set_custom_snapshot(DataSnapshot(providers=services, from_auto_update=False))
    yield services
    set_custom_snapshot(None)


def test_a_service_s_own_price_is_found_by_the_model_s_exact_name(data: list[Provider]) -> None:
    found = packaged("azure_ai", "OWN", DAY)

    assert found is not None
    assert (found.id, found.model, found.checked) == ("genai-prices/azure/own", "own", None)
    assert (found.input_usd_per_1m, found.output_usd_per_1m) == (1, 2)
    assert found.source.startswith("genai-prices ")
    assert packaged("azure_ai", "own-2", DAY) is None
    assert packaged("nvidia_nim", "own", DAY) is None
    assert packaged("ollama", "own", DAY) is None


def test_a_name_that_is_only_like_a_known_one_has_no_price(data: list[Provider]) -> None:
    rule = ClauseOr(or_=[ClauseEquals(equals="alias"), ClauseContains(contains="big")])
    data[0].models.append(model("big", PLAIN, rule))

    assert packaged("azure_ai", "alias", DAY) is not None
    assert packaged("azure_ai", "big", DAY) is not None
    assert packaged("azure_ai", "my-big-deployment", DAY) is None


def test_openai_s_prices_are_azure_s_and_another_lender_s_are_only_shown(
    data: list[Provider],
) -> None:
    data[1].models += [model("gpt-x", PLAIN), model("gpt-oss-x", PLAIN)]
    data[2].models.append(model("deep-x", PLAIN))

    assert packaged("azure_ai", "gpt-x", DAY) is not None
    for name in ("deep-x", "gpt-oss-x"):
        assert packaged("azure_ai", name, DAY) is None, name
        assert packaged("azure_ai", name, DAY, any_vendor=True) is not None, name


def test_of_anybody_s_server_the_address_tells_whose_prices_hold(data: list[Provider]) -> None:
    data[1].models.append(model("gpt-x", PLAIN))

    assert packaged("openai_compatible", "gpt-x", DAY, "https://api.openai.test/v1") is not None
    for url in ("https://gateway.test/v1", "http://127.0.0.1:8000/v1", None):
        assert packaged("openai_compatible", "gpt-x", DAY, url) is None


@pytest.mark.parametrize(
    ("url", "whose"),
    [
        ("https://api.openai.com", "openai"),
        ("https://API.openai.com:443/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://router.huggingface.co/groq/openai/v1", "huggingface_groq"),
        ("https://x.cloud.databricks.com/serving-endpoints", "databricks"),
        ("https://api.openai.com.evil.example/v1", None),
        ("https://api.openai.com@evil.example/v1", None),
        ("https://evil.example/x.googleapis.com/", None),
        ("https://evil.example?a.googleapis.com", None),
        ("https://evil/a.openai.azure.com", None),
        ("https://generativelanguage.googleapis.com.evil.example/v1", None),
        ("https://[::1/v1", None),
    ],
)
def test_a_service_is_known_by_its_whole_host(url: str, whose: str | None) -> None:
    found = _service("openai_compatible", url)
    assert (found and found.id) == whose


def test_an_id_pins_a_model_wherever_it_is_asked(data: list[Provider]) -> None:
    for name in ("genai-prices/azure/own", "genai-prices/azure/own@2026-01-01"):
        assert packaged("openai_compatible", name, DAY, "http://127.0.0.1:1/v1") is not None
    for name in ("genai-prices/azure/other", "genai-prices/nobody/own", "genai-prices/"):
        assert packaged("azure_ai", name, DAY) is None


def test_the_price_of_the_day_counts_and_the_line_says_since_when(data: list[Provider]) -> None:
    later = StartDateConstraint(start_date=date(2026, 8, 21))
    cheaper = ModelPrice(input_mtok=Decimal("0.5"), output_mtok=Decimal(1))
    data[0].models.append(
        model(
            "dated",
            [ConditionalPrice(prices=PLAIN), ConditionalPrice(constraint=later, prices=cheaper)],
        )
    )
    before, since = (packaged("azure_ai", "dated", date(2026, 8, day)) for day in (20, 21))

    assert before is not None
    assert since is not None
    assert (before.input_usd_per_1m, since.input_usd_per_1m) == (1, Decimal("0.5"))
    assert (before.valid_from, since.valid_from) == (date.min, date(2026, 8, 21))
    assert since.id == "genai-prices/azure/dated@2026-08-21"


def test_long_prompts_are_priced_as_the_package_prices_them(data: list[Provider]) -> None:
    def stepped(base: str, above: str) -> TieredPrices:
        return TieredPrices(base=Decimal(base), tiers=[Tier(start=1000, price=Decimal(above))])

    theirs = ModelPrice(
        input_mtok=stepped("2", "4"),
        output_mtok=stepped("10", "15"),
        cache_read_mtok=stepped("0.2", "0.4"),
        cache_write_mtok=Decimal("2.5"),
    )
    data[0].models.append(model("stepped", theirs))
    line = packaged("azure_ai", "stepped", DAY)

    assert line is not None
    for tokens in (0, 1, 999, 1000, 1001, 50_000):
        usage = Usage(input_tokens=tokens, cached_input_tokens=tokens // 2, output_tokens=300)
        said = theirs.calc_price(
            {"input_tokens": tokens, "cache_read_tokens": tokens // 2, "output_tokens": 300}
        )
        assert cost(line, usage) == said["total_price"]
    assert worst_case(line, 1000, 0) == Decimal("0.0025"), "written to a cache"
    assert worst_case(line, 1001, 0) == Decimal("0.004004")


@pytest.mark.parametrize(
    "prices",
    [
        ModelPrice(),
        ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0)),
        ModelPrice(input_mtok=Decimal(1)),
        ModelPrice(input_mtok=Decimal("0.00000001"), output_mtok=Decimal(1)),
        ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5)),
        [
            ConditionalPrice(prices=PLAIN),
            ConditionalPrice(
                constraint=TimeOfDateConstraint(start_time=time(16), end_time=time(0)),
                prices=PLAIN,
            ),
        ],
    ],
    ids=["nothing", "free without a reason", "no answers", "too fine", "by call", "by hour"],
)
def test_what_a_line_cannot_hold_is_no_price(data: list[Provider], prices: object) -> None:
    data[0].models.append(model("odd", prices))

    assert packaged("azure_ai", "odd", DAY) is None


def test_the_package_that_is_installed_knows_a_model_that_nobody_forgets() -> None:
    for provider, url in (
        ("azure_ai", None),
        ("openai_compatible", "https://api.openai.com/v1"),
    ):
        found = packaged(provider, "gpt-4o", DAY, url)
        assert found is not None
        assert found.id.startswith("genai-prices/openai/gpt-4o")
        assert (found.input_usd_per_1m, found.output_usd_per_1m) == (Decimal("2.5"), 10)


CONFIG = """\
version: 1
policy: device-only
targets:
  device: {tier: device, provider: scripted, model: m, options: {steps: [{text: x}]}}
  known: {tier: a, provider: azure_ai, base_url: "https://r.openai.azure.com", model: gpt-5.6-luna}
  here: {tier: b, provider: openai_compatible, base_url: "http://127.0.0.1:8000/v1", model: m}
"""
OTHER = """\
  other: {tier: c, provider: azure_ai, base_url: "https://r.openai.azure.com", model: nobody-knows}
"""


@pytest.mark.parametrize(("text", "needed"), [(CONFIG, False), (CONFIG + OTHER, True)])
def test_it_is_imported_only_for_a_model_of_a_cloud_that_our_own_list_lacks(
    tmp_path: Path, text: str, needed: bool
) -> None:
    """In a process of its own, for other tests import it."""
    (tmp_path / "firsthop.yaml").write_text(text, encoding="utf-8")
    code = """
import sys
from router import config as configs
from router.compose import fit
fit(configs.load(configs.find(sys.argv[1])))
print("genai_prices" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "firsthop.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (str(needed), "")


def test_without_the_package_there_is_no_price_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)

    assert packaged("azure_ai", "gpt-4o", DAY) is None
