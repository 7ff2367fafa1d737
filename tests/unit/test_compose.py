"""Config to live objects: what does not fit is named with its place, and nothing stays open."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any

import pytest

from router import config as configs
from router.clock import Clock, ManualClock
from router.compose import Router, fit
from router.drive.live import Live
from router.errors import ConfigError, LedgerError, RateLimited
from router.hops import Outcome
from router.types import Message, Request

TEXT = """\
version: 1
policy: device-only
targets:
  device:
    tier: device
    provider: scripted
    model: script
    options: {steps: [{text: x}]}
ledger: {folder: ledger}
"""


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "firsthop.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (("{text: x}", "{txet: x}"), ":8", "txet"),
        (("tier: device", "tier: cloud"), ":3", "no target serves a tier of policy device-only"),
        (("policy: device-only", "policy: device-onyl"), ":2", "did you mean 'device-only'?"),
        (("model: script", "model: script\n    price: dear"), ":8", "no price line is called"),
        (("policy: device-only", "policy: device-only\nprices: none.yaml"), "none.yaml", "read"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place_and_opens_no_ledger(
    tmp_path: Path, change: tuple[str, str], place: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Router.of(write(tmp_path, change))

    assert place in str(caught.value)
    assert says in str(caught.value)
    assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize("given", [3, b"scripted", {"version": 1}])
def test_a_config_of_another_type_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="config"):
        Router.of(given)


def test_an_empty_policy_name_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no policy is called ''"):
        Router.of(write(tmp_path), policy="")


def test_fitting_opens_nothing(tmp_path: Path) -> None:
    policy, targets = fit(configs.load(write(tmp_path)))

    assert (policy.name, list(targets)) == ("device-only", ["device"])
    assert not (tmp_path / "ledger").exists()


def test_a_ledger_that_cannot_be_made_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("no folder")

    with pytest.raises(LedgerError):
        Router.of(write(tmp_path))


# Prices and life dates

UNPRICED = """\
version: 1
policy: balanced
targets:
  device: {tier: device, provider: scripted, model: m, options: {steps: [{text: x}]}}
  cloud:
    tier: cloud-fast
    provider: openai_compatible
    base_url: http://127.0.0.1:9/v1
    model: nobody-knows
