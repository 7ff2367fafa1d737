"""What a key makes of a request: its tenant, label, policies and dollars."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.booking import attempt, closed, hop

from router.clock import ManualClock
from router.compose import Router
from router.policy.rules import Limits, Policy
from router.sidecar import keyfile
from router.sidecar.callers import KEY_TAG, Caller, Callers
from router.sidecar.names import Choice, Names
from router.sidecar.settings import Settings
from router.sidecar.wire.failure import Refusal
from router.types import LABELS, Label, Message, Request, Usage

NOW = 1_780_000_000.0


def made(path: Path, name: str = "web", **rights: Any) -> str:
    return keyfile.add(path, name, now_s=NOW, **rights)


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + key.encode()}


def caller(path: Path, clock: ManualClock | None = None, **rights: Any) -> Caller:
    key = made(path, **rights)
    found = Callers(path, clock or ManualClock()).of(bearer(key))
    assert found is not None
    return found


def policy(cost_usd: str | None = None, default_label: Label = "public") -> Policy:
    limits = Limits(cost_usd=None if cost_usd is None else Decimal(cost_usd))
    return Policy(
        name="p",
        revision="1",
        summary="s",
        tiers=("device",),
        limits=limits,
        default_label=default_label,
    )


def asked(**more: Any) -> Request:
    return Request(messages=(Message(role="user", content="hi"),), **more)


AUTO = Choice(None, None)


def test_a_rate_is_a_429_that_says_when(tmp_path: Path) -> None:
    found = caller(tmp_path / "keys.json", rate="1/min")
    found.let()
    with pytest.raises(Refusal) as caught:
        found.let()

    assert caught.value.failure.status == 429
    assert (b"retry-after", b"60") in caught.value.failure.headers


@pytest.mark.parametrize("floor", LABELS)
def test_a_label_is_only_ever_raised(tmp_path: Path, floor: Label) -> None:
    found = caller(tmp_path / "keys.json", label_floor=floor)
    for said, default in itertools.product([None, *LABELS], LABELS):
        label = found.held(asked(label=said), AUTO, policy(default_label=default), "d").label
        assert label is not None
        assert LABELS.index(label) == max(LABELS.index(said or default), LABELS.index(floor))


def test_a_caller_divides_his_tenant_and_reaches_no_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    acme, other = caller(path, name="a", tenant="acme"), caller(path, name="acme-b")

    assert acme.held(asked(), AUTO, policy(), "d").tenant == "acme"
    assert acme.held(asked(tenant="acme-b"), AUTO, policy(), "d").tenant == "acme/acme-b"
    assert other.held(asked(tenant="x/y"), AUTO, policy(), "d").tenant == "acme-b/x/y"


def test_the_key_is_booked_whatever_the_caller_says(tmp_path: Path) -> None:
    found = caller(tmp_path / "keys.json")
    request = found.held(asked(tags={KEY_TAG: "boss", "team": "x"}), AUTO, policy(), "d")

    assert request.tags == {KEY_TAG: "web", "team": "x"}


def outcome(decision_id: str, cost_usd: str | None, **call: Any) -> Any:
    one = attempt(decision_id, cost_usd=cost_usd, **call)
    return closed(decision_id, hop(decision_id, attempts=(one,))).outcome


def test_a_day_has_so_many_dollars_and_what_is_under_way_is_set_aside(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.json", ManualClock()
    key = made(path, day_usd=Decimal("1"))
    callers = Callers(path, clock)
    found = callers.of(bearer(key))
    assert found is not None

    def most(decision_id: str, said: str | None = None, limit: str | None = "0.4") -> Decimal:
        cost = None if said is None else Decimal(said)
        usd = found.held(asked(cost_usd=cost), AUTO, policy(limit), decision_id).cost_usd
        assert usd is not None
        return usd

    assert most("a") == Decimal("0.4")
    assert most("b", said="0.1") == Decimal("0.1")
    assert most("c", limit=None) == Decimal("0.5")  # all that is left, and nothing set aside
    assert most("d") == Decimal("0.4")
    assert most("e") == Decimal("0.1")
    assert most("f") == 0
    callers.settle(outcome("a", "0.05"))
    callers.settle(outcome("d", None, estimate_usd=Decimal("0.02"), usage=Usage()))
    callers.settle(outcome("e", None, usage=Usage()))  # nobody knows: all that was set aside
    callers.let_go("b")  # it never went down the street
    assert found.purse.spent_usd() == Decimal("0.17")
    callers.settle(outcome("c", "5"))
    assert most("g") == 0
    clock.advance(86_400)
    assert most("h") == Decimal("0.4")


def test_a_key_without_a_budget_keeps_the_callers_own_limit(tmp_path: Path) -> None:
    found = caller(tmp_path / "keys.json")

    assert found.held(asked(), AUTO, policy("0.4"), "d").cost_usd is None
    assert found.held(asked(cost_usd=Decimal("2")), AUTO, policy(), "d").cost_usd == 2


@pytest.fixture
def names() -> Any:
    router = Router.of("scripted")
    yield Names(router, Settings(aliases={"gpt": "auto", "big": "cloud-only"}))
    asyncio.run(router.aclose())


def test_a_key_uses_its_policies_and_no_target(tmp_path: Path, names: Names) -> None:
    found = caller(tmp_path / "keys.json", policies=("cloud-only", "offline"))

    def chosen(model: str) -> Choice:
        return asyncio.run(found.chosen(model, names))

    for model in ("auto", "gpt", "cloud-only", "big"):
        assert found.permits(model, names)
        assert chosen(model) == Choice("cloud-only", None)
    for model in (names.own, "device", "cloud"):
        assert not found.permits(model, names)
        with pytest.raises(Refusal) as caught:
            chosen(model)
        assert (caught.value.failure.status, caught.value.failure.code) == (403, "not_permitted")
    with pytest.raises(Refusal) as caught:
        chosen("nothing")
    assert caught.value.failure.status == 404
    with pytest.raises(Refusal) as caught:
        found.held(asked(target="cloud"), Choice("cloud-only", None), policy(), "d")
    assert caught.value.failure.status == 403


def test_a_key_may_be_for_one_target_or_for_auto(tmp_path: Path, names: Names) -> None:
    path = tmp_path / "keys.json"
    one, auto = caller(path, policies=("device",)), caller(path, name="b", policies=("auto",))

    assert asyncio.run(one.chosen("auto", names)) == Choice(None, "device")
    held = one.held(asked(target="device"), Choice(None, "device"), policy(), "d")
    assert held.target == "device"
    assert asyncio.run(auto.chosen("auto", names)) == AUTO
    assert not auto.permits("device", names)


def test_an_observer_asks_nothing_and_who_asks_observes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    watching, asking = caller(path, observer=True), caller(path, name="b")

    watching.observes()
    asking.let()
    for refused in (watching.let, asking.observes):
        with pytest.raises(Refusal) as caught:
            refused()
        assert caught.value.failure.status == 403


@pytest.mark.parametrize("limit", [None, "0.3", "0.9"])
def test_choices_that_run_together_have_what_is_left_between_them(
    tmp_path: Path, limit: str | None
) -> None:
    found = caller(tmp_path / "keys.json", day_usd=Decimal(1))
    ids = ["d0", "d1", "d2"]
    held = found.held_each([asked()] * 3, AUTO, policy(limit), ids)

    each = [one.cost_usd for one in held if one.cost_usd is not None]
    assert len(each) == 3
    assert sum(each) <= 1
    assert min(each) == min(Decimal("0.333333333"), Decimal(limit or 1))


def test_who_waits_as_it_is_told_has_its_choices_in_the_end(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "keys.json"
    key = keyfile.add(path, "web", now_s=0.0, rate="3/min")
    found = Callers(path, clock).of({b"authorization": b"Bearer " + key.encode()})
    assert found is not None
    found.let()
    found.let()
    with pytest.raises(Refusal) as caught:
        found.count_choices(3)
    wait_s = caught.value.failure.retry_after_s
    assert wait_s is not None
    clock.advance(wait_s)

    found.let()
    found.count_choices(3)
