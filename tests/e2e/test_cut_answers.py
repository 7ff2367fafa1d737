"""A caller who leaves in the middle of an answer: what of its cost is known, and what is not."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from contract.replay import Recording, Replay
from typer.testing import CliRunner

from router import AsyncRouter
from router.cli.app import app
from router.ledger import Report

CONFIG = """\
version: 1
policy: cloud-only
prices: prices.yaml
targets:
  cloud: {{tier: cloud-fast, provider: openai_compatible, model: m, base_url: "{url}",
    transport: lean, max_in_flight: 1}}
ledger: {{folder: ledger}}
"""
PRICES = """\
prices:
  - id: "m@2024-01-01"
    provider: openai_compatible
    model: m
    input_usd_per_1m: "1"
    output_usd_per_1m: "10"
    source: made up
    checked: 2026-01-01
    valid_from: 2024-01-01
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"twelve chars"}}]}\n\n'


def test_what_it_probably_cost_stands_beside_what_is_known(tmp_path: Path) -> None:
    config = tmp_path / "firsthop.yaml"
    (tmp_path / "prices.yaml").write_text(PRICES)

    async def main() -> None:
        async with Replay([Recording("half", "", {}, HEAD, (HALF,), "stall")]) as replay:
            config.write_text(CONFIG.format(url=replay.url()))
            async with AsyncRouter(config) as router:
                stream = router.stream("What is it, then?")
                assert await anext(stream) == "twelve chars"
                assert router.health()["cloud"].in_flight == 1
                await stream.aclose()
                assert router.health()["cloud"].in_flight == 0
                await replay.hung_up.wait()

    asyncio.run(main())

    with Report.open(tmp_path / "ledger") as report:
        (row,) = report.recent()
        ((attempt,),) = [hop.attempts for hop in report.request(row.decision_id).hops]
        totals = report.totals()
    assert (row.cost_usd, attempt.cost_usd, attempt.error_kind) == (None, None, "cancelled")
    assert attempt.connect_s
    assert (attempt.queue_s, attempt.reached) == (0.0, True)
    # 17 bytes / 4 and 4 for the message; 12 characters / 4
    assert (attempt.estimated_input_tokens, attempt.estimated_output_tokens) == (9, 3)
    assert attempt.estimate_usd == Decimal("0.000039")
    assert (totals.cost_usd, totals.cost_unknown, totals.estimated) == (0, 1, 1)
    said = CliRunner().invoke(app, ["ledger", "totals", "--config", str(config)]).stdout
    assert "cost $0 and 1 unknown + about $0.000039 for 1 cut answer\n" in said
    shown = CliRunner().invoke(app, ["ledger", "show", row.decision_id, "--config", str(config)])
    assert "cost unknown (about $0.000039)" in shown.stdout
