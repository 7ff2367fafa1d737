"""How each tier of a policy did: read from labels, told apart, and worth at the usual draft."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from support.labels import labels

from router.calibration.calibrate import calibrate
from router.calibration.filing import beside_of, strong_tier
from router.calibration.goal import Goal
from router.calibration.labelled import Labelled
from router.calibration.looks import Looks
from router.calibration.making import Caps, Cast, Maker, Work
from router.calibration.plan import Most
from router.calibration.prompts import Prompt
from router.calibration.tiers import all_gains, by_tier, worths
from router.calibration.tracefile import Read, read_labelled
from router.calibration.workfile import WorkFile
from router.clock import ManualClock
from router.compose import Router
from router.confidence.stored import Binding
from router.config import load
from router.errors import ConfigError

BINDING = Binding(model="m", quantisation="q", engine="e")
TIERS = ("cheap", "strong")


def read(folder: Path, tiers: object, **more: object) -> Read:
    line = {"prompt": "2 + 3?", "draft": "5", "right": 1, "tiers": tiers, **more}
    path = folder / "labels.jsonl"
    path.write_text(json.dumps(line) + "\n")
    return read_labelled(path)


def test_a_line_says_of_each_tier_how_it_did_and_what_it_cost(tmp_path: Path) -> None:
    told = {"cheap": True, "middle": {"right": 0.4, "cost": 0.001}, "strong": None, "other": {}}

    (row,) = read(tmp_path, told).rows

    assert row.tiers == {"cheap": 1.0, "middle": 0.4}
    assert row.tier_usd == {"middle": 0.001}


@pytest.mark.parametrize(
    ("tiers", "says"),
    [
        ([1], "tiers: has to be an object of scores"),
        ({"cheap": 2}, "tiers.cheap: is 2, and has to be from 0 to 1"),
        ({"cheap": "yes"}, 'tiers.cheap: has to be a number from 0, not "yes"'),
        ({"cheap": {"right": -1}}, "tiers.cheap.right: has to be a number"),
        ({"cheap": {"right": 1, "cost": -1}}, "tiers.cheap.cost: has to be a number"),
    ],
)
def test_a_score_that_is_none_is_told_with_its_place(
    tmp_path: Path, tiers: object, says: str
) -> None:
    found = read(tmp_path, tiers)

    assert found.rows == ()
    assert says in found.bad[0]


def row(**more: object) -> Labelled:
    return replace(Labelled(key="k", right=0.0), **more)  # type: ignore[arg-type]


def test_what_is_told_of_the_strong_tier_in_one_way_is_known_in_the_other() -> None:
    old = row(strong_right=1.0, cost_usd=0.02)
    new = row(tiers={"strong": 0.2, "cheap": 1.0}, tier_usd={"strong": 0.03})

    found = by_tier([old, new], TIERS, "strong")
    one, other = found.rows

    assert (one.tiers, one.tier_usd) == ({"strong": 1.0}, {"strong": 0.02})
    assert (other.strong_right, other.cost_usd) == (0.2, 0.03)
    assert not found.unknown
    assert not found.apart


def test_where_both_are_told_the_name_holds_for_both() -> None:
    told = row(strong_right=1.0, cost_usd=0.02, tiers={"strong": 0.0}, tier_usd={"strong": 0.03})

    (one,) = by_tier([told], TIERS, "strong").rows

    assert (one.strong_right, one.tiers["strong"]) == (0.0, 0.0)
    assert (one.cost_usd, one.tier_usd["strong"]) == (0.03, 0.03)


def test_what_was_said_of_another_strong_tier_is_not_said_of_this_one() -> None:
    other = row(strong_right=1.0, cost_usd=0.02, strong_tier="cheap")
    both = replace(other, tiers={"cheap": 1.0, "strong": 0.0}, tier_usd={"strong": 0.5})
    same = replace(other, strong_tier="strong")

    found = by_tier([other, both, same], TIERS, "strong")

    assert [one.strong_right for one in found.rows] == [None, 0.0, 1.0]
    assert [one.cost_usd for one in found.rows] == [None, 0.5, 0.02]
    assert [one.tiers for one in found.rows] == [
        {},
        {"cheap": 1.0, "strong": 0.0},
        {"strong": 1.0},
    ]
    assert found.apart == {"cheap": 1}
    # A target that is compared with may serve no tier of the policy: its word holds then.
    assert by_tier([other], TIERS, None).rows[0].strong_right == 1.0


def test_who_the_strong_tier_was_makes_no_other_look(tmp_path: Path) -> None:
    rows, memory = labels(60), Looks(tmp_path)

    for name in (None, "strong"):
        told = [replace(one, strong_tier=name) for one in rows]
        assert memory.take(told, Goal(amount=0.1), BINDING, 0.0, lambda _: True).look == 1


def test_a_name_that_is_no_tier_above_the_device_is_left_out_and_counted() -> None:
    found = by_tier([row(tiers={"device": 1.0, "cheap": 1.0})], TIERS, None)

    assert found.rows[0].tiers == {"cheap": 1.0}
    assert found.unknown == {"device": 1}


def beside(rows: list[Labelled]) -> list[Labelled]:
    """Cheap rescues no draft of the task "words"; of any other it is as good as the strong one."""
    return [
        replace(
            one,
            tiers={
                "cheap": one.right if one.task == "words" else one.strong_right or 0.0,
                "strong": one.strong_right or 0.0,
            },
            tier_usd={"cheap": 0.0001, "strong": 0.002},
        )
        for one in rows
    ]


def test_a_calibration_tells_by_task_which_tier_rescues() -> None:
    rows = beside(labels(900))

    made = calibrate(rows, Goal(amount=0.1), BINDING, made_at=0.0)

    assert made.calibration is not None
    cheap, strong = (made.calibration.tiers[name] for name in TIERS)
    assert cheap.odds("sums").rescue > 0.75
    assert cheap.odds("words").rescue < 0.15
    assert min(strong.odds(task).rescue for task in ("sums", "words")) > 0.75
    assert [one.tier for one in made.tiers] == ["cheap", "strong"]
    dear = made.tiers[1]
    assert dear.usd == pytest.approx(0.002)
    assert dear.per_usd == pytest.approx(dear.gain / 0.002)
    assert dear.gain == pytest.approx(dear.odds.gain(dear.draft))
    assert dear.right == pytest.approx(0.9, abs=0.05)


def test_labels_without_tiers_leave_them_unknown_and_the_rest_as_it_was() -> None:
    rows = labels(900)

    plain = calibrate(rows, Goal(amount=0.1), BINDING, made_at=0.0)
    named = calibrate(beside(rows), Goal(amount=0.1), BINDING, made_at=0.0)

    assert plain.calibration is not None
    assert named.calibration is not None
    assert (plain.calibration.tiers, plain.tiers) == ({}, ())
    assert named.pooled == plain.pooled
    assert named.calibration.gains == plain.calibration.gains


def test_what_tiers_did_makes_no_other_look_at_the_same_labels(tmp_path: Path) -> None:
    rows, memory = labels(60), Looks(tmp_path)

    for each in (rows, beside(rows)):
        goal = memory.take(each, Goal(amount=0.1), BINDING, 0.0, lambda _: True)
        assert goal.look == 1


def test_a_price_that_no_label_tells_is_unknown() -> None:
    rows = [replace(one, tier_usd={}) for one in beside(labels(200))]

    assert [one.usd for one in worths(rows, all_gains(rows), [0.5])] == [None, None]
    assert worths(rows, all_gains(rows), []) == ()


CONFIG = """\
version: 1
policy: quality
prices: own.yaml
targets:
  device: {tier: device, provider: scripted, model: tiny, options: {steps: [{text: "#### 5"}]}}
  fast: {tier: cloud-fast, provider: scripted, model: fast, options: {steps: [{match: hard,
         text: "#### 7"}, {text: "It is 5"}]}}
  fast-too: {tier: cloud-fast, provider: scripted, model: fast, options: {steps: [{text: "5"}]}}
  strong: {tier: cloud-strong, provider: scripted, model: big, options: {steps: [{text: "5"}]}}
