"""What was written in vain stands in the totals: tokens and seconds of drafts given up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.booking import attempt, began, closed, hop
from typer.testing import CliRunner

from router.cli.app import app
from router.hops import Attempt
from router.ledger import Ledger, Report
from router.types import Usage


def gave_up(name: str, **other: object) -> Attempt:
    return attempt(name, cost_usd="0", error_kind="aborted", finish=None, **other)


def book(folder: Path, *tried: Attempt) -> None:
    with Ledger.open(folder, batch_s=3600.0) as ledger:
        for one in tried:
            name = one.attempt_id.removesuffix("-0-1")
            ledger.begin(began(name))
            ledger.end(name, 0, one)
            draft = replace(hop(name, attempts=(one,)), status="deferred")
            ledger.close_request(closed(name, draft))


def test_tokens_and_seconds_of_drafts_that_were_given_up_are_added_up(tmp_path: Path) -> None:
    known = gave_up("d1", usage=Usage(output_tokens=24), total_s=2.5)
    guessed = gave_up("d2", usage=Usage(), estimate=Usage(output_tokens=7), total_s=1.0)
    book(tmp_path, known, guessed, attempt("d3"))

    with Report.open(tmp_path) as report:
        (device,) = report.totals().targets
    assert (device.aborted, device.wasted_tokens, device.wasted_s) == (2, 31, 3.5)
    assert (device.hops, device.deferred) == (3, 3)


def test_where_nothing_was_given_up_nothing_is_wasted(tmp_path: Path) -> None:
    book(tmp_path, attempt("d1"))

    with Report.open(tmp_path) as report:
        (device,) = report.totals().targets
    assert (device.aborted, device.wasted_tokens, device.wasted_s) == (0, 0, 0.0)


def test_totals_say_it_in_a_line(tmp_path: Path) -> None:
    book(tmp_path / "ledger", gave_up("d1", usage=Usage(output_tokens=24), total_s=2.5))
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    said = CliRunner().invoke(app, ["ledger", "totals", "--config", str(config)])

    assert "1 draft of device given up before the end: 24 tokens and 2.50 s in vain" in said.stdout


CONFIG = """\
version: 1
policy: device-only
targets:
  device: {tier: device, provider: scripted, model: script, options: {steps: [{text: "yes"}]}}
ledger: {folder: ledger}
"""
