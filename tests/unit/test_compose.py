"""Config to live objects: what does not fit is named with its place, and nothing stays open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router import config as configs
from router.compose import Router, fit
from router.drive.live import Live
from router.errors import ConfigError, LedgerError, RateLimited

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
