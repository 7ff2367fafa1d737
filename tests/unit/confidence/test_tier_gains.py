"""How each cloud tier fares beside a draft: counted, kept in the file, said of one draft."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from support.calibrations import calibration

from router.confidence.gain import Gains, Odds, TierWorth, tier_gains
from router.confidence.stored import Calibration, from_bytes, to_bytes
from router.errors import ConfigError

SIGNALS = {"tokens.mean_logprob": -0.5}
"""Of a draft that is as likely right as wrong; see `support.calibrations`."""


def told(good: int, wrong: int, rescued: int, slipped: int) -> dict[str, Gains]:
    """Of one tier beside so many good and wrong drafts."""
    right = [at >= slipped for at in range(good)] + [at < rescued for at in range(wrong)]
    tiers = [{"cheap": one} for one in right]
    return tier_gains([True] * good + [False] * wrong, tiers, ["t"] * (good + wrong))


def test_each_tier_is_counted_on_the_labels_that_name_it() -> None:
    good = [True] * 20 + [False] * 20
    both = [{"cheap": True, "strong": True}] * 10 + [{"strong": True}] * 10
    tiers = [*both, *([{"cheap": False, "strong": True}] * 10), *([{"strong": False}] * 10)]

    found = tier_gains(good, tiers, ["t"] * 40)

    assert found["cheap"].overall == Odds(rescue=0.0, slip=0.0)
    assert found["strong"].overall == Odds(rescue=0.5, slip=0.0)


@pytest.mark.parametrize(("good", "wrong"), [(9, 90), (90, 9), (0, 0)])
def test_of_a_tier_that_too_few_labels_tell_of_nothing_is_said(good: int, wrong: int) -> None:
    assert told(good, wrong, rescued=wrong, slipped=0) == {}


def test_a_tier_that_few_labels_name_does_not_silence_another() -> None:
    good = [True, False] * 20
    tiers = [{"cheap": True} | ({"strong": True} if at < 4 else {}) for at in range(40)]

    assert set(tier_gains(good, tiers, ["t"] * 40)) == {"cheap"}


def test_the_chance_of_a_tier_is_the_draft_s_and_what_it_gains() -> None:
    odds = Gains(overall=Odds(rescue=0.6, slip=0.1), tasks={"t": Odds(rescue=0.2, slip=0.3)})

    usual, of_task = odds.chance(0.75, None), odds.chance(0.75, "t")

    assert (usual.gain, usual.good) == pytest.approx((0.25 * 0.6 - 0.075, 0.25 * 0.6 + 0.75 * 0.9))
    assert (of_task.gain, of_task.good) == pytest.approx((0.05 - 0.225, 0.05 + 0.75 * 0.7))


def test_a_file_says_of_a_draft_what_each_tier_adds_and_keeps_it_whole() -> None:
    tiers = {
        "cheap": Gains(overall=Odds(rescue=0.5, slip=0.0), tasks={}),
        "strong": Gains(overall=Odds(rescue=0.9, slip=0.1), tasks={}),
    }
    made = replace(calibration(), tiers=tiers)

    read = from_bytes(to_bytes(made), None)
    said = read.verdict(SIGNALS, "summary", None)

    assert read.tiers == tiers
    assert said.probability == pytest.approx(0.5)
    assert said.tiers["cheap"].gain == pytest.approx(0.25)
    assert said.tiers["strong"].gain == pytest.approx(0.4)
    assert said.tiers["strong"].good == pytest.approx(0.9)


def rewritten(made: Calibration, number: int, **more: object) -> bytes:
    """The file in another format's number, with fields of its body replaced, or dropped if None."""
    whole = json.loads(to_bytes(made))
    body = {
        k: v for k, v in (whole["calibration"] | more).items() if v is not None or k not in more
    }
    text = json.dumps(body)
    return (
        f'{{"format":{number},"sha256":"{sha256(text.encode()).hexdigest()}","calibration":{text}}}'
    ).encode()


def test_a_file_of_the_format_before_is_read_and_says_nothing_of_tiers() -> None:
    old = from_bytes(rewritten(calibration(), 1, tiers=None), None)

    assert old.tiers == {}
    assert old.verdict(SIGNALS, "summary", None).tiers == {}


@pytest.mark.parametrize("number", [0, 3])
def test_a_file_of_a_format_nobody_knows_is_refused(number: int) -> None:
    with pytest.raises(ConfigError, match=f"has format {number}; this version reads 1 and 2"):
        from_bytes(rewritten(calibration(), number), None)


@pytest.mark.parametrize(
    ("tiers", "says"),
    [
        ({"cheap": {"overall": {"rescue": 1.5, "slip": 0.0}, "tasks": {}}}, "chances that are"),
        (
            {
                "cheap": {
                    "overall": {"rescue": 0.5, "slip": 0.0},
                    "tasks": {"t": {"rescue": 0.5, "slip": -0.1}},
                }
            },
            "chances that are",
        ),
        ({"cheap": {"overall": {"rescue": 0.5}}}, "does not hold a calibration"),
        ({"cheap": 0.5}, "does not hold a calibration"),
        ([], "does not hold a calibration"),
    ],
)
def test_spoiled_odds_of_a_tier_are_refused(tiers: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        from_bytes(rewritten(calibration(), 2, tiers=tiers), None)


@pytest.mark.parametrize(("usd", "buys"), [(0.002, 50.0), (None, None), (0.0, None)])
def test_a_dollar_buys_what_is_known_of_it(usd: float | None, buys: float | None) -> None:
    odds = Odds(rescue=0.2, slip=0.0)
    one = TierWorth(tier="t", labels=40, right=0.5, odds=odds, draft=0.5, gain=0.1, usd=usd)

    assert one.per_usd == pytest.approx(buys)
