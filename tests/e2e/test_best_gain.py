"""From labels that name tiers to a request that goes to the one worth it, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from support.calibrating import Run, firsthop
from support.labels import labels

from router import Answer, AsyncRouter
from router.calibration.labelled import Labelled
from router.ledger.report import Report

__all__ = ["firsthop"]

POLICY = """\
policy: weighed
summary: Keep what is certified; else ask who adds most for the dollar, and no more than needed.
tiers: [device, cheap, strong]
accept:
  - {id: sure, on: [device], require: {draft.certified: {is: true}}}
  - {id: enough, on: [cheap], require: {draft.gain.strong: {lt: 0.3}}}
escalate: best_gain
gain: {from: labels}
record_signals: policy
"""
PRICES = """\
prices:
  - {id: small-price, provider: openai_compatible, model: mini, input_usd_per_1m: "0.1",
     output_usd_per_1m: "0.4", source: us, checked: 2026-01-01, valid_from: 2026-01-01}
  - {id: big-price, provider: openai_compatible, model: big, input_usd_per_1m: "0.3",
     output_usd_per_1m: "1.2", source: us, checked: 2026-01-01, valid_from: 2026-01-01}
"""


@asynccontextmanager
async def cloud(name: str) -> AsyncIterator[str]:
    """A server on loopback that answers with its name. Gives its address."""

    async def complete(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        piece = {"index": 0, "delta": {"content": f"says {name}"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 5}
        chunk = {"id": "1", "model": name, "choices": [piece], "usage": usage}
        await reply.write(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
        return reply

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def configured(folder: Path, mini: str, big: str, **more: str) -> Path:
    """A scripted device that is never sure, and two clouds."""
    steps = [{"text": "I am not so sure.", "mean_logprob": -1.4}]
    wire = "openai_compatible"
    made = {
        "version": 1,
        "policy": str(folder / "weighed.yaml"),
        "prices": "own.yaml",
        "targets": {
            "device": {
                "tier": "device",
                "provider": "scripted",
                "model": "tiny",
                "options": {"steps": steps},
            },
            "mini": {"tier": "cheap", "provider": wire, "model": "mini", "base_url": mini},
            "big": {"tier": "strong", "provider": wire, "model": "big", "base_url": big},
        },
        "ledger": {"folder": "ledger"},
        **more,
    }
    (folder / "weighed.yaml").write_text(POLICY)
    (folder / "own.yaml").write_text(PRICES)
    path = folder / "firsthop.yaml"
    path.write_text(json.dumps(made, indent=1))
    return path


def written(path: Path, rows: list[Labelled]) -> Path:
    """The cheap tier rescues sums as well as the strong one does, and no words."""
    lines = [
        {
            "prompt": row.key,
            "draft": "an answer",
            "logprobs": list(row.logprobs),
            "right": row.right,
            "task": row.task,
            "language": row.language,
            "tiers": {
                "cheap": row.right if row.task == "words" else row.strong_right,
                "strong": {"right": row.strong_right, "cost": 0.002},
            },
        }
        for row in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


NOWHERE = "http://127.0.0.1:9/v1"


def test_a_draft_of_one_task_goes_to_the_cheap_tier_and_of_another_to_the_strong_one(
    firsthop: Run, tmp_path: Path
) -> None:
    configured(tmp_path, NOWHERE, NOWHERE)
    rows = [replace(row, language="en") for row in labels(900)]
    data = written(tmp_path / "labels.jsonl", rows)
    made = firsthop("calibrate", "--data", data, "--loss", "10%", "--report", "drawn.html")
    assert made.code == 0, made.err
    table = made.out.partition("what a tier adds")[2]
    assert "cheap" in table
    assert "strong" in table
    assert "What each tier adds" in (tmp_path / "drawn.html").read_text(encoding="utf-8")

    async def main() -> list[Answer]:
        async with cloud("mini") as mini, cloud("big") as big:
            config = configured(tmp_path, mini, big, confidence="confidence.json")
            async with AsyncRouter(config) as router:
                return [await router.ask("what else?", tags={"task": t}) for t in ("sums", "words")]

    sums, words = asyncio.run(main())

    assert [sums.text, words.text] == ["says mini", "says big"]
    for answer, tier in ((sums, "cheap"), (words, "strong")):
        gains = answer.hops[0].signals
        said = answer.explain()
        assert f"best_gain: {tier} gain {gains[f'draft.gain.{tier}']:.3g} by labels for $" in said
        assert f"{tier}: gain" in answer.hops[1].because
    first, second = sums.hops[0].signals, words.hops[0].signals
    assert first["draft.gain.cheap"] > 0.5  # type: ignore[operator]
    assert second["draft.gain.cheap"] < 0.2  # type: ignore[operator]
    assert second["draft.gain.strong"] > 0.5  # type: ignore[operator]
    # Beside the cheap tier's answer it is the difference, so that answer was enough.
    beyond = sums.hops[1].signals
    assert beyond["draft.gain.strong"] == pytest.approx(
        first["draft.gain.strong"] - first["draft.gain.cheap"]  # type: ignore[operator]
    )
    assert beyond["draft.gain.cheap"] is None
    with Report.open(tmp_path / "ledger") as report:
        row = report.request(words.decision_id)
    assert row.hops[0].signals["draft.gain.strong"] == second["draft.gain.strong"]


def test_without_labels_of_a_tier_the_next_one_is_asked_and_the_linter_says_so(
    firsthop: Run, tmp_path: Path
) -> None:
    config = configured(tmp_path, NOWHERE, NOWHERE)
    rows = [replace(row, language="en") for row in labels(900)]
    data = written(tmp_path / "l.jsonl", rows)
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    for line in lines:
        del line["tiers"]["cheap"]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert firsthop("calibrate", "--data", data, "--loss", "10%").code == 0
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"confidence": "confidence.json"})
    )
    linted = firsthop("policy", "check", tmp_path / "weighed.yaml")

    async def main() -> Answer:
        async with cloud("mini") as mini, cloud("big") as big:
            path = configured(tmp_path, mini, big, confidence="confidence.json")
            async with AsyncRouter(path) as router:
                return await router.ask("what else?", tags={"task": "words"})

    answer = asyncio.run(main())

    assert "too few labels of the calibration file tell what cheap gains" in linted.out + linted.err
    assert answer.hops[1].tier == "cheap"
    assert answer.hops[0].signals["draft.gain.cheap"] is None
    assert "no labels tell what cheap gains, so the next tier is asked" in answer.explain()


PROMPTED = {"steps": [{"match": "odd", "text": "#### 6", "mean_logprob": -1.5}, {"text": "#### 5"}]}


def test_asking_the_tiers_between_is_in_the_price_told_first_and_in_the_labels(
    firsthop: Run, tmp_path: Path
) -> None:
    """The cheap tier says what is odd wrong too; the strong one is the measure."""
    config = configured(tmp_path, NOWHERE, NOWHERE)
    made = json.loads(config.read_text())
    scripted = {"provider": "scripted", "options": PROMPTED}
    made["targets"]["device"]["options"] = PROMPTED
    made["targets"]["mini"] = {"tier": "cheap", "model": "mini", **scripted}
    right = {"steps": [{"text": "It is 5"}]}
    made["targets"]["big"] = {"tier": "strong", "model": "big", **scripted, "options": right}
    config.write_text(json.dumps(made))
    (tmp_path / "own.yaml").write_text(PRICES.replace("openai_compatible", "scripted"))
    (tmp_path / "prompts.txt").write_text("odd: 2 + 3?\neven: 2 + 3?\n")
    asking = ("calibrate", "--prompts", "prompts.txt", "--yes")

    judged = firsthop(*asking, "--tiers", "--judge", "big")
    poor = firsthop(*asking, "--tiers", "--most-usd", "0.0001")
    done = firsthop(*asking, "--tiers", "--work", "tiers.jsonl")

    assert judged.code == 2
    assert "--tiers: is for answers that are compared" in judged.err
    assert "judged by   the answer of big; mini asked too" in poor.err
    assert "0 made, $0 spent" in poor.err
    assert "2 made" in done.err
    rows = [json.loads(line) for line in (tmp_path / "tiers.jsonl").read_text().splitlines()]
    assert [row["tiers"]["cheap"]["right"] for row in rows] == [False, True]
    assert [row["right"] for row in rows] == [False, True]
    assert all(row["tiers"]["cheap"]["cost"] > 0 for row in rows)
    assert "labels tell: it takes 10 drafts of each kind" not in done.out  # refused before that
