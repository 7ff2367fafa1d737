"""Results: which line takes them along, and which column each part of them ends in."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.booking import attempt, began, closed, hop

from router.clock import ManualClock
from router.ledger import Ledger, Report
from router.types import Usage

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


def test_a_result_and_the_end_of_its_request_can_go_out_together(
    ledger: Ledger, folder: Path
) -> None:
    ledger.begin(began("d1"))
    (file,) = (folder / "journal").glob("*.jsonl")
    ledger.end("d1", 0, attempt("d1"), more_follows=True)
    assert (file.read_bytes().count(b"\n"), ledger.unwritten) == (1, 1)
    ledger.close_request(closed("d1", hop("d1")))
    assert (file.read_bytes().count(b"\n"), ledger.unwritten) == (3, 0)
    ledger.flush()
    assert rows(folder, "SELECT status FROM attempts") == [("finished",)]
    assert rows(folder, "SELECT status FROM requests") == [("answered",)]


def test_whoever_books_next_takes_along_a_result_that_more_was_to_follow(
    ledger: Ledger, folder: Path
) -> None:
    ledger.begin(began("d1"))
    ledger.end("d1", 0, attempt("d1"), more_follows=True)
    ledger.begin(began("d2"))
    (file,) = (folder / "journal").glob("*.jsonl")
    kinds = [line.split(b",")[0] for line in file.read_bytes().splitlines()]
    assert kinds == [b'["begin"', b'["end"', b'["begin"']


def test_a_result_that_nothing_followed_is_written_by_the_thread(folder: Path) -> None:
    with Ledger.open(folder, batch_s=0.0) as ledger:
        ledger.begin(began("d1"))
        ledger.flush()
        ledger.end("d1", 0, attempt("d1"), more_follows=True)
        give_up = time.monotonic() + 10
        while rows(folder, "SELECT status FROM attempts") != [("finished",)]:
            assert time.monotonic() < give_up, "the thread never came round"


@pytest.mark.parametrize("how", ["flush", "close"])
def test_a_result_that_nothing_followed_is_not_lost(folder: Path, how: str) -> None:
    ledger = Ledger.open(folder, batch_s=HELD_BACK_S)
    ledger.begin(began("d1"))
    ledger.end("d1", 0, attempt("d1"), more_follows=True)
    ledger.flush() if how == "flush" else ledger.close()
    assert rows(folder, "SELECT status FROM attempts") == [("finished",)]
    ledger.close()


def test_feedback_and_reports_see_at_once_what_only_the_journal_holds(
    ledger: Ledger, folder: Path
) -> None:
    """However long lines may gather before the thread takes them in."""
    ledger.begin(began("d1"))
    ledger.end("d1", 0, attempt("d1"), more_follows=True)
    ledger.close_request(closed("d1", hop("d1")))
    ledger.feedback("d1", good=True)
    with Report.open(folder) as report:
        assert [(r.decision_id, r.status) for r in report.recent()] == [("d1", "answered")]


@pytest.mark.parametrize("begun_before", [False, True])
def test_every_part_of_a_result_has_its_column(
    ledger: Ledger, folder: Path, begun_before: bool
) -> None:
    plain = attempt("d1", cost_usd="0.5", request_id="r", queue_s=0.125, connect_s=0.0)
    odd = attempt(
        "d1",
        number=2,
        cost_usd=None,
        price="line",
        usage=Usage(
            input_tokens=1,
            output_tokens=2,
            cached_input_tokens=3,
            reasoning_tokens=4,
            cache_write_tokens=5,
        ),
        finish=None,
        error_kind="refused",
        error_code="code",
        http_status=400,
        reached=False,
        estimate_usd=Decimal("0.000002"),
        estimate=Usage(input_tokens=6, output_tokens=7),
    )
    ledger.begin(began("d1"))
    ledger.begin(began("d1", number=2))
    if begun_before:
        ledger.flush()
    ledger.end("d1", 0, plain)
    ledger.end("d1", 0, odd)
    ledger.flush()
    columns = (
        "attempt_id, decision_id, hop, number, status, started_at, ttft_s, tpot_s, total_s, "
        "input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cache_write_tokens, "
        "cost_usd, cost_pico_usd, price, model_served, request_id, finish, error_kind, error_code, "
        "http_status, error_message, queue_s, connect_s, reached, estimate_usd, estimate_pico_usd, "
        "estimated_input_tokens, estimated_output_tokens"
    )
    assert rows(folder, f"SELECT {columns} FROM attempts ORDER BY number") == [
        (
            *("d1-0-1", "d1", 0, 1, "finished", 1_780_000_000.0, 0.25, 0.03125, 1.5),
            *(41, 25, None, None, None, "0.5", 500_000_000_000, "scripted/*@2024-01-01"),
            *("script-1", "r", "stop", None, None, None, None, 0.125, 0.0, 1),
            *(None, None, None, None),
        ),
        (
            *("d1-0-2", "d1", 0, 2, "finished", 1_780_000_000.0, 0.25, 0.03125, 1.5),
            *(1, 2, 3, 4, 5, None, None, "line"),
            *("script-1", None, None, "refused", "code", 400, None, None, None, 0),
            *("0.000002", 2_000_000, 6, 7),
        ),
    ]


def test_a_plain_result_taken_in_over_another_leaves_nothing_of_it(
    ledger: Ledger, folder: Path
) -> None:
    ledger.end("d1", 0, attempt("d1", cost_usd=None, error_kind="refused", http_status=400))
    ledger.flush()
    ledger.end("d1", 0, attempt("d1"))
    ledger.flush()
    query = "SELECT error_kind, http_status, cost_usd FROM attempts"
    assert rows(folder, query) == [(None, None, "0.25")]
