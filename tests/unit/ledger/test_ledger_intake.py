from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.booking import attempt, began, begin_line, end_line

from router.clock import ManualClock
from router.ledger.intake import Intake
from router.ledger.journal import lock_path
from router.ledger.lock import OwnerLock

RUN = "4242-0123abcd"
LINES = begin_line(began("d1")) + end_line("d1", 0, attempt("d1"), keep_text=False)


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    opened = Intake.open(tmp_path, clock=ManualClock())
    yield opened
    opened.close()


def left_behind(intake: Intake, content: bytes, run: str = RUN, number: int = 1) -> Path:
    path = intake.journals / f"{run}-{number:06d}.jsonl"
    path.write_bytes(content)
    return path


def attempts(intake: Intake) -> dict[str, str]:
    return dict(intake.db.execute("SELECT attempt_id, status FROM attempts").fetchall())


def test_a_dead_run_is_taken_in_and_goes_with_its_lock(intake: Intake) -> None:
    left_behind(intake, LINES)
    lock_path(intake.journals, RUN).touch()
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "finished"}
    assert list(intake.journals.iterdir()) == []


def test_a_run_whose_owner_lives_is_taken_in_and_nothing_of_it_marked(intake: Intake) -> None:
    path = left_behind(intake, begin_line(began("d1")))
    owner = OwnerLock.take(lock_path(intake.journals, RUN))
    assert owner is not None
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "running"}
    assert path.exists()
    owner.release(remove=False)
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "interrupted"}


def test_files_that_were_declared_done_are_only_removed(intake: Intake) -> None:
    path = left_behind(intake, LINES)
    intake.db.execute("INSERT INTO journals VALUES (?, ?, 1)", (path.name, len(LINES)))
    intake.catch_up()
    assert attempts(intake) == {}
    assert list(intake.journals.iterdir()) == []
    assert intake.db.execute("SELECT * FROM journals").fetchall() == []


def test_a_living_run_s_file_that_is_done_and_still_there_is_not_read_again(
    intake: Intake,
) -> None:
    path = left_behind(intake, LINES)
    intake.db.execute("INSERT INTO journals VALUES (?, ?, 1)", (path.name, len(LINES)))
    owner = OwnerLock.take(lock_path(intake.journals, RUN))
    assert owner is not None
    intake.catch_up()
    intake.catch_up()
    assert attempts(intake) == {}
    owner.release(remove=True)


def test_a_file_that_is_gone_is_forgotten(intake: Intake) -> None:
    intake.db.execute("INSERT INTO journals VALUES ('1-a-000001.jsonl', 7, 1)")
    intake.catch_up()
    assert intake.db.execute("SELECT * FROM journals").fetchall() == []


def test_a_lock_without_a_journal_is_swept_away(intake: Intake) -> None:
    lock_path(intake.journals, RUN).touch()
    intake.catch_up()
    assert list(intake.journals.iterdir()) == []


def test_one_run_that_can_t_be_read_does_not_keep_the_others_out(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    (intake.journals / "1-aaaaaaaa-000001.jsonl").mkdir()
    left_behind(intake, LINES)
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "finished"}
    assert "run 1-aaaaaaaa can't be taken in" in caplog.text


def test_a_line_longer_than_a_batch_is_taken_in(tmp_path: Path) -> None:
    intake = Intake.open(tmp_path, clock=ManualClock(), batch_bytes=7)
    left_behind(intake, LINES)
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "finished"}
    intake.close()


def test_what_could_not_be_read_is_noted_with_its_place(intake: Intake) -> None:
    path = left_behind(intake, b"rubbish\n\n" + LINES + b'["begin",{"dec')
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "finished"}
    assert intake.db.execute("SELECT * FROM torn ORDER BY offset").fetchall() == [
        (path.name, 0, 8, 1_780_000_000.0),
        (path.name, 9 + len(LINES), 14, 1_780_000_000.0),
    ]


def test_an_intake_that_was_closed_opens_again_when_it_is_used(intake: Intake) -> None:
    intake.close()
    left_behind(intake, LINES)
    intake.catch_up()
    assert attempts(intake) == {"d1-0-1": "finished"}
