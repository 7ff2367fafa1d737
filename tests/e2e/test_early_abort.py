"""A real draft that is given up: the device stops writing, and turns to the next request."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from support.tiny_phi3 import build_tiny_phi3

from router import AsyncRouter
from router.ledger import Report

POLICY = """\
policy: impatient
summary: No draft of this model is worth its twelfth token.
tiers: [device, cloud]
abort:
  - {on: [device], bars: [{tokens: 12, when: {draft.mean_logprob: {lt: -0.001}}}]}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture
def config(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose words are noise, allowed 3,000 of them, beside a scripted cloud."""
    monkeypatch.setenv("FIRSTHOP_MODELS", str(tmp_path / "models"))
    (tmp_path / "impatient.yaml").write_text(POLICY)
    path = tmp_path / "firsthop.yaml"
    device = {
        "tier": "device",
        "provider": "device",
        "model": str(tiny),
        "max_output_tokens": 3000,
        "options": {"threads": 1},
    }
    script = {"steps": [{"text": "The cloud knows."}]}
    cloud = {"tier": "cloud", "provider": "scripted", "model": "script", "options": script}
    made = {
        "version": 1,
        "policy": str(tmp_path / "impatient.yaml"),
        "targets": {"device": device, "cloud": cloud},
        "ledger": {"folder": str(tmp_path / "ledger")},
    }
    path.write_text(json.dumps(made))
    return path


def test_the_worker_is_free_again_and_what_it_wrote_is_booked_as_waste(config: Path) -> None:
    async def main() -> None:
        async with AsyncRouter(config) as router:
            for _ in range(3):
                answer = await router.ask("Tell me of the sea.")
                assert answer.text == "The cloud knows."
                assert [(h.tier, h.left) for h in answer.outcome.hops] == [
                    ("device", "not kept: given up at token 12"),
                    ("cloud", "answered"),
                ]
                async with asyncio.timeout(2):
                    while (health := await router.device_health()) is None or health.running:
                        await asyncio.sleep(0)
                assert (health.queued, health.jobs_done) == (0, 0)

    asyncio.run(main())

    with Report.open(config.parent / "ledger") as report:
        device = next(t for t in report.totals().targets if t.target == "device")
    assert (device.hops, device.deferred, device.aborted, device.wasted_tokens) == (3, 3, 3, 36)
    assert device.cost_usd == 0
    assert device.wasted_s > 0
