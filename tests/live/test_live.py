"""Real clouds, a few short calls each: `make live`. Skipped where no key is set.

The worst case is computed before the first call, from the price list, and has to stay under a cent;
each call is made under a dollar limit besides, so that the router itself would refuse a dearer one.
A target without a known price is refused for the same reason.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from router import AsyncRouter, NoAnswer, providers
from router.config import shipped
from router.ledger.pricing import PriceBook, worst_case
from router.ledger.report import Report
from router.providers.base import Transport
from router.signals import prompt_bound
from router.types import Message

pytestmark = pytest.mark.live

PROMPT = "Answer with one word: what is the capital of France?"
MOST_TOKENS = 64
CALLS = 4
"""Calls of a target that may be billed: to the end and left half-way, by each transport."""
ALL_USD = Decimal("0.01")


@dataclass(frozen=True)
class Cloud:
    """A service, and the variables that make it testable."""

    provider: str
    needs: tuple[str, ...]
    target: dict[str, Any]
    price: str | None = None

    @property
    def missing(self) -> list[str]:
        return [name for name in self.needs if not os.environ.get(name)]


def _env(name: str) -> dict[str, str]:
    return {"env": name}


CLOUDS = {
    "azure": Cloud(
        "azure_ai",
        ("AZURE_AI_ENDPOINT", "AZURE_AI_DEPLOYMENT", "AZURE_AI_KEY", "AZURE_AI_PRICE"),
        {
            "base_url": _env("AZURE_AI_ENDPOINT"),
            "model": _env("AZURE_AI_DEPLOYMENT"),
            "api_key": _env("AZURE_AI_KEY"),
            "price": _env("AZURE_AI_PRICE"),
        },
        price=os.environ.get("AZURE_AI_PRICE"),
    ),
    "nim": Cloud(
        "nvidia_nim",
        ("NVIDIA_API_KEY",),
        {"model": "microsoft/phi-4-mini-instruct", "api_key": _env("NVIDIA_API_KEY")},
        price="microsoft/phi-4-mini-instruct",
    ),
}
EACH_CLOUD = pytest.mark.parametrize("name", CLOUDS)
EACH_WAY = pytest.mark.parametrize("transport", ["lean", "sdk"])


def call_usd(cloud: Cloud) -> Decimal:
    """Most that one call can cost."""
    prices = PriceBook.load(shipped("configs") / "prices.yaml")
    today = datetime.datetime.now(datetime.UTC).date()
    dialect = providers.dialect(cloud.provider)
    url = dialect.base_url if dialect is not None else None
    line = prices.find(cloud.provider, cloud.price or "", today, url)
    assert line is not None, f"no price is known: name a line of prices.yaml ({cloud.needs[-1]})"
    bound = int(prompt_bound((Message(role="user", content=PROMPT),)).bound)
    return worst_case(line, bound, MOST_TOKENS)


def config(name: str, transport: Transport, folder: Path, **more: Any) -> Path:
    """One target under the shipped policy `cloud-only`, called once at most."""
    cloud = CLOUDS[name]
    if cloud.missing:
        pytest.skip(f"needs {', '.join(cloud.missing)}")
    target = {
        "tier": "cloud-fast",
        "provider": cloud.provider,
        "transport": transport,
        "attempts": 1,
        "max_output_tokens": MOST_TOKENS,
        "timeout_s": 60,
        **cloud.target,
        **more,
    }
    path = folder / "firsthop.yaml"
    ledger = {"folder": str(folder / "ledger")}
    made = {"version": 1, "policy": "cloud-only", "targets": {name: target}, "ledger": ledger}
    path.write_text(json.dumps(made))
    return path


def test_all_of_it_costs_less_than_a_cent_at_worst(capsys: pytest.CaptureFixture[str]) -> None:
    ready = [name for name, cloud in CLOUDS.items() if not cloud.missing]
    if not ready:
        pytest.skip("no cloud's variables are set: " + ", ".join(_all_variables()))

    worst = {name: CALLS * call_usd(CLOUDS[name]) for name in ready}

    with capsys.disabled():
        print(f"\nat worst, in dollars: {', '.join(f'{n} {usd:f}' for n, usd in worst.items())}")
    assert sum(worst.values()) < ALL_USD


@EACH_WAY
@EACH_CLOUD
def test_a_cloud_answers_and_counts(
    name: str, transport: Transport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = config(name, transport, tmp_path)

    async def main() -> Any:
        async with AsyncRouter(made) as router:
            return await router.ask(PROMPT, cost_usd=call_usd(CLOUDS[name]))

    answer = asyncio.run(main())

    last = answer.hops[0].last
    with capsys.disabled():
        print(f"\n{name} by {transport}: {answer.text!r}, {last}")
    assert answer.finish in ("stop", "length")
    assert "Paris" in answer.text or answer.finish == "length"
    assert last.usage.input_tokens
    assert last.usage.output_tokens
    assert last.request_id
    assert last.model_served
    assert answer.cost_usd is not None
    assert answer.cost_usd <= call_usd(CLOUDS[name])


@EACH_WAY
@EACH_CLOUD
def test_a_stream_can_be_left(name: str, transport: Transport, tmp_path: Path) -> None:
    made = config(name, transport, tmp_path)

    async def main() -> str:
        limit = call_usd(CLOUDS[name])
        async with AsyncRouter(made) as router, router.stream(PROMPT, cost_usd=limit) as pieces:
            async for piece in pieces:
                return piece
        return ""

    asyncio.run(main())  # a model that thinks for all of its tokens has said nothing: no error
    with Report.open(tmp_path / "ledger") as report:
        (row,) = report.recent()
    assert row.status in ("cancelled", "answered")


@EACH_WAY
@EACH_CLOUD
def test_a_wrong_key_is_turned_away_unbilled(
    name: str, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_ONE", "0123456789abcdef0123456789abcdef")
    made = config(name, transport, tmp_path, api_key=_env("WRONG_ONE"))

    async def main() -> None:
        async with AsyncRouter(made) as router:
            await router.ask(PROMPT, cost_usd=call_usd(CLOUDS[name]))

    with pytest.raises(NoAnswer) as raised:
        asyncio.run(main())

    last = raised.value.hops[0].last
    assert (last.error_kind, last.cost_usd) == ("auth_failed", Decimal(0))


def _all_variables() -> list[str]:
    return [variable for cloud in CLOUDS.values() for variable in cloud.needs]