"""
PRICES = """\
prices:
  - {id: ours, provider: scripted, model: fast, input_usd_per_1m: "1", output_usd_per_1m: "1",
     source: us, checked: 2026-01-01, valid_from: 2026-01-01}
"""


def make(folder: Path, *asked: Prompt, most: str = "1") -> Work:
    (folder / "firsthop.yaml").write_text(CONFIG + f"ledger: {{folder: {folder}/ledger}}\n")
    (folder / "own.yaml").write_text(PRICES)

    async def run() -> Work:
        router = Router.of(load(folder / "firsthop.yaml"))
        maker = Maker(
            street=router,
            cast=Cast(
                device="device",
                device_tokens=64,
                strong="strong",
                strong_tier="cloud-strong",
                beside={"cloud-fast": "fast"},
            ),
            file=WorkFile(folder / "work.jsonl"),
            clock=ManualClock(),
            caps=Caps(usd=Decimal(most), seconds=3600.0),
            worst=lambda _: Most(
                draft=Decimal(0), other=Decimal(0), beside={"cloud-fast": Decimal("0.01")}
            ),
        )
        try:
            return await maker.make(asked)
        finally:
            await router.aclose()

    return asyncio.run(run())


def test_labels_made_on_the_spot_say_how_a_tier_between_did_and_at_what_cost(
    tmp_path: Path,
) -> None:
    work = make(tmp_path, Prompt(text="2 + 3?"), Prompt(text="hard: 2 + 3?", reference="7"))

    assert work.made == 2
    one, other = read_labelled(tmp_path / "work.jsonl").rows
    assert (one.strong_right, one.tiers) == (1.0, {"cloud-fast": 1.0})
    by_reference = {"cloud-strong": 0.0, "cloud-fast": 1.0}
    assert (other.strong_right, other.tiers) == (0.0, by_reference)
    assert {one.strong_tier, other.strong_tier} == {"cloud-strong"}
    assert 0 < one.tier_usd["cloud-fast"] < 0.001
    assert float(work.spent_usd) == pytest.approx(
        one.tier_usd["cloud-fast"] + other.tier_usd["cloud-fast"]
    )


def test_a_tier_between_counts_against_the_cap_before_it_is_asked(tmp_path: Path) -> None:
    work = make(tmp_path, Prompt(text="2 + 3?"), most="0.009")

    assert (work.made, work.spent_usd) == (0, 0)
    assert work.stopped == "the next prompt could cost more than $0.009 in all"
    assert Most(draft=Decimal(1), other=None, beside={"a": Decimal(1)}).usd is None
    assert Most(draft=Decimal(1), other=Decimal(1), beside={"a": None}).usd is None


def test_of_each_tier_between_one_target_is_asked(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(PRICES)
    (tmp_path / "firsthop.yaml").write_text(CONFIG)
    config = load(tmp_path / "firsthop.yaml")
    device = config.targets[0].target
    order = ("device", "cloud-fast", "cloud-strong")

    assert beside_of(config, order, device, "strong") == {"cloud-fast": "fast"}
    assert beside_of(config, order, device, "fast") == {"cloud-strong": "strong"}
    assert strong_tier(config, order[1:], device, None) == "cloud-strong"
    assert strong_tier(config, order[1:], device, "fast") == "cloud-fast"
    with pytest.raises(ConfigError, match="no target serves another tier than cloud-fast"):
        beside_of(config, order[:2], device, "fast")
