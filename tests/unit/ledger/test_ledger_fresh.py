from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from support.booking import attempt, began, closed, hop

from router.clock import ManualClock
from router.ledger import Ledger, Report, journal
from router.ledger.intake import Intake
from router.ledger.journal import Journal
from router.ledger.lines import Judged, Line, begun, ended, line_of, over
from router.types import Usage

HELD_BACK_S = 3600.0
"""The thread never comes round by itself; the test says when lines are taken in."""
TABLES = ("requests", "hops", "attempts", "texts", "torn")


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / "journal").mkdir()
    created = Journal.create(tmp_path / "journal")
    yield created
    created.leave(remove=True)


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    opened = Intake.open(tmp_path, clock=ManualClock())
    yield opened
    opened.close()


def lines_of(name: str, **other: Any) -> list[Line]:
    told = attempt(name, **other)
    return [
        begun(began(name)),
        ended(name, 0, told, keep_text=False),
        over(closed(name, hop(name, attempts=(told,))), keep_text=False),
    ]


def write(to: Journal, lines: list[Line]) -> None:
    for line in lines:
        to.append(line_of(line), line)


def tables(intake: Intake) -> dict[str, list[tuple[Any, ...]]]:
    return {n: intake.db.execute(f"SELECT * FROM {n} ORDER BY 1").fetchall() for n in TABLES}


def names(intake: Intake) -> list[str]:
    return [name for (name,) in intake.db.execute("SELECT decision_id FROM requests ORDER BY 1")]


def test_lines_from_memory_make_the_rows_that_the_file_would(
    mine: Journal, intake: Intake, tmp_path: Path
) -> None:
    odd = {"cost_usd": None, "error_kind": "refused", "ttft_s": 1, "finish": None}
    write(mine, [*lines_of("d1", cost_usd="0.0000382"), *lines_of("d2", **odd)])
    write(mine, lines_of("d3")[:1])
    assert intake.take_fresh(mine.take_fresh())

    (tmp_path / "other" / "journal").mkdir(parents=True)
    (path,) = journal.files_of(mine.folder, mine.run)
    (tmp_path / "other" / "journal" / path.name).write_bytes(path.read_bytes())
    other = Intake.open(tmp_path / "other", clock=ManualClock())
    other.take_living(mine.run)
    assert tables(intake) == tables(other)
    assert names(intake) == ["d1", "d2", "d3"]
    other.close()


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": Usage(input_tokens=-1)},
        {"usage": Usage(output_tokens=True)},
        {"usage": Usage(cached_input_tokens=3.0)},  # type: ignore[arg-type]
        {"usage": Usage(reasoning_tokens="3")},  # type: ignore[arg-type]
        {"estimate": Usage(input_tokens=-1)},
        {"usage": Usage(input_tokens=2**63)},
        {"http_status": -1},
        {"http_status": HTTPStatus.OK},
        {"model_served": 7},
        {"request_id": b"7"},
        {"ttft_s": float("nan")},
        {"total_s": float("inf")},
        {"queue_s": "soon"},
        {"reached": 1},
        {"error_code": "a\ud800b"},
    ],
    ids=str,
)
def test_a_provider_that_breaks_its_promise_makes_the_same_rows_from_memory_and_from_the_file(
    mine: Journal, intake: Intake, tmp_path: Path, odd: dict[str, Any]
) -> None:
    write(mine, [*lines_of("d1"), *lines_of("d2", **odd), *lines_of("d3")])
    fresh = mine.take_fresh()
    if not intake.take_fresh(fresh):
        intake.take_living(mine.run, {fresh.path: fresh.end})

    (tmp_path / "other" / "journal").mkdir(parents=True)
    (tmp_path / "other" / "journal" / fresh.path.name).write_bytes(fresh.path.read_bytes())
    other = Intake.open(tmp_path / "other", clock=ManualClock())
    other.take_living(mine.run)
    assert tables(intake) == tables(other)
    assert names(intake) == ["d1", "d2", "d3"]
    other.close()


