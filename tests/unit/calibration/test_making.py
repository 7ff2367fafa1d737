"""Labels made on the spot: caps, resuming after a kill, judges, and an idle machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from router.calibration.idle import idle
from router.calibration.making import Caps, Cast, Maker, Work
from router.calibration.plan import Most, plan, seconds_of
from router.calibration.prompts import Prompt
from router.calibration.tracefile import read_labelled
from router.calibration.workfile import WorkFile
from router.clock import ManualClock
from router.compose import Router
from router.config import load
from router.hops import Outcome
from router.types import Chunk

CONFIG = """\
version: 1
policy: balanced
prices: own.yaml
targets:
  device:
    tier: device
    provider: scripted
    model: tiny
    options:
      steps:
        - {match: broken, fail: {kind: unavailable, retryable: false}}
        - {match: wrong, text: "6", mean_logprob: -1.5}
        - {text: "So it is #### 5", mean_logprob: -0.1}
  cloud:
    tier: cloud-fast
    provider: scripted
    model: large
    options: {steps: [{text: "It is 5"}]}
  silent:
    tier: cloud-fast
    provider: scripted
    model: silent
    options: {steps: [{text: one two three, cut_after: 2}]}
  judge:
    tier: cloud-strong
    provider: scripted
    model: judge
    options: {steps: [{match: wrong, text: "No."}, {match: odd, text: Hm}, {text: "Yes."}]}
"""

PRICES = """\
prices:
  - {id: ours, provider: scripted, model: silent, input_usd_per_1m: "1", output_usd_per_1m: "1",
     source: us, checked: 2026-01-01, valid_from: 2026-01-01}
