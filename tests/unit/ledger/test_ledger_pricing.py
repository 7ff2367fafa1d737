from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from router.errors import ConfigError
from router.ledger import PriceBook, PriceLine
from router.ledger.pricing import PriceTier, cost, worst_case
from router.ledger.sqlite import money
from router.types import Usage

SHIPPED = Path(__file__).parents[3] / "configs" / "prices.yaml"
DAY = date(2026, 11, 1)

GOOD = {
    "id": '"p/m@2026-01-01"',
    "provider": "p",
    "model": "m",
    "input_usd_per_1m": '"2.50"',
    "output_usd_per_1m": '"10"',
    "source": "here",
    "checked": "2026-01-02",
    "valid_from": "2026-01-01",
}


def line(**other: str | Decimal | date | None) -> PriceLine:
    values = {
        "id": "p/m@2026-01-01",
        "provider": "p",
        "model": "m",
        "input_usd_per_1m": Decimal("2.50"),
        "cached_input_usd_per_1m": Decimal("1.25"),
        "output_usd_per_1m": Decimal("10.00"),
        "source": "here",
        "checked": DAY,
        "valid_from": date(2026, 1, 1),
    }
    return PriceLine(**(values | other))  # type: ignore[arg-type]


def written(folder: Path, *lines: dict[str, str]) -> Path:
    path = folder / "prices.yaml"
    text = "prices:\n"
    for fields in lines:
        parts = [f"{key}: {value}" for key, value in fields.items()]
        text += "  - " + "\n    ".join(parts) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


def test_cached_tokens_are_priced_apart_and_reasoning_ones_as_output() -> None:
    usage = Usage(
        input_tokens=1000, cached_input_tokens=400, output_tokens=200, reasoning_tokens=150
    )
    assert cost(line(), usage) == Decimal("0.0015") + Decimal("0.0005") + Decimal("0.002")


def test_cached_tokens_without_a_price_of_their_own_cost_what_others_do() -> None:
    usage = Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=0)
    assert cost(line(cached_input_usd_per_1m=None), usage) == Decimal("0.0025")


def test_more_cached_tokens_than_tokens_cost_an_unknown_amount() -> None:
    usage = Usage(input_tokens=10, cached_input_tokens=11, output_tokens=1)
    assert cost(line(), usage) is None


def test_a_price_of_zero_is_known_however_many_tokens_there_were() -> None:
    free = line(
        input_usd_per_1m=Decimal(0),
        cached_input_usd_per_1m=None,
        output_usd_per_1m=Decimal(0),
        basis="own device",
    )
    assert cost(free, Usage()) == 0
    assert worst_case(free, 10**9, 10**9) == 0


def test_the_worst_case_takes_the_dearer_input_price() -> None:
    odd = line(cached_input_usd_per_1m=Decimal("3"))
    assert worst_case(odd, 1_000_000, 1_000_000) == 13
    assert worst_case(line(), 1_000_000, 1_000_000) == Decimal("12.5")


def test_an_id_pins_a_line_whatever_the_provider_and_a_model_follows_the_day() -> None:
    old = line(id="old", valid_from=date(2025, 1, 1))
    new = line(id="new")
    book = PriceBook([new, old])
    assert book.find("p", "M", DAY) is new
    assert book.find("p", "m", date(2025, 6, 1)) is old
    assert book.find("p", "m", date(2024, 6, 1)) is None
    assert book.find("elsewhere", "old", DAY) is old
    assert book.find("elsewhere", "m", DAY) is None
    assert book.find("p", "new", date(2025, 6, 1)) is None
    assert book.lines == (new, old)


def test_a_provider_s_line_for_any_model_stands_in_where_a_model_has_none() -> None:
    any_model, later = line(id="any", model="*"), line(id="m", valid_from=date(2026, 12, 1))
    book = PriceBook([any_model, later])
    assert book.find("p", "other", DAY) is any_model
    assert book.find("p", "m", DAY) is None, "its own price is not known yet; none is borrowed"


def test_money_is_written_without_exponent_and_without_idle_zeros() -> None:
    assert money(Decimal("0E-12")) == ("0", 0)
    assert money(Decimal("1E+1")) == ("10", 10 * 10**12)
    assert money(Decimal("0.000092000")) == ("0.000092", 92_000_000)
    assert money(Decimal("1E-13")) == ("0.0000000000001", 0)
    assert money(Decimal("NaN")) == (None, None)
    assert money(Decimal(10**8)) == ("100000000", None)
    assert money(None) == (None, None)


