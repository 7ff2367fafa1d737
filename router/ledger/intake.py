"""Journals become tables: by their owner's thread, by a reader, or after their owner's death.

Comes in: journal files of any run, living or dead. Goes out: rows, and how far each file has been
read, in one transaction. That is the whole argument for "exactly once": whoever takes lines in
holds SQLite's write lock while looking up the offset, and the new offset commits with the rows. So
it makes no difference who reads a file, how many do at once, or when one of them is killed. (Should
a power cut bring a removed file back, its lines change no row; see `sqlite.py`.)

Three orders matter:
- A run's files are taken in oldest first, each to its end, so a result never precedes its intent.
- A dead run's leftovers are marked in the transaction that declares its files done, and the files
  go only afterwards: a crash in between leaves files that say they are done.
- A file goes before its row in `journals` does. A file without a row is new; a row that is missing
  because it was cleaned up has no file any more.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ..clock import Clock, SystemClock
from ..errors import LedgerError
from . import journal
from .journal import Fresh
from .lines import Line, read_line
from .lock import OwnerLock
from .readback import reads_the_same
from .schema import BUSY_S, check_version, connect, writing
from .sqlite import apply, interrupt

log = logging.getLogger(__name__)

BATCH_BYTES = 1024 * 1024
_NO_VALUE = (
    *(OverflowError, UnicodeEncodeError, AttributeError, TypeError),
    *(sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
"""What comes of a value that a row can't hold. A line that was read back never has one; see
`readback` for those that a row could hold, and a reader would not take."""
_NO_ENDS: Mapping[Path, int] = {}


class Intake:
    """The tables, and how they are filled. One thread at a time.

    Attributes:
        folder: The ledger's folder.
        journals: Where journal files and locks lie.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        batch_bytes: int = BATCH_BYTES,
        busy_s: float = BUSY_S,
    ) -> None:
        self.folder = folder
        self.journals = folder / "journal"
        self._clock = clock
        self._batch_bytes = batch_bytes
        self._busy_s = busy_s
        self._db: sqlite3.Connection | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock | None = None,
        batch_bytes: int = BATCH_BYTES,
        busy_s: float = BUSY_S,
    ) -> Intake:
        """Open the tables in `folder`, making it and them if need be.

        Args:
            batch_bytes: About how much of a journal one transaction takes in.
            busy_s: Seconds to wait while another process writes to the tables.

        Raises: LedgerError, when the folder can't hold a ledger or a newer version wrote it.
        """
        intake = cls(folder, clock=clock or SystemClock(), batch_bytes=batch_bytes, busy_s=busy_s)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            intake.journals.mkdir(exist_ok=True, mode=0o700)
        except OSError as exc:
            raise LedgerError(
                f"the ledger's folder {folder} can't be made: {exc}; name one you can write to",
                folder=folder,
            ) from exc
        intake._db = connect(folder, busy_s=busy_s)
        return intake

    @property
    def db(self) -> sqlite3.Connection:
        """In autocommit. Opened again after `close`, when it is next used."""
        if self._db is None:
            self._db = connect(self.folder, busy_s=self._busy_s)
        return self._db

    def close(self) -> None:
        """Close the connection. Idempotent."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def catch_up(self) -> None:
        """Take in everything that has been journaled until now, and finish what the dead left.

        One run's trouble (a file that can't be read) does not keep the others out; it is logged.

        Raises: sqlite3.Error; LedgerError, when a newer version has been at the tables.
        """
        for run in journal.runs(self.journals):
            try:
                self._take_run(run)
            except OSError as exc:
                log.warning("the journal of run %s can't be taken in: %s", run, exc)
        for (name,) in self.db.execute("SELECT name FROM journals WHERE done").fetchall():
            if not (self.journals / name).exists():  # its remover died before it could say so
                self.db.execute("DELETE FROM journals WHERE name = ?", (name,))

    def _take_run(self, run: str) -> None:
        owner = OwnerLock.take(journal.lock_path(self.journals, run))
        if owner is None:
            self.take_living(run)
            return
        gone = False
        try:
            gone = self.finish(run)
        finally:
            owner.release(remove=gone)

    def take_living(self, run: str, ends: Mapping[Path, int] = _NO_ENDS) -> None:
        """Take in what a run has written so far, of a file that has an end in `ends` up to it."""
        for path in journal.files_of(self.journals, run):
            self.take_file(path, ends.get(path))

    def take_fresh(self, fresh: Fresh) -> bool:
        """Take in what its writer still has in memory: to read it back costs a third of the work.

        Returns: False, and nothing was done, where it has to be read: there is more, somebody else
        was quicker, or a value is one that only a reader of the line makes sense of.
        """
        if not fresh.whole or not all(map(reads_the_same, fresh.lines)):
            return False
        if not fresh.lines:  # what an earlier round could not take in may lie in the file still
            return self._offset(fresh.path) >= fresh.end
        try:
            with writing(self.db):
                check_version(self.db, self.folder)
                if self._offset(fresh.path) != fresh.start:
                    return False
                self._apply(fresh.path, fresh.lines, fresh.end)
        except _NO_VALUE:
            return False
        return True

    def take_file(self, path: Path, end: int | None = None) -> None:
        """Take in a file to its last whole line, or to `end`. A file that is gone is no error."""
        while self._take_batch(path, end):
            pass

    def _take_batch(self, path: Path, end: int | None) -> bool:
        """One transaction's worth. Returns: whether there was anything."""
        try:
            if (path.stat().st_size if end is None else end) <= self._offset(path):
                return False
            with writing(self.db):
                check_version(self.db, self.folder)
                start = self._offset(path)
                most = self._batch_bytes if end is None else min(self._batch_bytes, end - start)
                data = _whole_lines(path, start, most)
                if not data:
                    return False
                self._store(path, start, data)
        except FileNotFoundError:
            return False  # finished by somebody else; inside `writing` nothing was written
        return True

    def _store(self, path: Path, start: int, data: bytes) -> None:
        lines: list[Line] = []
        at = start
        for raw in data.splitlines(keepends=True):
            line = read_line(raw)
            if line is not None:
                lines.append(line)
            elif raw.strip():
                self._note_torn(path, at, len(raw))
            at += len(raw)
        self._apply(path, lines, at)

    def _apply(self, path: Path, lines: list[Line], offset: int) -> None:
        apply(self.db, journal.run_of(path), lines)
        self.db.execute(
            "INSERT INTO journals (name, offset) VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET offset = excluded.offset",
            (path.name, offset),
        )

    def retire(self, path: Path) -> None:
        """Take in the rest of a file its living owner has left for a new one, and remove it.

        Raises: sqlite3.Error, OSError; calling again goes on where it stopped.
        """
        self.take_file(path)
        self._declare_done([path], interrupted_run=None)
        self._remove([path])

    def finish(self, run: str) -> bool:
        """Take in what is left of a run that will write no more, mark what it never ended.

        The caller holds the run's lock, or is its owner and has sealed it. Idempotent.

        Returns: whether all its files are gone.
        """
        files = journal.files_of(self.journals, run)
        for path in files:
            self.take_file(path)
        open_files = [path for path in files if not self._done(path)]
        if open_files:
            self._declare_done(open_files, interrupted_run=run)
        return self._remove(files)

    def _declare_done(self, files: list[Path], *, interrupted_run: str | None) -> None:
        # FULL: the log is on the disk, with all that was committed before, when this returns.
        # Only then may the files go; else a power cut could take both.
        self.db.execute("PRAGMA synchronous = FULL")
        try:
            with writing(self.db):
                check_version(self.db, self.folder)
                for path in files:
                    self._note_tail(path)
                    self.db.execute(
                        "INSERT INTO journals (name, offset, done) VALUES (?, 0, 1) "
                        "ON CONFLICT DO UPDATE SET done = 1",
                        (path.name,),
                    )
                cut = interrupt(self.db, interrupted_run) if interrupted_run else 0
        finally:
            self.db.execute("PRAGMA synchronous = NORMAL")
        if cut:
            log.warning("run %s was cut off; attempts marked: %d", interrupted_run, cut)

    def _remove(self, files: list[Path]) -> bool:
        gone = True
        for path in files:
            try:
                path.unlink(missing_ok=True)
            except PermissionError:
                gone = False  # somebody has it open, where that matters; the next one removes it
                continue
            self.db.execute("DELETE FROM journals WHERE name = ?", (path.name,))
        return gone

    def _offset(self, path: Path) -> int:
        row = self.db.execute("SELECT offset FROM journals WHERE name = ?", (path.name,)).fetchone()
        return int(row[0]) if row else 0

    def _done(self, path: Path) -> bool:
        row = self.db.execute("SELECT done FROM journals WHERE name = ?", (path.name,)).fetchone()
        return bool(row and row[0])

    def _note_tail(self, path: Path) -> None:
        """Note a last line that was cut off: a full disk, or a power cut."""
        start = self._offset(path)
        left = path.stat().st_size - start if path.exists() else 0
        if left > 0:
            self._note_torn(path, start, left)

    def _note_torn(self, path: Path, offset: int, size: int) -> None:
        log.warning("%s: %d bytes at %d are not a line; skipped", path.name, size, offset)
        self.db.execute(
            "INSERT INTO torn (journal, offset, bytes, found_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (path.name, offset, size, self._clock.wall()),
        )


def _whole_lines(path: Path, start: int, size: int) -> bytes:
    """Up to about `size` bytes from `start`, ending with a newline; more when a line is longer."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(size)
        while data and b"\n" not in data:
            more = file.read(len(data))
            if not more:
                return b""
            data += more
    return data[: data.rfind(b"\n") + 1]
