"""A policy whose file changes under load: 200 changes, a third of them bad.

Two policies that answer differently replace one another while requests run. No request fails, and
each was decided by one policy alone, the one that its trace names.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from support.loops import in_loop

from router import AsyncRouter
from router.clock import SystemClock
from router.compose import Router
from router.errors import PolicyError
from router.hops import Outcome
from router.policy.load import revision_of
from router.types import Message, Request

CHANGES = 200
WORKERS = 4
POLICY = """\
policy: changing
summary: Version {number}.
tiers: [device, cloud-fast]
accept:
  - id: bar-of-{kind}
    on: [device]
    require: {{draft.mean_logprob: {{gte: {bar}}}}}
"""
CASES = """\
cases:
  - name: a draft at -0.5
    drafts: {{device: {{draft.mean_logprob: -0.5}}, cloud-fast: {{}}}}
    expect: {{path: {path}}}
  - name: the best draft there is
    drafts: {{device: {{draft.mean_logprob: 0.0}}}}
    expect: {{path: [device]}}
"""
CONFIG = """\
version: 1
policy: ./changing.yaml
ledger: {folder: ./ledger}
targets:
  device:
    tier: device
    provider: scripted
    model: m
    options: {steps: [{text: device, mean_logprob: -0.5, ttft_s: 0.01}]}
  cloud:
    tier: cloud-fast
    provider: scripted
    model: m
    options: {steps: [{text: cloud, ttft_s: 0.01}]}
"""
KINDS = {"low": (-0.9, ["device"]), "high": (-0.1, ["device", "cloud-fast"])}


class Hasty(SystemClock):
    """A clock whose seconds pass in 10 ms, so that files are looked at that often."""

    def now(self) -> float:
        return super().now() * 100


def text_of(kind: str, number: int) -> str:
    return POLICY.format(kind=kind, number=number, bar=KINDS[kind][0])


def put(path: Path, text: str) -> None:
    """As editors do it: whole, by a move."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def broken(text: str, way: int) -> str:
    """A bad version of a policy: cut, mistyped, or one that fails its cases."""
    if way == 0:
        return text[: text.index("{draft") + 9]
    if way == 1:
        return text.replace("on: [device]", "on: [divice]")
    return text.replace("gte:", "gt: 1.0, gte:")  # no draft ever holds: the second case fails


async def until(done: object, what: str) -> None:
    give_up = time.monotonic() + 10
    while not done():  # type: ignore[operator]
        assert time.monotonic() < give_up, what
        await asyncio.sleep(0.002)


@in_loop
async def test_two_hundred_changes_under_load(tmp_path: Path) -> None:
    path, cases = tmp_path / "changing.yaml", tmp_path / "changing.test.yaml"
    (tmp_path / "firsthop.yaml").write_text(CONFIG, encoding="utf-8")
    good = {revision_of(text_of("low", 0)): "low"}
    put(path, text_of("low", 0))
    composed = Router.of(tmp_path / "firsthop.yaml", clock=Hasty())
    request = Request(messages=(Message(role="user", content="Which one?"),))
    outcomes: list[Outcome] = []
    running = True

    async def ask() -> None:
        while running:
            async for item in composed.run(request, None):
                if isinstance(item, Outcome):
                    outcomes.append(item)

    workers = [asyncio.create_task(ask()) for _ in range(WORKERS)]
    refused = 0
    for number in range(1, CHANGES + 1):
        kind = "high" if number % 2 else "low"
        text = text_of(kind, number)
        if number % 3 == 0:
            refused += 1
            last = composed.watched.policy.revision
            bad = broken(text, number // 3 % 3)
            put(path, bad)
            await until(lambda: composed.watched.problem, f"change {number} was not refused")
            assert composed.watched.policy.revision == last
        else:
            cases.unlink(missing_ok=True)  # they are held against whatever policy is there
            good[revision_of(text)] = kind
            put(path, text)
            wanted = revision_of(text)
            await until(
                lambda wanted=wanted: composed.watched.policy.revision == wanted,
                f"change {number} was not taken",
            )
            put(cases, CASES.format(path=KINDS[kind][1]))
    running = False
    await asyncio.gather(*workers)
    await composed.aclose()

    assert refused == CHANGES // 3
    assert len(outcomes) > CHANGES
    for outcome in outcomes:
        kind = good[outcome.policy_revision]  # a bad version never decides
        assert outcome.status == "answered"
        assert [hop.tier for hop in outcome.hops] == KINDS[kind][1]
        ids = {entry.get("id") for entry in outcome.trace.as_json() if entry["kind"] == "accept"}
        assert ids == {f"bar-of-{kind}"}
    assert len(Counter(o.policy_revision for o in outcomes)) > CHANGES // 4


@in_loop
async def test_a_bad_file_shows_in_the_trace_until_it_is_good_again(tmp_path: Path) -> None:
    path = tmp_path / "changing.yaml"
    (tmp_path / "firsthop.yaml").write_text(CONFIG, encoding="utf-8")
    put(path, text_of("low", 0))
    async with AsyncRouter(tmp_path / "firsthop.yaml") as router:
        first = await router.ask("Which one?")
        put(path, broken(text_of("high", 1), 1))
        with pytest.raises(PolicyError, match=r"changing\.yaml:6.*divice.*device"):
            await router.reload()
        second = await router.ask("Which one?")
        assert router.policy_problem is not None
        put(path, text_of("high", 2))
        await router.reload()
        third = await router.ask("Which one?")
        assert router.policy_problem is None
    assert [a.text for a in (first, second, third)] == ["device", "device", "cloud"]
    assert second.outcome.policy_revision == first.outcome.policy_revision
    assert "the policy's file was changed and is wrong" in second.explain()
    assert "is wrong" not in third.explain()
