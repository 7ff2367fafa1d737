"""Config to live objects: what does not fit is named with its place, and nothing stays open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router import config as configs
from router.compose import Router, fit
from router.drive.live import Live
from router.errors import ConfigError, LedgerError

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
