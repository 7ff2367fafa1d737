from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.booking import attempt, began, begin_line, closed, hop

from router.clock import ManualClock
from router.errors import ConfigError, LedgerError
from router.ledger import Ledger, Report
from router.ledger.schema import STEPS, connect
from router.types import Message

HELD_BACK_S = 3600.0
"""The thread never comes round by itself; the test says when lines are taken in."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.open(folder, batch_s=HELD_BACK_S, clock=ManualClock()) as opened:
        yield opened


def rows(folder: Path, query: str) -> list[Any]:
    db = sqlite3.connect(folder / "ledger.sqlite3")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def book(ledger: Ledger, decision_id: str, **other: Any) -> None:
    ledger.begin(began(decision_id))
    ledger.end(decision_id, 0, attempt(decision_id, **other))
    ledger.close_request(
        closed(decision_id, hop(decision_id, attempts=(attempt(decision_id, **other),)))
    )


def test_a_whole_request_becomes_its_rows(ledger: Ledger, folder: Path) -> None:
    book(ledger, "d1", cost_usd="0.0000382")
    assert ledger.flush()
    assert rows(
        folder,
        "SELECT status, policy, policy_revision, label, tags, answered_by, flags, ttfb_s, total_s, "
        "cost_usd, cost_pico_usd, trace FROM requests",
    ) == [
        (
            *("answered", "balanced", "1146a941", "public", '{"team":"search"}', 0, "[]"),
            *(0.5, 3.0, "0.0000382", 38_200_000, '[{"kind":"route","start":"device"}]'),
        )
    ]
    assert rows(
        folder,
        "SELECT decision_id, hop, target, tier, provider, model, cause, because, status, "
        "left_because, total_s, cost_usd, signals FROM hops",
    ) == [
        (
            *("d1", 0, "device", "device", "scripted", "script", "start"),
            *("the policy begins here", "answered", "answered", 2.0, "0.0000382"),
            '{"draft.confidence":0.48}',
        )
    ]
    assert rows(
        folder,
        "SELECT attempt_id, decision_id, hop, number, status, ttft_s, tpot_s, total_s, "
        "input_tokens, output_tokens, cached_input_tokens, cost_usd, price, model_served, finish, "
        "error_kind FROM attempts",
    ) == [
        (
            *("d1-0-1", "d1", 0, 1, "finished", 0.25, 0.03125, 1.5, 41, 25, None, "0.0000382"),
            *("scripted/*@2024-01-01", "script-1", "stop", None),
        )
    ]


def test_an_intent_is_in_the_journal_before_begin_returns_and_in_no_table(
    ledger: Ledger, folder: Path
) -> None:
    ledger.begin(began("d1"))
    (file,) = (folder / "journal").glob("*.jsonl")
    assert file.read_bytes().startswith(b'["begin",{"decision_id":"d1"')
    assert rows(folder, "SELECT * FROM attempts") == []


def test_a_request_under_way_is_running(ledger: Ledger, folder: Path) -> None:
    ledger.begin(began("d1"))
    ledger.flush()
    assert rows(folder, "SELECT status FROM requests") == [("running",)]
    assert rows(folder, "SELECT status FROM hops") == [("running",)]
    assert rows(folder, "SELECT status, cost_usd FROM attempts") == [("running", None)]


def test_retries_are_attempts_of_one_hop(ledger: Ledger, folder: Path) -> None:
    failed = attempt("d1", cost_usd=None, error_kind="rate_limited", http_status=429)
    ledger.begin(began("d1"))
    ledger.end("d1", 0, failed)
    ledger.begin(began("d1", number=2))
    ledger.end("d1", 0, attempt("d1", number=2))
    ledger.flush()
    assert rows(folder, "SELECT COUNT(*) FROM hops") == [(1,)]
    assert rows(
        folder, "SELECT number, error_kind, http_status, cost_usd FROM attempts ORDER BY number"
    ) == [(1, "rate_limited", 429, None), (2, None, None, "0.25")]


def test_a_request_that_guards_forbade_has_a_row_and_no_hop(ledger: Ledger, folder: Path) -> None:
    ledger.close_request(closed("d1", status="forbidden"))
    ledger.flush()
    assert rows(folder, "SELECT status, cost_usd FROM requests") == [("forbidden", "0")]
    assert rows(folder, "SELECT * FROM hops") == []


def test_zero_dollars_and_unknown_dollars_never_mix(ledger: Ledger, folder: Path) -> None:
    book(ledger, "free", cost_usd="0")
    book(ledger, "unknown", cost_usd=None)
    ledger.flush()
    query = "SELECT decision_id, cost_usd, cost_pico_usd FROM requests ORDER BY decision_id"
    assert rows(folder, query) == [("free", "0", 0), ("unknown", None, None)]


def test_no_text_is_anywhere_in_the_folder_unless_it_is_kept(folder: Path) -> None:
    said = (Message(role="user", content="my secret plan"),)
    failed = attempt("d1", error_kind="refused", error_message="bad words: my secret plan")

    def walk(keep_text: bool) -> bytes:
        place = folder / str(keep_text)
        ledger = Ledger.open(place, keep_text=keep_text, batch_s=HELD_BACK_S)
        ledger.begin(began("d1"))
        ledger.end("d1", 0, failed)
        request = closed("d1", hop("d1", attempts=(failed,)), messages=said, answer="my secret")
        ledger.close_request(request)
        ledger.flush()
        found = b"".join(p.read_bytes() for p in place.rglob("*") if p.is_file())
        ledger.close()
        return found

    assert b"secret" not in walk(False)
    assert b"my secret plan" in walk(True)
    assert rows(folder / "False", "SELECT * FROM texts") == []
    assert rows(folder / "True", "SELECT answer FROM texts") == [("my secret",)]


def test_the_thread_takes_lines_in_by_itself(folder: Path) -> None:
    with Ledger.open(folder, batch_s=0.0) as ledger:
        book(ledger, "d1")
        ledger.flush()
        book(ledger, "d2")
        give_up = time.monotonic() + 10
        while not rows(folder, "SELECT 1 FROM requests WHERE decision_id = 'd2'"):
            assert time.monotonic() < give_up, "the thread never came round"


def test_closing_takes_everything_in_and_leaves_no_journal(folder: Path) -> None:
    ledger = Ledger.open(folder, batch_s=HELD_BACK_S)
    book(ledger, "d1")
    ledger.close()
    ledger.close()
    assert rows(folder, "SELECT status FROM requests") == [("answered",)]
    assert list((folder / "journal").iterdir()) == []
    assert rows(folder, "SELECT * FROM journals") == []


def test_closing_marks_what_never_ended(folder: Path) -> None:
    with Ledger.open(folder, batch_s=HELD_BACK_S) as ledger:
        ledger.begin(began("d1"))
        ledger.begin(began("d2"))
        ledger.end("d2", 0, attempt("d2"))
    query = "SELECT decision_id, status, cost_usd FROM {} ORDER BY decision_id"
    assert rows(folder, query.format("requests")) == [
        ("d1", "interrupted", None),
        ("d2", "interrupted", None),
    ]
    assert rows(folder, query.format("hops")) == [
        ("d1", "interrupted", None),
        ("d2", "interrupted", None),
    ]
    assert rows(folder, query.format("attempts")) == [
        ("d1", "interrupted", None),
        ("d2", "finished", "0.25"),
    ]


def test_a_closed_ledger_books_no_attempt(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger.open(folder)
    ledger.close()
    with pytest.raises(LedgerError, match="is closed"):
        ledger.begin(began("d1"))
    with caplog.at_level(logging.ERROR):
        ledger.end("d1", 0, attempt("d1"))
    assert "came after the ledger was closed and is lost" in caplog.text


def test_two_ledgers_in_one_folder_see_each_other_s_requests(folder: Path) -> None:
    with (
        Ledger.open(folder, batch_s=HELD_BACK_S) as one,
        Ledger.open(folder, batch_s=HELD_BACK_S) as two,
    ):
        book(one, "d1")
        one.begin(began("d3"))
        two.feedback("d1", good=True)
        book(two, "d2")
        with Report.open(folder) as report:
            found = {r.decision_id: r.status for r in report.recent()}
        assert found == {"d1": "answered", "d2": "answered", "d3": "running"}


def test_opening_does_not_touch_what_a_living_process_has_under_way(folder: Path) -> None:
    with Ledger.open(folder, batch_s=HELD_BACK_S) as one:
        one.begin(began("d1"))
        Ledger.open(folder, batch_s=HELD_BACK_S).close()
        assert rows(folder, "SELECT status FROM attempts") == [("running",)]
        one.end("d1", 0, attempt("d1"))
    assert rows(folder, "SELECT status FROM attempts") == [("finished",)]


def test_a_journal_that_grew_goes_on_in_a_new_file_and_loses_nothing(folder: Path) -> None:
    with Ledger.open(folder, batch_s=HELD_BACK_S, rotate_bytes=2000) as ledger:
        ledger.begin(began("long"))
        for number in range(12):
            book(ledger, f"d{number:02d}")
            if number % 3 == 2:
                ledger.flush()
        names = [p.name for p in (folder / "journal").glob("*.jsonl")]
        assert len(names) == 1
        assert names[0].endswith("-000005.jsonl")
        assert rows(folder, "SELECT COUNT(*) FROM journals WHERE done") == [(0,)]
        assert rows(folder, "SELECT status FROM requests WHERE decision_id = 'long'") == [
            ("running",)
        ]
        ledger.end("long", 0, attempt("long"))
    assert rows(folder, "SELECT status, COUNT(*) FROM attempts GROUP BY 1") == [("finished", 13)]
    assert rows(folder, "SELECT * FROM torn") == []


def test_feedback_adds_labels_to_a_request_that_is_still_in_the_journal(
    ledger: Ledger, folder: Path
) -> None:
    book(ledger, "d1")
    ledger.feedback("d1", good=False, note="the second clause")
    ledger.feedback("d1", score=0.25, source="judge")
    ledger.flush()
    assert rows(folder, "SELECT decision_id, at, good, score, note, source FROM labels") == [
        ("d1", 1_780_000_000.0, 0, None, "the second clause", "caller"),
        ("d1", 1_780_000_000.0, None, 0.25, None, "judge"),
    ]


def test_feedback_on_an_unknown_request_says_so(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no request 'nope' in the ledger at"):
        ledger.feedback("nope", good=True)


@pytest.mark.parametrize(
    "said", [{}, {"score": 1.5}, {"score": -0.1}, {"score": float("nan")}], ids=str
)
def test_feedback_that_says_nothing_or_nonsense_is_refused(
    ledger: Ledger, said: dict[str, float]
) -> None:
    book(ledger, "d1")
    with pytest.raises(ConfigError):
        ledger.feedback("d1", score=said.get("score"))


def test_a_folder_that_can_t_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="name one you can write to"):
        Ledger.open(tmp_path / "file" / "ledger")
    with pytest.raises(LedgerError, match="name one you can write to"):
        Report.open(tmp_path / "file" / "ledger")


def test_a_ledger_s_folder_is_the_user_s_alone(folder: Path, ledger: Ledger) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such bits; the user's folder is private by its access list")
    book(ledger, "d1")
    ledger.flush()
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_attempt_that_can_t_be_booked_raises_and_a_result_waits(
    ledger: Ledger, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no limit on a file's size to run into")
    import resource

    ledger.begin(began("d1"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (file,) = (folder / "journal").glob("*.jsonl")
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
    try:
        ledger.end("d1", 0, attempt("d1"))
        with pytest.raises(LedgerError, match="the attempt is not sent"):
            ledger.begin(began("d2"))
        assert (ledger.unwritten, ledger.failures) == (1, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "a result waits in memory" in caplog.text
    assert ledger.flush()
    assert ledger.unwritten == 0
    assert rows(folder, "SELECT attempt_id, status FROM attempts") == [("d1-0-1", "finished")]


def test_when_a_newer_version_comes_along_booking_goes_on_and_taking_in_stops(
    folder: Path,
) -> None:
    ledger = Ledger.open(folder, batch_s=HELD_BACK_S)
    connect(folder, steps=(*STEPS, ("CREATE TABLE newer (x)",))).close()
    book(ledger, "d1")
    with pytest.raises(LedgerError, match="upgrade firsthop"):
        ledger.flush()
    ledger.close()
    assert rows(folder, "SELECT * FROM requests") == []
    assert len(list((folder / "journal").glob("*.jsonl"))) == 1


def test_a_ledger_whose_tables_are_locked_books_all_the_same(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger.open(folder).close()
    left_over = folder / "journal" / "1-abcdef01-000001.jsonl"
    left_over.write_bytes(begin_line(began("d0")))
    other = sqlite3.connect(folder / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger = Ledger.open(folder, batch_s=HELD_BACK_S, busy_s=0.0)
    assert "behind its journals" in caplog.text
    book(ledger, "d1")
    with pytest.raises(LedgerError, match="the tables can't be written: database is locked"):
        ledger.flush()
    other.execute("ROLLBACK")
    assert ledger.flush()  # nothing new has come, and what could not be taken in then is now
    assert rows(folder, "SELECT count(*) FROM attempts WHERE attempt_id LIKE 'd1%'") == [(1,)]
    other.execute("BEGIN IMMEDIATE")
    book(ledger, "d2")
    with pytest.raises(LedgerError, match="the tables can't be written: database is locked"):
        ledger.flush()
    ledger.close()
    assert "waits for the next opening" in caplog.text
    other.close()

    Ledger.open(folder).close()
    assert rows(folder, "SELECT decision_id, status FROM requests ORDER BY 1") == [
        ("d0", "interrupted"),
        ("d1", "answered"),
        ("d2", "answered"),
    ]


def test_closing_at_the_moment_the_thread_comes_round_does_not_hang(folder: Path) -> None:
    for number in range(80):
        ledger = Ledger.open(folder, batch_s=0.001)
        ledger.begin(began(f"d{number}"))
        give_up = time.perf_counter() + 0.0008 + number * 0.000005
        while time.perf_counter() < give_up:
            pass
        closing = threading.Thread(target=ledger.close, daemon=True)
        closing.start()
        closing.join(20)
        assert not closing.is_alive(), "the thread never saw that it has to stop"
