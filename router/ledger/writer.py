"""One process's use of a ledger's folder: its journal, the tables, and the thread between them.

Comes in: lines. Goes out: lines in the journal at once; rows when the thread comes round, which is
`batch_s` after a line, or when somebody flushes. Lines taken in together cost half of what they do
in small batches; nobody waits for it, because every reader takes in first what is journaled.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from ..clock import Clock
from ..errors import LedgerError
from .intake import Intake
from .journal import Journal, Sync, files_of
from .lines import Line, line_of

log = logging.getLogger(__name__)

RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See `Ledger.open`."""

    sync: Sync
    clock: Clock
    batch_s: float
    rotate_bytes: int
    busy_s: float


class Writer:
    """From `start` until `close`. Every method may be called from any thread.

    Attributes:
        journal: This process's own.
    """

    def __init__(self, journal: Journal, intake: Intake, options: Options) -> None:
        self.journal = journal
        self._intake = intake
        self._options = options
        self._intake_lock = threading.Lock()
        self._wake = threading.Event()
        self._called = False  # whether the thread knows that there is a line, or is about to
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        self._retires = False  # whether there are older files of ours that are not taken in yet

    @classmethod
    def start(cls, folder: Path, options: Options) -> Writer:
        """Open the tables, finish what dead processes left, begin a journal.

        Raises: LedgerError.
        """
        intake = Intake.open(folder, clock=options.clock, busy_s=options.busy_s)
        try:
            try:
                intake.catch_up()
            except sqlite3.OperationalError as exc:
                # Locked or full: booking does not need the tables, and the next one catches up.
                log.warning("the ledger's tables are behind its journals: %s", exc)
            journal = Journal.create(intake.journals, sync=options.sync)
        except (OSError, sqlite3.Error) as exc:
            intake.close()
            raise trouble(folder, "it can't be opened", exc) from exc
        except BaseException:
            intake.close()
            raise
        return cls(journal, intake, options)

    def append(self, line: Line) -> None:
        """Write a line. Raises: OSError; the line is then not booked."""
        self.journal.append(line_of(line), line)
        if not self._called:
            self._call()

    def append_or_keep(self, line: Line, *, more_follows: bool) -> OSError | None:
        """Write a line, or keep it in memory until that is possible; returns why, then.

        One that more follows waits for the next line, or for the thread to come round.
        """
        reason = self.journal.append_or_keep(line_of(line), line, more_follows=more_follows)
        if not self._called:
            self._call()
        return reason

    def flush(self, timeout_s: float) -> bool:
        """See `Ledger.flush`. Raises: LedgerError."""
        if not self._intake_lock.acquire(timeout=timeout_s):
            return False
        try:
            return self._take_in()
        except (sqlite3.Error, OSError) as exc:
            raise trouble(self._intake.folder, "the tables can't be written", exc) from exc
        finally:
            self._intake_lock.release()

    def knows(self, decision_id: str) -> bool:
        """Whether any process has booked this request. Raises: LedgerError."""
        query = "SELECT 1 FROM requests WHERE decision_id = ?"
        intake = self._intake
        try:
            with self._intake_lock:
                if intake.db.execute(query, (decision_id,)).fetchone():
                    return True
                intake.catch_up()
                return intake.db.execute(query, (decision_id,)).fetchone() is not None
        except sqlite3.Error as exc:
            raise trouble(intake.folder, "the tables can't be read", exc) from exc

    def close(self) -> None:
        """Take everything in, mark what never ended, let go. What can't be taken in now stays."""
        with self._thread_lock:
            self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        if not self.journal.write_kept():
            log.error("%d results could not be written and are lost", self.journal.kept)
        self.journal.seal()
        gone = False
        with self._intake_lock:
            try:
                gone = self._intake.finish(self.journal.run)
            except (sqlite3.Error, OSError, LedgerError) as exc:
                log.warning("a journal waits for the next opening of its ledger: %s", exc)
            self._intake.close()
        self.journal.leave(remove=gone)

    def before_fork(self) -> None:
        """No database may be open across a fork.

        SQLite's own idea of the locks it holds would be copied, and the locks would not.
        """
        self._intake_lock.acquire()
        self._intake.close()

    def after_fork(self) -> None:
        """In the parent: go on. The tables are opened again when they are next needed."""
        self._intake_lock.release()

    def drop_in_child(self) -> None:
        """In the child: leave journal and lock to the parent."""
        self.journal.drop_in_child()

    def _call(self) -> None:
        if self._thread is None:
            with self._thread_lock:
                if self._thread is None and not self._stop.is_set():
                    thread = threading.Thread(
                        target=self._work, name="firsthop-ledger", daemon=True
                    )
                    thread.start()
                    self._thread = thread
        self._called = True
        self._wake.set()

    def _work(self) -> None:
        """The thread: wait for a line, let more gather, take them in."""
        while True:
            self._wake.wait()
            self._stop.wait(self._options.batch_s)
            self._wake.clear()
            self._called = False  # after the clearing: who sees it true wrote before it was false
            # Asked after the clearing: `close` sets stop before wake, so it is seen here or wakes.
            if self._stop.is_set():
                return
            try:
                with self._intake_lock:
                    if self._take_in():
                        continue
            except Exception as exc:
                log.warning("the ledger's tables are behind its journal: %s", exc)
            self._wake.set()
            if self._stop.wait(RETRY_S):
                return

    def _take_in(self) -> bool:
        """Returns: whether all that waited could be written, and so was taken in."""
        written = self.journal.write_kept()
        fresh = self.journal.take_fresh()
        if self._retires or not self._intake.take_fresh(fresh):
            # No further than that, so that what is written meanwhile is the next to be fresh.
            self._intake.take_living(self.journal.run, {fresh.path: fresh.end})
        if self.journal.size > self._options.rotate_bytes:
            self.journal.rotate()
            self._retires = True
        if self._retires:
            for old in files_of(self._intake.journals, self.journal.run)[:-1]:
                self._intake.retire(old)
            self._retires = False
        return written


def trouble(folder: Path, what: str, exc: Exception) -> LedgerError:
    """An error that names the ledger, what it could not do, and why."""
    return LedgerError(f"the ledger at {folder}: {what}: {exc}", folder=folder)
