"""A target whose service has ended: asked once, said so, and the route goes on without it."""

from __future__ import annotations

from pathlib import Path

from contract.replay import WIRE, Replay, load
from support.loops import in_loop

from router import AsyncRouter

POLICY = """\
policy: cloud
summary: Any cloud.
tiers: [cloud]
limits: {hops: 3}
"""


@in_loop
async def test_a_retired_service_is_asked_once_and_the_next_target_answers(tmp_path: Path) -> None:
    gone = load(WIRE / "github_models" / "410_retired.http")
    async with Replay([gone]) as replay:
        (tmp_path / "cloud.yaml").write_text(POLICY)
        path = tmp_path / "firsthop.yaml"
        path.write_text(
            f"""\
version: 1
policy: ./cloud.yaml
ledger: {{folder: ./ledger}}
targets:
  old:
    tier: cloud
    provider: github_models
    model: openai/gpt-4o-mini
    transport: lean
    base_url: {replay.url("/inference")}
  new:
    tier: cloud
    provider: scripted
    model: m
    options: {{steps: [{{text: Still here.}}]}}
"""
        )
        async with AsyncRouter(path) as router:
            first = await router.ask("Are you there?")
            second = await router.ask("And now?")

    old, new = first.hops
    assert (first.answered_by, second.answered_by) == ("new", "new")
    assert (old.last.error_kind, old.last.http_status, len(old.attempts)) == ("gone", 410, 1)
    assert new.cause == "fallback"
    assert old.cost_usd == 0
    assert "ended on 2026-07-30, use azure_ai or nvidia_nim" in str(old.last.error_message)
    assert [hop.target for hop in second.hops] == ["new"]
    assert len(replay.sent) == 1