"""


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(text=text) for text in texts]


def make(
    folder: Path,
    asked: list[Prompt],
    tell: Callable[[int], None] = lambda _: None,
    **other: object,
) -> Work:
    """A run over these prompts, under a router of its own."""
    (folder / "firsthop.yaml").write_text(CONFIG + f"ledger: {{folder: {folder}/ledger}}\n")

    (folder / "own.yaml").write_text(PRICES)

    async def run() -> Work:
        router = Router.of(load(folder / "firsthop.yaml"))
        values = {
            "street": router,
            "cast": Cast(device="device", device_tokens=64, strong="cloud"),
            "file": WorkFile(folder / "work.jsonl"),
            "clock": ManualClock(),
            "caps": Caps(usd=Decimal(1), seconds=3600.0),
            "worst": lambda _: Most(draft=Decimal(0), other=Decimal("0.01")),
        }
        try:
            return await Maker(**(values | other)).make(asked, tell)  # type: ignore[arg-type]
        finally:
            await router.aclose()

    return asyncio.run(run())


def test_a_draft_is_compared_with_the_strong_tier(tmp_path: Path) -> None:
    work = make(tmp_path, prompts("2 + 3?", "wrong: 2 + 3?"))

    assert (work.made, work.stopped) == (2, None)
    read = read_labelled(tmp_path / "work.jsonl")
    assert read.bad == ()
    assert [(row.good, row.strong_right) for row in read.rows] == [(1.0, 1.0), (0.0, 1.0)]
    assert read.rows[0].logprobs == pytest.approx([-0.1] * 5)


def test_a_reference_judges_both(tmp_path: Path) -> None:
    asked = [Prompt(text="2 + 3?", reference="5"), Prompt(text="wrong?", reference="6")]

    make(tmp_path, asked)

    rows = read_labelled(tmp_path / "work.jsonl").rows
    assert [(row.good, row.strong_right) for row in rows] == [(1.0, 1.0), (1.0, 0.0)]


def test_a_judge_says_yes_no_or_nothing(tmp_path: Path) -> None:
    cast = Cast(device="device", device_tokens=64, judge="judge")

    make(tmp_path, prompts("2 + 3?", "wrong?", "odd?"), cast=cast)

    read = read_labelled(tmp_path / "work.jsonl")
    assert [row.good for row in read.rows] == [1.0, 0.0]
    assert "right: is missing" in read.bad[0]  # a judge that says neither labels nothing


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    asked = prompts("a 2 + 3?", "b 2 + 3?", "c 2 + 3?")
    make(tmp_path, asked[:2])
    path = tmp_path / "work.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"prompt": "c 2 +')  # killed in the middle of a line

    work = make(tmp_path, asked)

    assert work.made == 1
    assert path.read_bytes().startswith(whole)
    said = [json.loads(line)["prompt"] for line in path.read_text().splitlines()]
    assert said == [prompt.text for prompt in asked]


def test_a_kill_between_prompts_loses_none(tmp_path: Path) -> None:
    asked = prompts(*(f"{n} 2 + 3?" for n in range(5)))

    def killed(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, asked, killed)

    assert make(tmp_path, asked).made == 2


def test_it_stops_before_the_dollars_are_over(tmp_path: Path) -> None:
    caps = Caps(usd=Decimal("0.025"), seconds=3600.0)
    (tmp_path / "work.jsonl").write_text('{"prompt": "earlier", "spent_usd": "0.02"}\n')

    work = make(tmp_path, prompts("a?", "b?"), caps=caps)

    assert work.made == 0
    assert work.stopped is not None
    assert "$0.025" in work.stopped


def test_it_stops_when_the_hours_are_over(tmp_path: Path) -> None:
    clock = ManualClock()

    work = make(tmp_path, prompts("a?", "b?", "c?"), lambda _: clock.advance(2000.0), clock=clock)

    assert work.made == 2
    assert work.stopped == "1 hours are over"


def test_what_fails_is_counted_and_tried_again(tmp_path: Path) -> None:
    work = make(tmp_path, prompts("broken", "fine 2 + 3?"))

    assert work.made == 1
    assert dict(work.failed) == {"NoAnswer (Unavailable)": 1}
    assert work.spent_usd == 0  # the device is free, and the cloud was not asked
    again = make(tmp_path, prompts("broken"))
    assert sum(again.failed.values()) == 1
    assert read_labelled(tmp_path / "work.jsonl").bad == ()


def test_what_a_failed_call_may_have_cost_is_kept_for_the_next_run(tmp_path: Path) -> None:
    cast = Cast(device="device", device_tokens=64, strong="silent")

    work = make(tmp_path, prompts("2 + 3?"), cast=cast)

    assert work.spent_usd == Decimal("0.02")  # nobody knows, so its worst, and it was made twice
    assert make(tmp_path, []).spent_usd == Decimal("0.02")


def test_a_tier_that_fails_beside_the_strong_one_costs_no_label(tmp_path: Path) -> None:
    cast = Cast(device="device", device_tokens=64, strong="cloud", beside={"mid": "silent"})

    work = make(tmp_path, prompts("2 + 3?"), cast=cast)

    assert (work.made, dict(work.failed)) == (1, {})
    assert sum(work.unnamed.values()) == 1
    (row,) = read_labelled(tmp_path / "work.jsonl").rows
    assert (row.strong_right, row.tiers) == (1.0, {})


class Interrupted:
    """A street on which somebody presses Ctrl-C while a call is under way."""

    async def run(self, *_: object) -> AsyncGenerator[Chunk | Outcome, None]:
        raise KeyboardInterrupt
        yield Chunk()  # so that it is a generator


def test_what_is_stopped_in_the_middle_counts_at_its_worst(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, prompts("2 + 3?"), street=Interrupted())

    again = make(tmp_path, prompts("2 + 3?"))

    assert (again.made, again.spent_usd) == (1, Decimal("0.01"))


def test_many_failures_in_a_row_end_it(tmp_path: Path) -> None:
    work = make(tmp_path, prompts(*(f"broken {n}" for n in range(9))))

    assert sum(work.failed.values()) == 5
    assert work.stopped == "5 prompts in a row failed"


def test_prompts_that_always_fail_don_t_keep_the_others_from_their_turn(tmp_path: Path) -> None:
    asked = prompts(*(f"broken {n}" for n in range(5)), "fine 2 + 3?")

    first = make(tmp_path, asked)
    again = make(tmp_path, asked)

    assert first.made == 0
    assert again.made == 1


def test_private_prompts_never_leave(tmp_path: Path) -> None:
    work = make(tmp_path, [Prompt(text="my secret", label="secret")])

    assert work.made == 0
    assert dict(work.failed) == {"Forbidden": 1}


def test_it_waits_until_the_machine_is_idle(tmp_path: Path) -> None:
    clock, looks = ManualClock(), iter([False, False, True])

    async def quiet() -> bool:
        return next(looks)

    work = make(tmp_path, prompts("2 + 3?"), clock=clock, idle=quiet)

    assert work.made == 1
    assert next(looks, None) is None
    assert clock.now() == 10.0  # two looks that said no


class _Worker:
    running = False
    queued = 0


@pytest.mark.parametrize(
    ("up", "running", "queued", "used", "mains", "good"),
    [
        (False, False, 0, 0.1, True, True),
        (True, False, 0, 0.1, None, True),
        (True, True, 0, 0.1, True, False),
        (True, False, 1, 0.1, True, False),
        (True, False, 0, 0.9, True, False),
        (True, False, 0, 0.1, False, False),
    ],
)
def test_idle_is_no_request_a_quiet_processor_and_mains(
    up: bool, running: bool, queued: int, used: float, mains: bool | None, good: bool
) -> None:
    async def health() -> _Worker | None:
        worker = _Worker()
        worker.running, worker.queued = running, queued
        return worker if up else None

    assert asyncio.run(idle(health, lambda: used, lambda: mains)) is good


def test_a_plan_adds_up_and_an_unknown_price_is_unknown() -> None:
    asked = prompts("a", "b")

    found = plan(asked, 3, lambda _: Most(draft=Decimal("0.1"), other=Decimal("0.4")), 1800.0)
    assert (found.todo, found.done, found.usd, found.hours) == (2, 3, Decimal(1), 1.0)
    assert plan(asked, 0, lambda _: Most(draft=Decimal(0), other=None), None).usd is None


def test_without_a_ledger_no_speed_is_known(tmp_path: Path) -> None:
    assert seconds_of(tmp_path / "none", ["device"]) is None
    assert not (tmp_path / "none").exists()
