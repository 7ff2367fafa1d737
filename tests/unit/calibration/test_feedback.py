"""The ledger's feedback as labels: what can be used, with text and without, and what can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from router import Router
from router.calibration.feedback import read_feedback

CONFIG = """\
version: 1
policy: balanced
targets:
  device:
    tier: device
    provider: scripted
    model: tiny
    options:
      steps:
        - {match: unsure, text: Perhaps it is 6, mean_logprob: -1.5}
        - {text: The answer is 5, mean_logprob: -0.1}
  cloud:
    tier: cloud-fast
    provider: scripted
    model: large
    options: {steps: [{text: "It is 5"}]}
"""


@pytest.fixture(params=[True, False], ids=["text kept", "no text"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    keep = str(request.param).lower()
    config = tmp_path / "firsthop.yaml"
    config.write_text(f"{CONFIG}ledger: {{folder: ledger, keep_text: {keep}}}\n")
    (tmp_path / "all.yaml").write_text(
        "policy: all\nsummary: s\ntiers: [device, cloud-fast]\nrecord_signals: all\naccept:\n"
        "  - {id: sure, on: [device], require: {draft.mean_logprob: {gte: -0.3}}}\n"
    )
    with Router(config, policy=str(tmp_path / "all.yaml")) as router:
        kept = router.ask("How much is 2 + 3?", tags={"task": "sums"})
        sent_on = router.ask("unsure: how much is 2 + 3?")
        nobody = router.ask("And 1 + 4?")
        router.feedback(kept.decision_id, good=False)
        router.feedback(kept.decision_id, score=0.9)
        router.feedback(kept.decision_id, note="no verdict in it")
        router.feedback(sent_on.decision_id, good=True)
    assert nobody.answered_by == "device"
    return tmp_path / "ledger"


def test_the_last_word_on_a_draft_counts(folder: Path) -> None:
    (row,) = read_feedback(folder, "device", "tiny").rows

    assert (row.right, row.strong_right, row.task) == (0.9, None, "sums")
    assert row.signals["tokens.mean_logprob"] == pytest.approx(-0.1)


def test_with_text_all_signals_are_there(folder: Path, request: pytest.FixtureRequest) -> None:
    (row,) = read_feedback(folder, "device", "tiny").rows

    if "text kept" in request.node.name:
        assert (row.prompt, row.key) == ("How much is 2 + 3?", "how much is 2 + 3?")
        assert row.signals["asked.numbers"] == 2.0
    else:
        assert row.prompt == ""
        assert {name.partition(".")[0] for name in row.signals} == {"tokens"}


def test_what_says_nothing_of_the_draft_is_counted(folder: Path) -> None:
    assert read_feedback(folder, "device", "tiny").left_out == {
        "answered by another target, so nothing is said of the draft": 1
    }
    other = read_feedback(folder, "device", "larger")
    assert other.rows == ()
    assert other.left_out["of another model, tiny"] == 1


def test_without_signals_a_row_is_counted(tmp_path: Path) -> None:
    config = tmp_path / "firsthop.yaml"
    config.write_text(f"{CONFIG}ledger: {{folder: ledger}}\n")
    with Router(config, policy="device-only") as router:  # it asks for no signal of a draft
        router.feedback(router.ask("How much is 2 + 3?").decision_id, good=True)

    found = read_feedback(tmp_path / "ledger", "device", "tiny")

    assert found.rows == ()
    assert found.left_out == {"without text, and without signals of the draft": 1}


def test_without_text_task_and_language_have_to_be_recorded(tmp_path: Path) -> None:
    config = tmp_path / "firsthop.yaml"
    config.write_text(f"{CONFIG}ledger: {{folder: ledger}}\n")
    with Router(config) as router:
        router.feedback(router.ask("How much is 2 + 3?").decision_id, good=True)

    found = read_feedback(tmp_path / "ledger", "device", "tiny")

    assert found.rows == ()
    (reason,) = found.left_out
    assert "record_signals: all" in reason


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert read_feedback(tmp_path / "none", "device", "tiny").rows == ()
    assert not (tmp_path / "none").exists()
