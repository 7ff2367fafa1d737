from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.ledger import journal
from router.ledger.journal import Journal
from router.ledger.lock import OwnerLock


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file of this process can grow past `size` bytes: the kernel itself refuses."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit on a file's size to run into")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Journal]:
    created = Journal.create(tmp_path)
    yield created
    created.leave(remove=True)


def content(of: Journal) -> bytes:
    return b"".join(path.read_bytes() for path in journal.files_of(of.folder, of.run))


def test_lines_stand_in_the_order_they_were_written(mine: Journal) -> None:
    mine.append(b"one\n")
    assert mine.append_or_keep(b"two\n") is None
    assert content(mine) == b"one\ntwo\n"
    assert mine.size == 8


def test_a_line_that_does_not_fit_raises_and_spoils_no_later_line(mine: Journal) -> None:
    mine.append(b"one\n")
    with disk_full_at(7), pytest.raises(OSError, match="large"):
        mine.append(b"two-is-longer\n")
    mine.append(b"three\n")
    assert content(mine) == b"one\ntwo\nthree\n"
    assert mine.failures == 1


def test_a_result_that_does_not_fit_waits_and_goes_first_when_there_is_room(mine: Journal) -> None:
    mine.append(b"one\n")
    with disk_full_at(4):
        assert isinstance(mine.append_or_keep(b"two\n"), OSError)
        assert isinstance(mine.append_or_keep(b"three\n"), OSError)
        assert mine.kept == 2
        with pytest.raises(OSError, match="large"):
            mine.append(b"an intent\n")
        assert not mine.write_kept()
    assert content(mine) == b"one\n"
    mine.append(b"four\n")
    assert content(mine) == b"one\ntwo\nthree\nfour\n"
    assert mine.kept == 0


def test_waiting_results_can_be_written_without_a_next_line(mine: Journal) -> None:
    with disk_full_at(2):
        mine.append_or_keep(b"one\n")
    assert mine.write_kept()
    assert content(mine) == b"on\none\n"


def test_a_line_that_more_follows_goes_out_with_the_next_and_before_it(mine: Journal) -> None:
    mine.append(b"one\n")
    assert mine.append_or_keep(b"two\n", more_follows=True) is None
    assert (content(mine), mine.kept) == (b"one\n", 1)
    mine.append(b"three\n")
    assert (content(mine), mine.kept) == (b"one\ntwo\nthree\n", 0)
    assert mine.size == 14


def test_a_line_that_nothing_followed_is_written_on_its_own(mine: Journal) -> None:
    mine.append_or_keep(b"one\n", more_follows=True)
    assert mine.write_kept()
    assert mine.write_kept()
    assert (content(mine), mine.kept) == (b"one\n", 0)


def test_of_lines_that_went_out_together_those_that_fitted_are_not_written_again(
    mine: Journal,
) -> None:
    for line in (b"one\n", b"two\n", b"three\n"):
        mine.append_or_keep(line, more_follows=True)
    with disk_full_at(6):
        with pytest.raises(OSError, match="large"):
            mine.append(b"an intent\n")
        assert (content(mine), mine.kept) == (b"one\ntw", 2)
        assert not mine.write_kept()
    with disk_full_at(11):  # the half line is closed, `two` fits, and the next line's end does not
        assert not mine.write_kept()
        assert (content(mine), mine.kept) == (b"one\ntw\ntwo\n", 1)
    mine.append(b"four\n")
    assert content(mine) == b"one\ntw\ntwo\nthree\nfour\n"
    assert mine.size == len(content(mine))


def test_a_half_line_that_is_still_there_is_closed_however_often_writing_fails(
    mine: Journal,
) -> None:
    mine.append_or_keep(b"one\n", more_follows=True)
    with disk_full_at(2):
        assert not mine.write_kept()
        assert not mine.write_kept()
    with disk_full_at(3):  # room for the newline alone
        assert not mine.write_kept()
    mine.append(b"two\n")
    assert content(mine) == b"on\none\ntwo\n"


def test_a_sealed_journal_keeps_no_line_for_a_next_that_can_t_come(mine: Journal) -> None:
    mine.seal()
    assert isinstance(mine.append_or_keep(b"late\n", more_follows=True), OSError)


def test_after_rotation_lines_go_into_a_file_that_sorts_later(mine: Journal) -> None:
    mine.append(b"one\n")
    mine.rotate()
    mine.append(b"two\n")
    first, second = journal.files_of(mine.folder, mine.run)
    assert (first.read_bytes(), second.read_bytes()) == (b"one\n", b"two\n")
    assert mine.size == 4


def test_a_sealed_journal_takes_no_line_and_still_holds_its_run(mine: Journal) -> None:
    mine.seal()
    with pytest.raises(OSError, match="closed"):
        mine.append(b"late\n")
    mine.rotate()
    assert OwnerLock.take(journal.lock_path(mine.folder, mine.run)) is None


def test_a_run_is_held_until_it_is_left(tmp_path: Path) -> None:
    mine = Journal.create(tmp_path)
    lock = journal.lock_path(tmp_path, mine.run)
    assert OwnerLock.take(lock) is None
    mine.leave(remove=False)
    mine.leave(remove=False)
    taken = OwnerLock.take(lock)
    assert taken is not None
    taken.release(remove=True)
    assert not lock.exists()


def test_two_journals_never_share_a_run(tmp_path: Path) -> None:
    first, second = Journal.create(tmp_path), Journal.create(tmp_path)
    assert journal.runs(tmp_path) == sorted([first.run, second.run])
    for each in (first, second):
        each.leave(remove=True)


def test_a_run_whose_name_begins_another_does_not_get_its_files(tmp_path: Path) -> None:
    for name in ("7-ab-000001.jsonl", "7-ab-cd-000001.jsonl"):
        (tmp_path / name).touch()
    assert [p.name for p in journal.files_of(tmp_path, "7-ab")] == ["7-ab-000001.jsonl"]


def test_a_full_sync_journal_writes_the_same(tmp_path: Path) -> None:
    mine = Journal.create(tmp_path, sync="full")
    mine.append(b"one\n")
    assert content(mine) == b"one\n"
    mine.leave(remove=True)


def test_nobody_else_may_read_what_is_written(mine: Journal) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such bits; the user's folder is private by its access list")
    for path in mine.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0
