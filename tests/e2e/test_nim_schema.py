"""A NIM that passes over a schema: nobody is given its answer for what was asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.nim_server import SCHEMA, says
from contract.replay import Replay
from support.loops import in_loop

from router import AsyncRouter, NoAnswer

POLICY = """\
policy: two
summary: The cheap one, else the strong one.
tiers: [cheap, strong]
accept:
  - id: said-something
    on: [cheap]
    require: {draft.finish: {is: stop}}
limits: {hops: 3}
"""
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def config(tmp_path: Path, base_url: str) -> Path:
    (tmp_path / "two.yaml").write_text(POLICY)
    path = tmp_path / "firsthop.yaml"
    path.write_text(
        f"""\
version: 1
policy: ./two.yaml
ledger: {{folder: ./ledger}}
targets:
  box:
    tier: cheap
    provider: nvidia_nim
    model: some-model
    base_url: {base_url}
    price: device/*@2024-01-01
    options: {{dialect: nim2}}
  strong:
    tier: strong
    provider: scripted
    model: m
    options: {{steps: [{{text: '{{"n": 2}}'}}]}}
"""
    )
    return path


@in_loop
async def test_a_draft_that_breaks_its_schema_is_a_failed_hop_whose_tokens_are_booked(
    tmp_path: Path,
) -> None:
    async with (
        Replay([says("It is two.")]) as replay,
        AsyncRouter(config(tmp_path, replay.url())) as router,
    ):
        answer = await router.ask("A number?", response_format=FORMAT)

    first, second = answer.hops
    assert (answer.answered_by, answer.text) == ("strong", '{"n": 2}')
    assert (first.target, first.status, first.last.error_kind) == ("box", "failed", "incapable")
    assert (first.last.usage.input_tokens, first.last.usage.output_tokens) == (9, 4)
    assert first.cost_usd == 0
    assert len(first.attempts) == 1
    assert second.cause == "fallback"


@in_loop
async def test_where_it_was_shown_already_the_request_ends_with_an_error(
    tmp_path: Path,
) -> None:
    async with (
        Replay([says("It is two.")]) as replay,
        AsyncRouter(config(tmp_path, replay.url())) as router,
    ):
        shown: list[str] = []

        async def read() -> None:
            async for piece in router.stream("A number?", response_format=FORMAT, target="box"):
                shown.append(piece)

        with pytest.raises(NoAnswer, match="box: failed: incapable") as caught:
            await read()

    assert "".join(shown) == "It is two."
    assert caught.value.outcome is not None
    assert caught.value.outcome.flags == ("cut",)
    assert caught.value.__cause__ is not None
    assert "not the JSON that was asked for" in str(caught.value.__cause__.exceptions)  # type: ignore[attr-defined]
