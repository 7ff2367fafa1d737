"""What the ledger remembers of a request's signals, and the way back to values."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from support.booking import START, StepTrace, attempt, began, close_line, closed, hop

from router.errors import LedgerError
from router.ledger import Ledger, Report, recorded
from router.ledger.entry import MASK
from router.ledger.lines import Close, read_line
from router.ledger.schema import STEPS, connect
from router.recorded import Recorded, RecordedHop, signal_value
from router.signals.catalogue import AtMost

SIGNALS = {"prompt.tokens": {"at_most": 40}, "request.label": "public", "device.end_s": None}


def test_signals_of_a_request_come_back_as_they_were(tmp_path: Path) -> None:
    device, cloud = attempt("d1", cost_usd="0"), attempt("d1", 1)
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        for index, tried in enumerate((device, cloud)):
            ledger.begin(began("d1", index))
            ledger.end("d1", index, tried)
        drafted = hop("d1", 0, "deferred", (device,), {"draft.mean_logprob": -0.5})
        ledger.close_request(
            closed("d1", drafted, hop("d1", 1, attempts=(cloud,), signals={}), signals=SIGNALS)
        )
        (found,) = recorded(tmp_path)

    assert found == Recorded(
        decision_id="d1",
        started_at=START,
        policy="balanced",
        revision="1146a941",
        status="answered",
        signals={"prompt.tokens": AtMost(40), "request.label": "public", "device.end_s": None},
        hops=(
            RecordedHop(
                target="device",
                tier="device",
                status="deferred",
                cause="start",
                signals={"draft.mean_logprob": -0.5},
                cost_usd=Decimal(0),
                seconds=2.0,
                finish="stop",
                output_tokens=25,
            ),
            RecordedHop(
                target="cloud",
                tier="cloud-fast",
                status="answered",
                cause="escalation",
                cost_usd=Decimal("0.25"),
                seconds=2.0,
                finish="stop",
                output_tokens=25,
            ),
        ),
        answered_by=1,
        cost_usd=Decimal("0.25"),
    )


def test_a_failed_hop_says_by_what_kind_of_error(tmp_path: Path) -> None:
    gone = attempt("d1", cost_usd=None, error_kind="unavailable")
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        ledger.begin(began("d1"))
        ledger.end("d1", 0, gone)
        ledger.close_request(closed("d1", hop("d1", 0, "failed", (gone,)), status="no_answer"))
        (found,) = recorded(tmp_path)

    assert (found.hops[0].error_kind, found.hops[0].answered) == ("unavailable", False)


def test_a_hop_that_was_tried_again_ended_as_its_last_attempt_did(tmp_path: Path) -> None:
    limited = attempt("d1", cost_usd=None, error_kind="rate_limited")
    answered = attempt("d1", number=2)
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        for tried in (limited, answered):
            ledger.begin(began("d1", number=tried.number))
            ledger.end("d1", 0, tried)
        ledger.close_request(closed("d1", hop("d1", attempts=(limited, answered))))
        (found,) = recorded(tmp_path)

    assert (len(found.hops), found.hops[0].error_kind, found.hops[0].answered) == (1, None, True)


def test_only_requests_that_are_over_and_since_then_come_and_oldest_first(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        for name, at in (("d3", 30.0), ("d1", 10.0), ("d2", 20.0)):
            ledger.close_request(closed(name, status="forbidden", started_at=START + at))
        ledger.begin(began("d4", started_at=START + 40))

        assert [r.decision_id for r in recorded(tmp_path)] == ["d1", "d2", "d3"]
        assert [r.decision_id for r in recorded(tmp_path, START + 20)] == ["d2", "d3"]


def test_asking_for_recordings_makes_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger in"):
        list(recorded(tmp_path / "none"))

    assert not (tmp_path / "none").exists()


def test_the_report_shows_the_signals_of_a_request(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        ledger.close_request(closed("d123", status="forbidden", signals=SIGNALS))
    with Report.open(tmp_path) as report:
        assert report.request("d123").signals == SIGNALS


def test_words_of_an_error_are_taken_out_of_signals_too() -> None:
    failed = attempt("d1", error_kind="refused", error_message="no such word: Ana")
    request = closed(
        "d1",
        hop("d1", 0, "failed", (failed,)),
        signals={"request.tags.note": "it said no such word: Ana!"},
        trace=StepTrace(),
    )
    line = read_line(close_line(request, keep_text=False))

    assert isinstance(line, Close)
    assert bytes(line.signals) == b'{"request.tags.note":"it said %s!"}' % MASK.encode()
    kept = read_line(close_line(request, keep_text=True))
    assert isinstance(kept, Close)
    assert b"Ana" in bytes(kept.signals)


def test_a_journal_line_from_before_there_were_signals_reads_as_none_recorded() -> None:
    line = read_line(b'["close",{"decision_id":"d1","status":"answered"}]\n')

    assert isinstance(line, Close)
    assert bytes(line.signals) == b"{}"


def test_a_ledger_from_before_there_were_signals_is_migrated_and_can_be_read(
    tmp_path: Path,
) -> None:
    db = connect(tmp_path, steps=STEPS[:1])
    db.execute(
        "INSERT INTO requests (decision_id, run, started_at, status, tags, flags, trace) "
        "VALUES ('old1', 'r', 1.0, 'answered', '{}', '[]', '[]')"
    )
    db.close()
    with Ledger.open(tmp_path, batch_s=3600.0) as ledger:
        ledger.close_request(closed("new1", status="forbidden", signals={"prompt.turns": 1}))

    found = {request.decision_id: dict(request.signals) for request in recorded(tmp_path)}
    assert "prompt.turns" not in found["old1"]
    assert found["new1"] == {"prompt.turns": 1, "request.label": "public"}  # from its column
    raw = sqlite3.connect(tmp_path / "ledger.sqlite3")
    assert raw.execute("SELECT signals FROM requests WHERE decision_id = 'old1'").fetchone() == (
        "{}",
    )
    raw.close()


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (-0.5, -0.5),
        ("de", "de"),
        ({"at_most": 12}, AtMost(12)),
        ({"at_most": "twelve"}, None),
        ({}, None),
        ([1], None),
    ],
)
def test_a_signal_of_no_known_form_is_unknown(plain: object, value: object) -> None:
    found = signal_value(plain)

    assert (found, type(found)) == (value, type(value))
