"""A tool loop with a cloud over a real socket; the device beside it takes text only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract.replay import WIRE, Replay, load
from support.loops import in_loop

from router import AsyncRouter, RouterError

LOOK_UP = {"name": "look_up", "parameters": {"type": "object"}}
POLICY = """\
policy: ladder
summary: The device, else the cloud.
tiers: [device, cloud]
accept:
  - id: sure
    on: [device]
    require: {draft.mean_logprob: {gte: -0.5}}
limits: {hops: 2}
"""
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def config(tmp_path: Path, base_url: str, abilities: str) -> Path:
    (tmp_path / "ladder.yaml").write_text(POLICY)
    path = tmp_path / "firsthop.yaml"
    path.write_text(
        f"""\
version: 1
policy: ./ladder.yaml
ledger: {{folder: ./ledger}}
targets:
  small:
    tier: device
    provider: scripted
    model: m
    options: {{abilities: [], steps: [{{text: Only text.}}]}}
  cloud:
    tier: cloud
    provider: openai_compatible
    model: some-model
    transport: lean
    base_url: {base_url}
    options: {{abilities: {abilities}}}
"""
    )
    return path


def script(*names: str) -> list[Any]:
    return [load(WIRE / "common" / f"{name}.http") for name in names]


@in_loop
async def test_a_cloud_calls_tools_and_is_given_their_results(tmp_path: Path) -> None:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "Look up two words."}]
    async with (
        Replay(script("tools_no_id", "plain")) as replay,
        AsyncRouter(config(tmp_path, replay.url(), "[tools]")) as router,
    ):
        asked = await router.ask(turns, tools=[LOOK_UP])
        calls: list[dict[str, Any]] = [
            {"id": c.id, "function": {"name": c.name, "arguments": c.arguments}}
            for c in asked.tool_calls
        ]
        turns.append({"role": "assistant", "content": asked.text, "tool_calls": calls})
        turns += [{"role": "tool", "content": "!", "tool_call_id": call["id"]} for call in calls]
        told = await router.ask(turns, tools=[LOOK_UP])

    assert (asked.answered_by, asked.finish) == ("cloud", "tool_calls")
    assert [call["function"]["arguments"] for call in calls][:2] == [
        '{"word": "one"}',
        '{"word": "two"}',
    ]
    assert (told.answered_by, told.text) == ("cloud", "Hello, you.")
    first, second = (sent.body for sent in replay.sent)
    assert first["tools"][0]["function"]["name"] == "look_up"
    assert [m.get("tool_call_id") for m in second["messages"][2:]] == [c["id"] for c in calls]
    assert [c["id"] for c in second["messages"][1]["tool_calls"]] == [c["id"] for c in calls]


@in_loop
async def test_a_picture_goes_to_no_target_that_was_not_said_to_see(tmp_path: Path) -> None:
    turn = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}
    async with (
        Replay(script("plain")) as replay,
        AsyncRouter(config(tmp_path, replay.url(), "[tools, json]")) as router,
    ):
        with pytest.raises(RouterError, match="cloud skipped: it takes no images"):
            await router.ask([turn])

    assert replay.sent == []