def test_a_file_becomes_lines(tmp_path: Path) -> None:
    fields = GOOD | {"cached_input_usd_per_1m": '"0.028"', "retires": "2027-01-17"}
    (found,) = PriceBook.load(written(tmp_path, fields)).lines
    assert found.input_usd_per_1m == Decimal("2.50")
    assert found.cached_input_usd_per_1m == Decimal("0.028")
    assert (found.valid_from, found.retires) == (date(2026, 1, 1), date(2027, 1, 17))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"input_usd_per_1m": "2.50"},
            r"prices\.yaml:5:\d+: prices\[0\]\.input_usd_per_1m: .*quot",
        ),
        ({"input_usd_per_1m": '"-1"'}, "is not a price"),
        ({"input_usd_per_1m": '"1e3"'}, "is not a price"),
        ({"input_usd_per_1m": '"0.0000001"'}, "at most six decimals"),
        ({"input_usd_per_1m": "true"}, "is not a price"),
        ({"valid_from": "2026-13-01"}, r"prices\.yaml:9:\d+: prices\[0\]\.valid_from: .*not a day"),
        ({"checked": "yesterday"}, "is not a day"),
        ({"retire": "2027-01-01"}, "unknown field .*did you mean 'retires'"),
        ({"basis": "trial"}, "only a price of zero has a basis"),
        ({"input_usd_per_1m": "0", "output_usd_per_1m": "0"}, "no basis for that"),
        ({"id": "M"}, "is the name of a model"),
    ],
)
def test_a_file_that_is_wrong_names_line_and_field(
    tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        PriceBook.load(written(tmp_path, GOOD | fields))


def test_a_missing_field_and_a_missing_file_say_so(tmp_path: Path) -> None:
    lacking = {key: value for key, value in GOOD.items() if key != "source"}
    with pytest.raises(ConfigError, match=r"prices\[0\]\.source: is missing"):
        PriceBook.load(written(tmp_path, lacking))
    with pytest.raises(ConfigError, match="cannot be read"):
        PriceBook.load(tmp_path / "nowhere.yaml")


def test_two_lines_may_share_neither_id_nor_model_and_day(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prices\[1\]\.id: .*there twice"):
        PriceBook.load(written(tmp_path, GOOD, GOOD | {"valid_from": "2026-02-01"}))
    with pytest.raises(ConfigError, match=r"prices\[1\]\.valid_from: .*already prices"):
        PriceBook.load(written(tmp_path, GOOD, GOOD | {"id": "other", "model": '"M"'}))


def test_every_shipped_line_names_itself_by_provider_model_and_day() -> None:
    for shipped in PriceBook.load(SHIPPED).lines:
        assert shipped.id == f"{shipped.provider}/{shipped.model}@{shipped.valid_from}"
        assert shipped.valid_from <= max(shipped.checked, DAY)


def test_shipped_prices_are_dated_gpt_4o_halved() -> None:
    book = PriceBook.load(SHIPPED)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    paid = []
    for day in (date(2024, 6, 1), date(2025, 6, 1)):
        found = book.find("azure_ai", "gpt-4o", day)
        assert found is not None
        paid.append(cost(found, usage))
    assert paid == [Decimal(20), Decimal("12.5")]
    assert book.find("azure_ai", "gpt-4o", date(2024, 1, 1)) is None


@pytest.mark.parametrize(
    ("provider", "model", "basis"),
    [
        ("device", "phi-3.5-mini", "own device"),
        ("nvidia_nim", "own-box", "own box"),
        ("scripted", "anything", "stand-in"),
        ("openai_compatible", "stand-in", "stand-in"),
        ("openai_compatible", "own-box", "own box"),
    ],
)
def test_what_is_shipped_as_free_says_why(provider: str, model: str, basis: str) -> None:
    found = PriceBook.load(SHIPPED).find(provider, model, DAY)
    assert found is not None
    assert found.basis == basis
    assert cost(found, Usage()) == 0


def test_a_model_of_an_unknown_endpoint_has_no_price() -> None:
    book = PriceBook.load(SHIPPED)
    assert book.find("openai_compatible", "gpt-4o", DAY) is None
    assert book.find("github_models", "openai/gpt-4o", DAY) is None


# Long prompts


def stepped() -> PriceLine:
    tier = PriceTier(
        above_input_tokens=1000,
        input_usd_per_1m=Decimal(5),
        cached_input_usd_per_1m=Decimal("2.5"),
        output_usd_per_1m=Decimal(15),
    )
    return replace(line(), tiers=(tier,))


def test_past_a_length_every_token_has_the_longer_prompt_s_price() -> None:
    at = cost(stepped(), Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=100))
    past = cost(stepped(), Usage(input_tokens=1001, cached_input_tokens=400, output_tokens=100))

    assert at == Decimal("0.003")
    assert past == Decimal("0.005505")


def test_the_worst_case_reckons_with_the_price_a_prompt_may_reach() -> None:
    assert worst_case(stepped(), 1000, 100) == Decimal("0.0035")
    assert worst_case(stepped(), 1001, 100) == Decimal("0.006505")


def test_tokens_written_to_a_cache_are_priced_apart_and_at_worst_are_all_of_them() -> None:
    dear = line(cache_write_input_usd_per_1m=Decimal(4))
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    parts = replace(usage, cached_input_tokens=200_000, cache_write_tokens=300_000)

    assert worst_case(dear, 1_000_000, 0) == 4
    assert cost(dear, parts) == Decimal("1.25") + Decimal("0.25") + Decimal("1.2")
    assert cost(dear, usage) == cost(line(), replace(usage, cache_write_tokens=9)) == Decimal("2.5")


def test_what_a_model_wrote_to_its_cache_is_in_its_shipped_price() -> None:
    luna = PriceBook.load(SHIPPED).find("azure_ai", "gpt-5.6-luna", DAY)
    usage = Usage(input_tokens=10_000, cache_write_tokens=10_000, output_tokens=10)

    assert luna is not None
    assert cost(luna, usage) == Decimal("0.002512")


def test_more_tokens_of_a_cache_than_tokens_cost_an_unknown_amount() -> None:
    usage = Usage(input_tokens=10, cached_input_tokens=6, cache_write_tokens=5, output_tokens=1)
    assert cost(line(), usage) is None
    assert cost(line(), replace(usage, cache_write_tokens=4)) is not None


# Whose server it is

NVIDIA = "https://integrate.api.nvidia.com/v1"


@pytest.mark.parametrize(
    ("url", "basis"),
    [
        (NVIDIA, "trial"),
        (NVIDIA.upper(), "trial"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://nim.partner.example/v1", None),
        ("https://integrate.api.nvidia.com.evil.example/v1", None),
        ("http://[::1/v1", None),
        (None, None),
    ],
)
def test_a_trial_is_free_only_where_nvidia_hosts_it(url: str | None, basis: str | None) -> None:
    found = PriceBook.load(SHIPPED).find("nvidia_nim", "microsoft/phi-4-mini-instruct", DAY, url)
    assert (found and found.basis) == basis


def test_a_line_of_a_host_counts_there_alone_and_before_one_without(tmp_path: Path) -> None:
    of_host = GOOD | {"id": "there", "host": "API.example", "valid_from": "2025-01-01"}
    book = PriceBook.load(written(tmp_path, of_host, GOOD))
    urls = ("https://api.example/v1", "https://api.example:8443", "https://other.example", None)

    found = [book.find("p", "m", DAY, url) for url in urls]
    assert [one and one.id for one in found] == ["there", "there", *["p/m@2026-01-01"] * 2]
    elsewhere = book.find("p", "there", DAY, urls[2])
    assert elsewhere is not None, "an id pins its line"
    twice = written(tmp_path, of_host, of_host | {"id": "again", "host": "api.example"})
    with pytest.raises(ConfigError, match="already prices this model"):
        PriceBook.load(twice)


def test_what_costs_something_past_a_length_is_not_free() -> None:
    free = line(
        input_usd_per_1m=Decimal(0), cached_input_usd_per_1m=None, output_usd_per_1m=Decimal(0)
    )
    assert free.free
    assert not replace(free, tiers=stepped().tiers).free


def test_a_file_tells_prices_of_long_prompts_in_order(tmp_path: Path) -> None:
    def tiers(*lengths: int) -> dict[str, str]:
        one = '{{above_input_tokens: {0}, input_usd_per_1m: "5", output_usd_per_1m: "15"}}'
        return GOOD | {"tiers": "[" + ", ".join(one.format(length) for length in lengths) + "]"}

    (found,) = PriceBook.load(written(tmp_path, tiers(100, 200))).lines
    assert [tier.above_input_tokens for tier in found.tiers] == [100, 200]
    for wrong in ((200, 100), (100, 100)):
        with pytest.raises(ConfigError, match=r"prices\[0\]\.tiers: .*shortest prompts first"):
            PriceBook.load(written(tmp_path, tiers(*wrong)))
