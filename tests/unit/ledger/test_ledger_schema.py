from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from router.errors import LedgerError
from router.ledger.schema import STEPS, Step, connect, version_of, writing

LATER: tuple[Step, ...] = (
    *STEPS,
    ("ALTER TABLE requests ADD COLUMN region TEXT", "UPDATE requests SET region = 'here'"),
    ("CREATE TABLE budgets (name TEXT PRIMARY KEY)",),
)


def test_a_new_ledger_has_the_newest_schema_in_write_ahead_mode(tmp_path: Path) -> None:
    db = connect(tmp_path)
    assert version_of(db) == len(STEPS)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_an_older_ledger_goes_through_the_missing_steps_in_order_and_keeps_its_rows(
    tmp_path: Path,
) -> None:
    db = connect(tmp_path)
    db.execute(
        "INSERT INTO requests (decision_id, run, status, tags, flags, trace) "
        "VALUES ('d1', 'r', 'answered', '{}', '[]', '[]')"
    )
    db.close()

    db = connect(tmp_path, steps=LATER)
    assert version_of(db) == len(LATER)
    assert db.execute("SELECT decision_id, region FROM requests").fetchall() == [("d1", "here")]
    db.close()


def test_attempts_of_an_older_ledger_are_kept_and_what_is_new_is_unknown(tmp_path: Path) -> None:
    db = connect(tmp_path, steps=STEPS[:3])
    db.execute(
        "INSERT INTO attempts (attempt_id, decision_id, hop, number, status) "
        "VALUES ('a1', 'd1', 0, 1, 'finished')"
    )
    db.close()

    db = connect(tmp_path)
    row = db.execute("SELECT attempt_id, queue_s, connect_s, reached, estimate_usd FROM attempts")
    assert row.fetchall() == [("a1", None, None, None, None)]
    db.close()


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    connect(tmp_path, steps=LATER).close()
    before = (tmp_path / "ledger.sqlite3").read_bytes()
    with pytest.raises(LedgerError, match=r"has schema 8, .*up to 6: upgrade firsthop") as caught:
        connect(tmp_path)
    assert caught.value.folder == str(tmp_path)
    assert (tmp_path / "ledger.sqlite3").read_bytes() == before


def test_a_step_that_fails_changes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    broken = (*STEPS, ("CREATE TABLE budgets (name TEXT)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(LedgerError, match="nowhere"):
        connect(tmp_path, steps=broken)
    db = connect(tmp_path)
    assert version_of(db) == len(STEPS)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    assert "budgets" not in tables
    db.close()


def test_many_that_open_a_new_ledger_at_once_migrate_it_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    versions: list[int] = []
    troubles: list[BaseException] = []

    def open_it() -> None:
        barrier.wait()
        try:
            db = connect(tmp_path, steps=LATER)
            versions.append(version_of(db))
            db.close()
        except BaseException as exc:
            troubles.append(exc)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert versions == [len(LATER)] * 8


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"not a database at all, by any measure " * 40)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 can't be opened.*move it away"):
        connect(tmp_path)


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    db = connect(tmp_path)

    def half() -> None:
        with writing(db):
            db.execute("INSERT INTO labels (label_id, decision_id) VALUES ('l1', 'd1')")
            db.execute("INSERT INTO labels (label_id, decision_id) VALUES ('l2', NULL)")

    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        half()
    assert db.execute("SELECT COUNT(*) FROM labels").fetchone() == (0,)
    db.close()
