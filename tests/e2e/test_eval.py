"""`firsthop eval` on recorded answers: the table, JSON, and the page as a real browser shows it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.browser import looked_at

from router.cli.app import main
from router.confidence.fitting import Recipe, fit
from router.confidence.guarantee import Certificate, Promise
from router.confidence.stored import Binding, Calibration, to_bytes
from router.evaluation.readfile import read

DATA = Path(__file__).parents[1] / "data" / "phi35_gpt4o.jsonl.gz"


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The command, in this process: its exit code."""
    monkeypatch.setattr(sys, "argv", ["firsthop", "eval", *words])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_recorded_pair_is_judged_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "found.json", tmp_path / "report.html"
    code = run(
        monkeypatch,
        str(DATA),
        "--compare",
        "draft.length",
        "--out",
        str(out),
        "--report",
        str(report),
    )
    said = capsys.readouterr().out
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))

    assert code == 0
    assert "160 answers of Phi-3.5-mini-instruct" in said
    assert "always gpt-4o-mini-2024-07-18" in said
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert figures["AUROC"]["interval"]["low"] > 0.55  # more than chance, as larger runs have it
    assert {"APGR", "calls at 95 %", "cost at 95 %", "blind mix at 95 %"} <= figures.keys()
    verdicts = {change["name"]: change["verdict"] for change in found["changes"]}
    assert verdicts["AUROC"] == "worse"
    assert {group["name"] for group in found["tasks"]} == {"gsm8k", "cruxeval_output"}
    _as_a_browser_shows_it(report)


def _as_a_browser_shows_it(report: Path) -> None:
    light = looked_at(report, (360, 768, 1280), dark=False)
    dark = looked_at(report, (360,), dark=True)

    for seen in (*light, *dark):
        assert seen["overflow"] <= 0, seen
        assert seen["errors"] == seen["loaded"] == seen["outside"] == 0, seen
        assert len(seen["plots"]) == 7
        assert all(wide > 250 and high > 100 for wide, high in seen["plots"]), seen
        assert seen["smallest"] >= 9, seen
        assert seen["plotInk"] == seen["ink"] != seen["paper"]
    assert dark[0]["paper"] != light[0]["paper"]
    assert dark[0]["ink"] != light[0]["ink"]


def test_a_calibration_file_brings_its_bar_and_is_held_against_a_raw_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read(DATA)
    estimator = fit(
        rows.values,
        rows.names,
        rows.device.right,
        rows.tasks,
        rows.prompts,
        Recipe(growth=None),
    ).estimator
    made = Calibration(
        binding=Binding(model="Phi-3.5-mini-instruct", quantisation="int4", engine="genai"),
        estimator=estimator,
        promise=Promise(loss=0.2),
        certificate=Certificate(bar=0.6, kept=0.4, loss=0.05, most_loss=0.1, labels=160),
    )
    file = tmp_path / "confidence.json"
    file.write_bytes(to_bytes(made))

    words = ("--confidence", str(file), "--compare", "draft.sums_right")
    assert run(monkeypatch, str(DATA), *words) == 0
    said = capsys.readouterr().out
    assert "The bar is 0.600 (certified)." in said
    assert "The promise (at most 20 % of all requests, with 90 % confidence) holds" in said
    assert re.search(r"^AUROC .* worse$", said, re.MULTILINE)

    file.write_bytes(file.read_bytes().replace(b"0.2", b"0.3"))
    assert run(monkeypatch, str(DATA), "--confidence", str(file)) == 2
    assert "was changed or cut off" in capsys.readouterr().err


def test_json_alone_goes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(DATA), "--confidence", "draft.sums_right", "--task", "gsm8k", "--bar", "0.5")
    assert run(monkeypatch, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)

    assert found["source"] == "draft.sums_right (by rank)"
    assert found["bar"]["chosen"] == "by --bar"
    assert [group["name"] for group in found["tasks"]] == ["gsm8k"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--confidence", "draft.lenght"), "no signal of these rows"),
        (("--bar", "1.5"), "--bar"),
        (("--task", "poems"), "asks for poems only"),
        (("--cheap", "gpt-9"), "what 'gpt-9' made of it"),
    ],
)
def test_what_is_wrong_ends_with_a_message(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, str(DATA), *words) == 2
    assert says in capsys.readouterr().err