"""


def fitted(folder: Path, text: str, clock: Clock | None = None) -> dict[str, Live]:
    path = folder / "firsthop.yaml"
    path.write_text(text, encoding="utf-8")
    return fit(configs.load(path, {}), clock=clock)[1]


def test_a_dollar_limit_over_an_unknown_price_is_refused_with_file_field_target_and_ways_out(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(tmp_path, UNPRICED)

    error = caught.value
    assert (error.file, error.line) == (str(tmp_path / "firsthop.yaml"), 5)
    assert error.field == "targets.cloud.price"
    assert "limits.cost_usd of policy balanced can't be kept" in error.message
    assert "target cloud, model 'nobody-knows'" in error.message
    for way_out in ("`price:`", "`prices:`", "`unknown_price: allow`"):
        assert way_out in (error.hint or "")


def test_told_to_allow_it_a_target_of_unknown_price_loads_and_is_marked(tmp_path: Path) -> None:
    lives = fitted(tmp_path, UNPRICED + "    unknown_price: allow\n")

    assert (lives["cloud"].meter.price, lives["cloud"].unpriced) == (None, True)
    assert not lives["device"].unpriced


def test_allowing_it_changes_nothing_for_a_target_whose_price_is_known(tmp_path: Path) -> None:
    known = UNPRICED.replace("model: nobody-knows", "model: stand-in")
    lives = fitted(tmp_path, known + "    unknown_price: allow\n")

    assert lives["cloud"].meter.price == "openai_compatible/stand-in@2024-01-01"
    assert not lives["cloud"].unpriced


def test_a_declared_price_makes_the_limit_keepable_and_the_shipped_ones_stay(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(
        "prices:\n  - {id: ours, provider: openai_compatible, model: nobody-knows,"
        ' input_usd_per_1m: "0", output_usd_per_1m: "0", basis: own box, source: me,'
        " checked: 2026-01-01, valid_from: 2026-01-01}\n"
    )
    lives = fitted(tmp_path, UNPRICED + "prices: own.yaml\n")

    assert lives["cloud"].meter.price == "ours"
    assert lives["device"].meter.price == "scripted/*@2024-01-01"


AZURE = UNPRICED.replace("openai_compatible", "azure_ai").replace(
    "http://127.0.0.1:9/v1", "http://127.0.0.1:9/openai/v1"
)
GITHUB = UNPRICED.replace("openai_compatible", "github_models") + "    unknown_price: allow\n"


def at(day: str) -> ManualClock:
    return ManualClock(wall=datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())


@pytest.mark.parametrize(
    ("text", "model", "day", "says"),
    [
        (AZURE, "Phi-4", "2026-11-17", None),
        (AZURE, "Phi-4", "2026-11-18", "retires on 2027-01-17 (LiteLLM 1.109.1), in 60 days"),
        (AZURE, "o3", "2026-11-19", "model o3 of azure_ai was retired on 2026-11-19"),
        (AZURE, "gpt-4o", "2026-11-22", "2026-10-01 (Microsoft's schedule of 2026-07-07); 2027-04"),
        (GITHUB, "openai/gpt-4o", "2026-11-22", "github_models was retired on 2026-07-30"),
    ],
)
def test_a_target_that_ends_is_warned_of_at_load_with_its_day_and_its_heirs(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    text: str,
    model: str,
    day: str,
    says: str | None,
) -> None:
    fitted(tmp_path, text.replace("nobody-knows", model), at(day))

    told = [record.getMessage() for record in caplog.records if record.name == "firsthop"]
    if says is None:
        assert told == []
    else:
        (line,) = told
        assert line.startswith("target cloud: ")
        assert says in line
        assert "; use " in line


DATED = """\
prices:
  - {id: old, provider: scripted, model: script, input_usd_per_1m: "1", output_usd_per_1m: "1",
     source: s, checked: 2026-11-01, valid_from: 2026-11-01}
  - {id: new, provider: scripted, model: script, input_usd_per_1m: "3", output_usd_per_1m: "3",
     source: s, checked: 2026-11-01, valid_from: 2026-12-01}
"""
SPENDS = "[{text: x, usage: {input_tokens: 5, output_tokens: 5}}]"


def test_a_router_that_runs_on_takes_a_new_price_on_its_day(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(DATED)
    config = write(
        tmp_path, ("policy: device-only", "policy: device-only\nprices: own.yaml"),
        ("[{text: x}]", SPENDS),
    )  # fmt: skip
    clock = at("2026-11-30")

    async def asked() -> list[tuple[str | None, str]]:
        router = Router.of(config, clock=clock)
        found = []
        ask = Request(messages=(Message(role="user", content="hm?"),))
        for _ in range(3):
            (outcome,) = [x async for x in router.run(ask, None) if isinstance(x, Outcome)]
            (one,) = outcome.hops[-1].attempts
            found.append((one.price, f"{one.cost_usd:f}"))
            clock.advance(43_200 - 1)
        await router.aclose()
        return found

    assert asyncio.run(asked()) == [("old", "0.000010")] * 2 + [("new", "0.000030")]


NIM = UNPRICED.replace("openai_compatible", "nvidia_nim")


def test_a_nim_of_one_s_own_is_not_free_because_nvidia_s_trial_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no price is known for target cloud"):
        fitted(tmp_path, NIM)
    box = fitted(tmp_path, NIM + "    price: own-box\n")["cloud"]
    hosted = fitted(tmp_path, NIM.replace("    base_url: http://127.0.0.1:9/v1\n", ""))["cloud"]

    assert box.meter.price == "nvidia_nim/own-box@2024-01-01"
    assert hosted.meter.price == "nvidia_nim/*@2024-06-01"


def test_a_model_s_size_goes_with_its_target(tmp_path: Path) -> None:
    assert (
        fitted(tmp_path, AZURE.replace("nobody-knows", "gpt-4o"), at("2026-11-22"))[
            "cloud"
        ].max_input_tokens
        == 128_000
    )


class Stuck:
    """A provider that can't be closed."""

    async def stream(self, ask: object) -> Any:
        raise AssertionError(ask)
        yield

    async def aclose(self) -> None:
        raise OSError("the socket is gone")


