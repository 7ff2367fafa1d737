"""Agents: 200 loops of ten tool calls, through the SDK, with targets that fail now and then.

A loop stays with the target that began it. It leaves only when that target fails, or when a guard
appears in its middle; a new turn of the user decides afresh.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.loops import in_loop

from router import AsyncRouter
from router.answer import Answer

LOOPS = 200
CALLS = 10
LOOK_UP = {
    "name": "look_up",
    "description": "Find a word in the dictionary.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
}
POLICY = """\
policy: loops
summary: Small talk stays, lookups go up.
tiers: [device, cloud-fast, cloud-strong]
guards:
  - id: private-stays-home
    when: {request.label: {in: [pii, secret]}}
    forbid: [cloud-fast, cloud-strong]
route:
  - id: by-tag
    when: {request.tags.start: {is: fast}}
    start: cloud-fast
  - id: by-tag-strong
    when: {request.tags.start: {is: strong}}
    start: cloud-strong
accept:
  - id: sure
    on: [device, cloud-fast]
    require: {draft.mean_logprob: {gte: -0.5}}
limits: {hops: 4}
"""


def _steps(name: str) -> list[dict[str, Any]]:
    """A sure call, an unsure one, a failure: by a word in what the user says."""
    call = [{"id": f"{name}-call", "name": "look_up", "arguments": '{"word": "hop"}'}]
    said = {"text": "Let me see.", "tool_calls": call}
    return [
        {**said, "match": f"{name} is unsure", "mean_logprob": -2.0},
        {"match": f"{name} is broken", "fail": {"kind": "unavailable", "retryable": False}},
        {"match": "and that is all", "text": "It is a plant.", "mean_logprob": -0.1},
        {**said, "match": "please", "mean_logprob": -0.1},
    ]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "loops.yaml").write_text(POLICY)
    targets = {
        "small": {"tier": "device", "name": "small"},
        "fast": {"tier": "cloud-fast", "name": "fast"},
        "strong": {"tier": "cloud-strong", "name": "strong"},
    }
    lines = ["version: 1", "policy: ./loops.yaml", "ledger: {folder: ./ledger}", "targets:"]
    for name, target in targets.items():
        options = json.dumps({"steps": _steps(name)})
        lines.append(
            f"  {name}: {{tier: {target['tier']}, provider: scripted, model: m, attempts: 1, "
            f"options: {options}}}"
        )
    path = tmp_path / "firsthop.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Loop:
    """One agent's conversation."""

    start: str
    turns: list[dict[str, Any]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)

    def ask(self, words: str) -> None:
        self.turns.append({"role": "user", "content": words})

    def take(self, answer: Answer) -> None:
        """Do what the model asks for, as an agent does."""
        self.targets.append(answer.answered_by)
        calls = [
            {"id": c.id, "function": {"name": c.name, "arguments": c.arguments}}
            for c in answer.tool_calls
        ]
        self.turns.append({"role": "assistant", "content": answer.text, "tool_calls": calls})
        for call in answer.tool_calls:
            self.turns.append({"role": "tool", "content": "a plant", "tool_call_id": call.id})

    async def step(self, router: AsyncRouter, **options: Any) -> Answer:
        answer = await router.ask(
            self.turns, tools=[LOOK_UP], tags={"start": self.start}, **options
        )
        self.take(answer)
        return answer


@in_loop
async def test_two_hundred_loops_stay_where_they_began(config: Path) -> None:
    drawn = random.Random(11)
    async with AsyncRouter(config) as router:
        loops = [Loop(drawn.choice(["", "fast", "strong"])) for _ in range(LOOPS)]

        async def run(loop: Loop) -> None:
            # Half of the small ones are unsure at first, so the loop begins higher up.
            unsure = loop.start == "" and drawn.random() < 0.5
            loop.ask("small is unsure, please" if unsure else "please")
            for _ in range(CALLS):
                answer = await loop.step(router)
                assert answer.tool_calls

        await asyncio.gather(*(run(loop) for loop in loops))
    for loop in loops:
        assert len(set(loop.targets)) == 1, loop.targets
    assert {loop.targets[0] for loop in loops} == {"small", "fast", "strong"}


@in_loop
async def test_inside_a_loop_an_unsure_answer_is_no_reason_to_leave(config: Path) -> None:
    async with AsyncRouter(config) as router:
        loop = Loop("")
        loop.ask("please")
        await loop.step(router)
        loop.turns[0]["content"] = "small is unsure, please"
        answer = await loop.step(router)
    assert loop.targets == ["small", "small"]
    assert answer.flags == ("uncertain",)
    assert [hop.cause for hop in answer.hops] == ["loop"]


@in_loop
async def test_a_failure_moves_the_loop_and_it_stays_there(config: Path) -> None:
    async with AsyncRouter(config) as router:
        loop = Loop("")
        loop.ask("please")
        await loop.step(router)
        loop.turns[0]["content"] = "small is broken, please"
        moved = await loop.step(router)
        loop.turns[0]["content"] = "please"
        await loop.step(router)
    assert loop.targets == ["small", "fast", "fast"]
    assert [hop.cause for hop in moved.hops] == ["loop", "fallback"]


@in_loop
async def test_a_guard_that_appears_in_the_middle_acts_at_once(config: Path) -> None:
    async with AsyncRouter(config) as router:
        loop = Loop("strong")
        loop.ask("please")
        for _ in range(3):
            await loop.step(router)
        answer = await loop.step(router, label="secret")
    assert loop.targets == ["strong"] * 3 + ["small"]
    assert "the tool loop leaves strong" in answer.explain()


@in_loop
async def test_a_new_turn_decides_afresh(config: Path) -> None:
    async with AsyncRouter(config) as router:
        loop = Loop("strong")
        loop.ask("please")
        await loop.step(router)
        loop.start = ""
        loop.ask("and that is all")
        answer = await loop.step(router)
    assert loop.targets == ["strong", "small"]
    assert answer.hops[0].cause == "start"


@in_loop
async def test_a_call_of_another_tenant_moves_nobody(config: Path) -> None:
    async with AsyncRouter(config) as router:
        loop = Loop("strong")
        loop.ask("please")
        await loop.step(router, tenant="acme")
        loop.start = ""
        await loop.step(router, tenant="umbrella")
    assert loop.targets == ["strong", "small"]
