"""A calibration file under the whole street: good, none, broken, foreign, stale."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.calibrations import SCRIPT, calibration, write

from router import Answer, AsyncRouter, Router
from router.cli.doctor import examine
from router.confidence.gain import Gains, Odds
from router.ledger.report import Report
from router.sidecar.wire.failure import router_field, router_headers

SURE = {"match": "sure", "text": "I am sure.", "mean_logprob": -0.01}
FAIR = {"match": "fair", "text": "I am fairly sure.", "mean_logprob": -0.4}
UNSURE = {"text": "I am not so sure.", "mean_logprob": -2.0}
QUESTIONS = ("are you sure?", "a fair one?", "what else?")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A scripted device and a scripted cloud under the shipped default policy."""
    return configured(tmp_path)


def configured(folder: Path, **more: Any) -> Path:
    def target(tier: str, model: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
        return {"tier": tier, "provider": "scripted", "model": model, "options": {"steps": steps}}

    made = {
        "version": 1,
        "policy": "balanced",
        "targets": {
            "device": target("device", "script", [SURE, FAIR, UNSURE]),
            "cloud": target("cloud-fast", "other", [{"text": "The cloud says so."}]),
        },
        "ledger": {"folder": "ledger"},
        **more,
    }
    path = folder / "firsthop.yaml"
    path.write_text(json.dumps(made, indent=1))
    return path


def asked(config: Path) -> list[Answer]:
    with Router(config) as router:
        return [router.ask(question) for question in QUESTIONS]


def test_without_a_file_starter_bars_keep_and_nothing_is_certified(config: Path) -> None:
    sure, fair, unsure = asked(config)

    assert [a.answered_by for a in (sure, fair, unsure)] == ["device", "cloud", "cloud"]
    assert (sure.certified, fair.certified, unsure.certified) == (False, None, None)
    assert sure.hops[0].signals["draft.certified"] is None
    assert "-> uncertified" in sure.explain()
    assert sure.explain().endswith(", uncertified")
    assert "certified" not in fair.explain().splitlines()[-1]
    assert sure.as_json()["certified"] is False
    assert router_field(sure.outcome)["certified"] is False
    assert (b"x-firsthop-certified", b"false") in router_headers(sure.outcome)


def test_with_a_file_its_bar_decides_and_what_it_keeps_is_certified(tmp_path: Path) -> None:
    write(tmp_path / "mine.json", calibration(bar=0.6))
    config = configured(tmp_path, confidence="mine.json")

    sure, fair, unsure = asked(config)

    assert [a.answered_by for a in (sure, fair, unsure)] == ["device", "device", "cloud"]
    assert [a.certified for a in (sure, fair, unsure)] == [True, True, None]
    measured = fair.hops[0].signals
    assert measured["draft.certified"] is True
    assert fair.outcome.signals["world.calibrated"] is True
    assert fair.outcome.signals["prompt.task"] is not None
    assert fair.explain().endswith(", certified")
    assert router_field(fair.outcome)["certified"] is True
    assert (b"x-firsthop-certified", b"true") in router_headers(fair.outcome)
    assert not [name for name, _ in router_headers(unsure.outcome) if b"certified" in name]


def test_the_ledger_keeps_the_mark(tmp_path: Path) -> None:
    write(tmp_path / "mine.json", calibration(bar=0.9))
    config = configured(tmp_path, confidence="mine.json")
    answers = asked(config)
    config = configured(tmp_path)
    answers += asked(config)

    with Report.open(tmp_path / "ledger") as report:
        rows = [report.request(a.decision_id) for a in answers]
    assert [row.request.certified for row in rows] == [True, None, None, False, None, None]
    assert rows[0].hops[0].signals["draft.certified"] is True
    shown = subprocess.run(
        [
            sys.executable,
            "-m",
            "router",
            "ledger",
            "show",
            answers[3].decision_id,
            "-c",
            str(config),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ", uncertified" in shown.stdout


def test_a_policy_that_asks_for_confidence_has_it_in_hop_and_sidecar(tmp_path: Path) -> None:
    write(tmp_path / "mine.json")
    policy = tmp_path / "by-chance.yaml"
    policy.write_text(
        "policy: by-chance\nsummary: s\ntiers: [device, cloud-fast]\naccept:\n"
        "  - {id: likely, on: [device], require: {draft.confidence: {gte: 0.5}}}\n"
    )
    config = configured(tmp_path, confidence="mine.json", policy=str(policy))

    sure, _, unsure = asked(config)

    assert sure.hops[0].signals["draft.confidence"] > 0.9
    assert router_field(sure.outcome)["confidence"] == sure.hops[0].signals["draft.confidence"]
    assert sure.certified is False, "a bar of one's own is no certificate"
    assert unsure.answered_by == "cloud"
    assert unsure.hops[0].signals["draft.confidence"] < 0.1


def spoiled(folder: Path, how: str) -> None:
    path = write(folder / "mine.json", calibration(bar=0.1))
    if how == "missing":
        path.unlink()
    elif how == "corrupted":
        path.write_bytes(path.read_bytes()[:-60])
    elif how == "foreign":
        write(path, calibration(replace(SCRIPT, model="another"), bar=0.1))
    elif how == "stale":
        write(path, calibration(bar=0.1), valid_until=1_700_000_000.0)


@pytest.mark.parametrize("how", ["missing", "corrupted", "foreign", "stale"])
def test_a_bad_file_is_refused_and_every_draft_goes_on(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoiled(tmp_path, how)
    config = configured(tmp_path, confidence="mine.json")

    with caplog.at_level(logging.WARNING, "firsthop"):
        answers = asked(config)

    assert [a.answered_by for a in answers] == ["cloud"] * 3, "the starter bar does not step in"
    assert [a.certified for a in answers] == [None] * 3
    told = [line for line in caplog.messages if "mine.json" in line]
    assert len(told) == 1
    assert "the calibration" in answers[0].explain()
    (finding,) = (f for f in examine(str(config), None) if f.check == "confidence")
    assert finding.state == "fail"
    assert "mine.json" in finding.says
    assert finding.do is not None


def test_the_doctor_says_what_a_good_file_promises(tmp_path: Path) -> None:
    write(tmp_path / "mine.json")
    (finding,) = (
        f
        for f in examine(str(configured(tmp_path, confidence="mine.json")), None)
        if f.check == "confidence"
    )

    assert finding.state == "ok"
    assert "bar 0.8, loss at most 0.05 of all requests with confidence 0.9" in finding.says


def test_a_file_that_is_mended_counts_after_a_reload(tmp_path: Path) -> None:
    import asyncio

    async def main() -> list[str]:
        async with AsyncRouter(configured(tmp_path, confidence="mine.json")) as router:
            before = await router.ask(QUESTIONS[0])
            write(tmp_path / "mine.json")
            await router.reload()
            after = await router.ask(QUESTIONS[0])
        return [before.answered_by, after.answered_by]

    assert asyncio.run(main()) == ["cloud", "device"]


def test_numpy_is_loaded_only_for_a_config_with_a_file(tmp_path: Path) -> None:
    code = (
        "import sys, router\n"
        "with router.Router(sys.argv[1]) as r: r.ask('are you sure?')\n"
        "print('numpy' in sys.modules)"
    )
    write(tmp_path / "mine.json")

    def loads(config: Path) -> str:
        ran = [sys.executable, "-c", code, str(config)]
        return subprocess.run(ran, capture_output=True, text=True, timeout=60, check=True).stdout

    policy = tmp_path / "plain.yaml"
    policy.write_text(
        "policy: plain\nsummary: s\ntiers: [device, cloud-fast]\naccept:\n"
        "  - {id: sure, on: [device], require: {draft.certified: {is: true}}, "
        "until_certified: {draft.mean_logprob: {gte: -0.3}}}\n"
    )
    assert loads(configured(tmp_path, policy=str(policy))).strip() == "False"
    assert loads(configured(tmp_path, policy=str(policy), confidence="mine.json")).strip() == "True"


WORTH = """\
policy: worth
summary: Keep what is certified, and what the cloud would not better by what the wait is worth.
tiers: [device, cloud-fast]
accept:
  - id: worth-asking
    on: [device]
    require:
      any:
        - draft.certified: {is: true}
        - draft.gain: {lt: 0.05}
        - all: [{draft.gain: {lt: 0.7}}, {tier.cloud-fast.end_s: {gt: 0.2}}]
"""


def test_a_draft_that_the_cloud_would_fail_too_stays_and_so_does_one_it_betters_too_slowly(
    tmp_path: Path,
) -> None:
    tasks = {"mathematics": Odds(rescue=0.0, slip=0.5), "summary": Odds(rescue=0.6, slip=0.0)}
    gains = Gains(overall=Odds(rescue=0.9, slip=0.0), tasks=tasks)
    write(tmp_path / "mine.json", replace(calibration(bar=0.99), gains=gains))
    (tmp_path / "worth.yaml").write_text(WORTH)
    config = configured(tmp_path, confidence="mine.json", policy="worth.yaml")
    made = json.loads(config.read_text())
    made["targets"]["cloud"]["options"]["steps"] = [{"text": "The cloud.", "ttft_s": 0.3}]
    config.write_text(json.dumps(made))

    with Router(config) as router:
        hopeless = router.ask("what else?", tags={"task": "mathematics"})
        before = router.ask("what else?", tags={"task": "summary"})  # its speed is not known yet
        after = router.ask("what else?", tags={"task": "summary"})
        other = router.ask("what else?", tags={"task": "translation"})

    answered = [answer.answered_by for answer in (hopeless, before, after, other)]
    assert answered == ["device", "cloud", "device", "cloud"]
    assert [hopeless.certified, after.certified] == [False, False]  # no promise is made of it
    said = [one.hops[0].signals["draft.gain"] for one in (hopeless, before, other)]
    assert said[0] == pytest.approx(0.0, abs=0.01)
    assert said[1] == pytest.approx(0.6, abs=0.01)
    assert said[2] == pytest.approx(0.9, abs=0.01)


def test_a_file_that_does_not_tell_of_gain_keeps_nothing_by_it(tmp_path: Path) -> None:
    write(tmp_path / "mine.json", calibration(bar=0.99))
    (tmp_path / "worth.yaml").write_text(WORTH)
    config = configured(tmp_path, confidence="mine.json", policy="worth.yaml")

    sure, fair, unsure = asked(config)

    assert (sure.answered_by, fair.answered_by, unsure.answered_by) == ("device", "cloud", "cloud")
    assert fair.hops[0].signals["draft.gain"] is None
