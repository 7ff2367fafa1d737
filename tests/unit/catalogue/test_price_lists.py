"""Which list counts, where lists disagree, and what is known of a whole target."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from router.catalogue.prices import Prices, same_price
from router.catalogue.target import facts_of
from router.config import shipped
from router.ledger.pricing import PriceLine, PriceTier
from router.providers.base import Target

DAY = date(2026, 11, 22)
SHIPPED = shipped("configs") / "prices.yaml"

LINE = """\
  - {{id: {id}, provider: {provider}, model: {model}, input_usd_per_1m: "{usd}",
     output_usd_per_1m: "{usd}", source: our contract, checked: 2026-11-01,
     valid_from: {since}{more}}}
"""


def lists(folder: Path, *lines: str) -> Prices:
    """The shipped list and before it one with these lines."""
    if not lines:
        return Prices.load(SHIPPED, SHIPPED)
    path = folder / "own-prices.yaml"
    path.write_text("prices:\n" + "".join(lines), encoding="utf-8")
    return Prices.load(path, SHIPPED)


def line(
    model: str,
    usd: str = "9",
    *,
    provider: str = "azure_ai",
    name: str = "ours",
    since: str = "2026-01-01",
    more: str = "",
) -> str:
    return LINE.format(id=name, provider=provider, model=model, usd=usd, since=since, more=more)


def target(model: str, provider: str = "azure_ai", url: str | None = None) -> Target:
    url = url or ("https://r.openai.azure.com/openai/v1" if provider == "azure_ai" else None)
    return Target(name="cloud", tier="cloud", provider=provider, model=model, base_url=url)


def test_a_declared_price_wins_over_the_shipped_one_and_that_over_the_package_s(
    tmp_path: Path,
) -> None:
    own = lists(tmp_path, line("gpt-4o"))
    found = [
        prices.find("azure_ai", model, DAY)
        for prices, model in ((own, "gpt-4o"), (own, "gpt-4.1"), (own, "o1"))
    ]
    assert [one.id.partition("@")[0] if one else None for one in found] == [
        "ours",
        "azure_ai/gpt-4.1",
        "genai-prices/azure/o1",
    ]
    assert own.find("azure_ai", "nobody-knows", DAY) is None


def test_a_declared_price_that_does_not_hold_yet_leaves_the_shipped_one(tmp_path: Path) -> None:
    own = lists(tmp_path, line("gpt-4o", since="2027-01-01"))
    before, after = (own.find("azure_ai", "gpt-4o", date(y, 1, 1)) for y in (2026, 2027))

    assert before is not None
    assert after is not None
    assert (before.id, after.id) == ("azure_ai/gpt-4o@2024-10-02", "ours")


def test_a_list_that_is_the_shipped_one_is_read_once() -> None:
    assert Prices.load(SHIPPED, SHIPPED.parent / "." / "prices.yaml").files == (SHIPPED,)


def test_what_weaker_lists_say_otherwise_is_found_and_each_price_once(tmp_path: Path) -> None:
    own = lists(tmp_path, line("gpt-4o"))
    counts = own.find("azure_ai", "gpt-4o", DAY)
    assert counts is not None

    (other,) = own.others(counts, DAY)
    assert other.id == "azure_ai/gpt-4o@2024-10-02", "the package says the same as our list"


def test_what_the_package_borrows_of_another_vendor_is_shown_and_does_not_count() -> None:
    prices = lists(Path())
    counts = prices.find("azure_ai", "gpt-oss-120b", DAY)
    assert counts is not None
    assert counts.input_usd_per_1m == Decimal("0.15")

    (other,) = prices.others(counts, DAY)
    assert other.id.startswith("genai-prices/")
    assert other.input_usd_per_1m != counts.input_usd_per_1m


def test_lists_that_agree_or_leave_a_part_out_are_no_conflict() -> None:
    prices = lists(Path())
    for model in ("gpt-4o", "gpt-5.6-sol", "gpt-5.4", "Phi-4"):
        counts = prices.find("azure_ai", model, DAY)
        assert counts is not None
        assert prices.others(counts, DAY) == (), model


BASE = PriceLine(
    id="a",
    provider="p",
    model="m",
    input_usd_per_1m=Decimal(2),
    cached_input_usd_per_1m=Decimal(1),
    output_usd_per_1m=Decimal(4),
    source="here",
    checked=DAY,
    valid_from=DAY,
)
TIER = PriceTier(above_input_tokens=100, input_usd_per_1m=Decimal(3), output_usd_per_1m=Decimal(6))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (BASE, BASE, True),
        (BASE, replace(BASE, cached_input_usd_per_1m=Decimal("0.5")), False),
        (BASE, replace(BASE, cached_input_usd_per_1m=None), True),
        (BASE, replace(BASE, output_usd_per_1m=Decimal(5)), False),
        (BASE, replace(BASE, tiers=(TIER,)), True),
        (
            replace(BASE, tiers=(TIER,)),
            replace(BASE, tiers=(replace(TIER, above_input_tokens=200),)),
            False,
        ),
        (
            replace(BASE, tiers=(TIER,)),
            replace(BASE, tiers=(replace(TIER, input_usd_per_1m=Decimal(4)),)),
            False,
        ),
        (replace(BASE, tiers=(TIER,)), replace(BASE, tiers=(TIER, TIER)), False),
    ],
)
def test_two_lines_agree_as_far_as_both_say(one: PriceLine, other: PriceLine, same: bool) -> None:
    assert same_price(one, other) is same
    assert same_price(other, one) is same


def test_free_lines_for_any_model_and_the_package_s_own_have_nobody_beside_them() -> None:
    prices = lists(Path())
    for provider, name in (
        ("device", "phi-3.5-mini"),
        ("scripted", "m"),
        ("azure_ai", "genai-prices/openai/gpt-4o"),
    ):
        counts = prices.find(provider, name, DAY)
        assert counts is not None
        assert prices.others(counts, DAY) == ()


# Of a whole target


def test_a_deployment_that_names_its_model_under_price_gets_that_model_s_facts() -> None:
    facts = facts_of(target("our-deployment"), "gpt-4o", lists(Path()), DAY)

    assert (facts.model, facts.max_input_tokens) == ("gpt-4o", 128_000)
    (warning,) = facts.warnings(DAY)
    assert "2026-10-01" in warning
    assert "2027-04-14" in warning
    assert facts.price_conflicts == (), "not asked for"


def test_a_deployment_that_names_nothing_is_not_known_and_nothing_is_guessed() -> None:
    facts = facts_of(target("our-gpt-4o"), None, lists(Path()), DAY, conflicts=True)

    assert (facts.line, facts.facts, facts.lives) == (None, None, ())
    assert (facts.max_input_tokens, facts.conflicts_say(), facts.warnings(DAY)) == (None, (), ())


def test_a_nim_is_a_trial_at_nvidia_s_and_of_unknown_price_on_a_box_of_one_s_own() -> None:
    box = target("m", "nvidia_nim", "http://127.0.0.1:8000/v1")
    found = [
        facts_of(one, price, lists(Path()), DAY).line
        for one, price in ((target("m", "nvidia_nim"), None), (box, None), (box, "own-box"))
    ]
    assert [line and line.basis for line in found] == ["trial", None, "own box"]


def test_a_price_of_zero_with_a_reason_is_no_name_of_a_model() -> None:
    facts = facts_of(target("m", "openai_compatible"), "own-box", lists(Path()), DAY)

    assert facts.line is not None
    assert (facts.model, facts.line.basis) == ("m", "own box")


def test_a_service_that_ended_is_told_by_the_same_means_as_a_model() -> None:
    facts = facts_of(target("openai/gpt-4o", "github_models"), None, lists(Path()), DAY)

    assert [life.state(DAY) for life in facts.lives] == ["ended"]
    (warning,) = facts.warnings(DAY)
    assert warning.startswith("github_models was retired on 2026-07-30")
    assert "azure_ai or nvidia_nim" in warning


MODELS = "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"


@pytest.mark.parametrize(
    ("base_url", "warnings"),
    [
        (
            MODELS,
            [
                "azure_ai at res.services.ai.azure.com/models/chat/completions was retired on "
                "2026-08-26 (the service itself); use the resource's /openai/v1 address"
            ],
        ),
        ("https://res.openai.azure.com/openai/v1/", []),
        ("https://res.openai.azure.com/wrong", []),  # complained of where it is built
        (None, []),
    ],
)
def test_a_form_that_ended_is_told_and_the_provider_s_other_forms_live(
    base_url: str | None, warnings: list[str]
) -> None:
    asked = replace(target("our-deployment"), base_url=base_url)

    assert list(facts_of(asked, None, lists(Path()), DAY).warnings(DAY)) == warnings


def test_a_declared_end_stands_beside_the_catalogue_s(tmp_path: Path) -> None:
    own = lists(tmp_path, line("gpt-5.5", more=", retires: 2026-12-24"))
    (life,) = facts_of(target("gpt-5.5"), None, own, DAY).lives

    assert [(str(e.on), e.source) for e in life.ends] == [
        ("2026-12-24", "our contract"),
        ("2027-10-26", "LiteLLM 1.109.1"),
    ]
    assert life.state(DAY) == "ending"


def test_a_conflict_is_a_sentence_with_both_prices(tmp_path: Path) -> None:
    own = lists(tmp_path, line("gpt-4o"))
    (sentence,) = facts_of(target("gpt-4o"), None, own, DAY, conflicts=True).conflicts_say()

    assert "says $2.50 in, $10.00 out; what counts is ours: $9 in, $9 out" in sentence