def test_one_target_that_cannot_be_closed_keeps_nothing_else_open(tmp_path: Path) -> None:
    router = Router.of(write(tmp_path))
    one = router.targets["device"]
    router.targets["stuck"] = Live(target=one.target, provider=Stuck(), meter=one.meter)

    with pytest.raises(OSError, match="gone"):
        asyncio.run(router.aclose())
    with pytest.raises(LedgerError, match="is closed"):
        router.ledger.feedback("01JB7Q00000000000000000000", good=True)


CLOUDS = """\
version: 1
policy: balanced
targets:
  device: {tier: device, provider: scripted, model: script, options: {steps: [{text: x}]}}
  box: {tier: cloud-fast, provider: openai_compatible, model: m, base_url: "http://127.0.0.1:9/v1",
    price: scripted/*@2024-01-01, max_in_flight: 2}
  far: {tier: cloud-strong, provider: openai_compatible, model: m, price: scripted/*@2024-01-01,
    base_url: "https://cloud.example/v1"}
  away: {tier: cloud-strong, provider: openai_compatible, model: m, price: scripted/*@2024-01-01,
    base_url: "https://cloud.example/v1", proxy: "http://127.0.0.1:3128"}
ledger: {folder: ledger}
"""


def test_only_what_is_behind_a_network_needs_one_and_the_cap_is_the_targets(tmp_path: Path) -> None:
    path = tmp_path / "firsthop.yaml"
    path.write_text(CLOUDS)
    router = Router.of(path)
    ways = {name: live.way for name, live in router.targets.items()}
    asyncio.run(router.aclose())

    assert {name: way.network is not None for name, way in ways.items()} == {
        "device": False,
        "box": False,
        "far": True,
        "away": False,
    }
    assert ways["far"].network is router.senses.network
    assert {name: way.max_in_flight for name, way in ways.items()} == {
        "device": None,
        "box": 2,
        "far": None,
        "away": None,
    }


def test_health_says_how_each_target_is(tmp_path: Path) -> None:
    path = tmp_path / "firsthop.yaml"
    path.write_text(CLOUDS)
    router = Router.of(path)
    now = router.clock.now()
    router.targets["box"].way.enter_now()
    limited = RateLimited("", retry_after_s=100)
    router.targets["box"].way.ended(limited, None, began=now, now=now)
    for _ in range(5):
        router.senses.breakers.saw("far", "unavailable")
    network = router.senses.network
    assert network is not None
    network._gone()

    found = router.health()
    asyncio.run(router.aclose())

    assert list(found) == ["device", "box", "far", "away"]
    device, box, far = found["device"], found["box"], found["far"]
    assert (device.breaker, device.open_for_s, device.last_error) == ("closed", None, None)
    assert (device.in_flight, device.queued, device.quiet_for_s) == (0, 0, 0)
    assert (box.tier, box.last_error, box.offline_since) == ("cloud-fast", "rate_limited", None)
    assert 99 < box.quiet_for_s <= 100
    assert (box.in_flight, box.max_in_flight, box.queued) == (1, 2, 0)
    assert far.breaker == "open"
    assert far.open_for_s == pytest.approx(30, abs=1)
    assert far.offline_since is not None
    assert found["away"].offline_since is None