def test_feedback_of_another_type_is_torn_from_memory_too(mine: Journal, intake: Intake) -> None:
    write(mine, [Judged(label_id="l", decision_id="d1", at=1.0, score="1")])  # type: ignore[arg-type]
    assert not intake.take_fresh(mine.take_fresh())
    write(mine, [Judged(label_id="m", decision_id="d1", at=1.0, score=1)])
    intake.take_living(mine.run)
    assert intake.db.execute("SELECT label_id FROM labels").fetchall() == [("m",)]


def test_nothing_is_taken_in_twice_and_nothing_is_left_out(mine: Journal, intake: Intake) -> None:
    write(mine, lines_of("d1"))
    assert intake.take_fresh(mine.take_fresh())
    assert intake.take_fresh(mine.take_fresh())  # there is nothing, and that is in
    write(mine, lines_of("d2"))
    assert intake.take_fresh(mine.take_fresh())
    intake.take_living(mine.run)
    assert names(intake) == ["d1", "d2"]


def test_who_finds_that_a_reader_was_quicker_reads_the_file_and_is_in_step_again(
    mine: Journal, intake: Intake
) -> None:
    write(mine, lines_of("d1"))
    intake.take_living(mine.run)  # as a reader in another process does
    write(mine, lines_of("d2"))
    fresh = mine.take_fresh()
    assert not intake.take_fresh(fresh)
    write(mine, lines_of("d3"))
    intake.take_living(mine.run, {fresh.path: fresh.end})
    assert names(intake) == ["d1", "d2"]
    assert intake.take_fresh(mine.take_fresh())
    assert names(intake) == ["d1", "d2", "d3"]


def test_what_was_written_without_its_meaning_has_to_be_read(mine: Journal, intake: Intake) -> None:
    write(mine, lines_of("d1"))
    mine.append(line_of(lines_of("d2")[0]))
    assert not intake.take_fresh(mine.take_fresh())
    assert names(intake) == []


def test_more_lines_than_are_remembered_are_read(
    mine: Journal, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_FRESH", 2)
    write(mine, lines_of("d1"))
    fresh = mine.take_fresh()
    assert fresh.lines == []
    assert not intake.take_fresh(fresh)


def test_a_value_that_no_row_can_hold_costs_its_line_and_no_other(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=HELD_BACK_S) as ledger:
        for name, tokens in (("d1", 5), ("d2", 2**70), ("d3", 7)):
            usage = Usage(input_tokens=tokens, output_tokens=1)
            ledger.begin(began(name))
            ledger.end(name, 0, attempt(name, usage=usage))
        assert ledger.flush()
        db = sqlite3.connect(tmp_path / "ledger.sqlite3")
        found = db.execute("SELECT decision_id, status FROM attempts ORDER BY 1").fetchall()
        assert found == [("d1", "finished"), ("d2", "running"), ("d3", "finished")]
        assert db.execute("SELECT COUNT(*) FROM torn").fetchone() == (1,)
        db.close()


def test_half_a_surrogate_pair_is_replaced_in_the_row_too(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=HELD_BACK_S) as ledger:
        ledger.begin(began("d1", because="a\ud800b", tags={"k": "\udc00"}))
        assert ledger.flush()
        db = sqlite3.connect(tmp_path / "ledger.sqlite3")
        assert db.execute("SELECT because FROM hops").fetchall() == [("a?b",)]
        assert db.execute("SELECT tags FROM requests").fetchall() == [('{"k":"?"}',)]
        db.close()


def test_a_ledger_that_is_read_while_it_books_has_each_request_once(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, batch_s=HELD_BACK_S, rotate_bytes=3000) as ledger:
        for number in range(30):
            name = f"d{number:02}"
            ledger.begin(began(name))
            ledger.end(name, 0, attempt(name), more_follows=True)
            ledger.close_request(closed(name, hop(name, attempts=(attempt(name),))))
            if number % 7 == 3:
                with Report.open(tmp_path) as report:
                    assert len(report.recent(100)) == number + 1
            if number % 5 == 2:
                assert ledger.flush()
        assert ledger.flush()
        db = sqlite3.connect(tmp_path / "ledger.sqlite3")
        for table in ("requests", "hops", "attempts"):
            assert db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (30,)
        assert db.execute("SELECT COUNT(*) FROM torn").fetchone() == (0,)
        db.close()
