"""The ledger as the drive sees it: lines go out at once, tables follow on a thread of their own.

Comes in: `Began`, `Attempt`, `Closed`, and feedback. Goes out: journal lines before each call
returns; rows within moments, or when somebody reads. Any number of processes may share a folder.

When the disk won't take a line: an attempt that can't be booked is not sent (`begin` raises); a
result is kept in memory, said so in the log, and written before the next line. When the tables
can't be written, the journal goes on and the thread tries again every second.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import sys
import threading
import weakref
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from ..clock import Clock, SystemClock
from ..errors import ConfigError, LedgerError
from ..hops import Attempt
from .entry import Began, Closed
from .intake import Intake
from .journal import Journal, Sync, files_of
from .lines import begin_line, close_line, end_line, label_line

log = logging.getLogger(__name__)

BATCH_S = 0.05
ROTATE_BYTES = 8 * 1024 * 1024
RETRY_S = 1.0


@dataclass(slots=True)
class _Run:
    """What one process's use of the ledger holds open."""

    journal: Journal
    intake: Intake
    intake_lock: threading.Lock
    wake: threading.Event
    stop: threading.Event
    thread: threading.Thread | None = None


class Ledger:
    """Books what happens. Every method may be called from any thread.

    `begin`, `end` and `close_request` cost one `write` each and wait for no database.

    Attributes:
        folder: Where the journal and the tables lie.
        keep_text: Whether messages, answers and error messages are kept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_text: bool,
        sync: Sync,
        clock: Clock,
        batch_s: float,
        rotate_bytes: int,
    ) -> None:
        self.folder = folder
        self.keep_text = keep_text
        self._sync: Sync = sync
        self._clock = clock
        self._batch_s = batch_s
        self._rotate_bytes = rotate_bytes
        self._closed = False
        self._lock = threading.Lock()
        self._run: _Run | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        keep_text: bool = False,
        sync: Sync = "normal",
        clock: Clock | None = None,
        batch_s: float = BATCH_S,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> Ledger:
        """Open the ledger in `folder`, make it if need be, and finish what dead processes left.

        Args:
            sync: ``"full"`` waits for the disk at each line, so that a power cut loses none.
            batch_s: Seconds that lines may gather before the thread takes them into tables.
            rotate_bytes: Size from which the journal goes on in a new file.

        Raises: LedgerError, when the folder can't hold a ledger or a newer version wrote it.
        """
        ledger = cls(
            folder,
            keep_text=keep_text,
            sync=sync,
            clock=clock or SystemClock(),
            batch_s=batch_s,
            rotate_bytes=rotate_bytes,
        )
        ledger._start_run()
        _watch_forks()
        _LIVING.add(ledger)
        return ledger

    def begin(self, began: Began) -> None:
        """Book that an attempt is about to be sent.

        Raises: LedgerError, when it can't be booked. It must then not be sent.
        """
        self._append(begin_line(began), "the attempt is not sent, because it could not be booked")

    def end(self, decision_id: str, hop: int, attempt: Attempt) -> None:
        """Book how an attempt ended. A disk that is full delays the line, and loses no answer."""
        self._append_or_keep(end_line(decision_id, hop, attempt, keep_text=self.keep_text))

    def close_request(self, request: Closed) -> None:
        """Book how a request ended. A disk that is full delays the line, and loses no answer."""
        self._append_or_keep(close_line(request, keep_text=self.keep_text))

    def feedback(
        self,
        decision_id: str,
        *,
        good: bool | None = None,
        score: float | None = None,
        note: str | None = None,
        source: str = "caller",
    ) -> None:
        """Add a label to a request, beside those it has.

        Looks into the tables, so it costs more than the other methods: well under a millisecond
        as a rule, more while a batch is being taken in.

        Args:
            score: 0 (worthless) to 1 (perfect).
            note: In the caller's words; kept as they are, whatever `keep_text` says.
            source: Who judged.

        Raises:
            ConfigError: nothing was said, or the score is out of its range.
            LedgerError: no such request, or the label could not be written.
        """
        if good is None and score is None and note is None:
            raise ConfigError("feedback needs good, score or note", field="feedback")
        if score is not None and not 0 <= score <= 1:
            raise ConfigError(f"score is {score}, and has to be from 0 to 1", field="score")
        if not self._knows(decision_id):
            raise LedgerError(
                f"no request {decision_id!r} in the ledger at {self.folder}; "
                "`firsthop ledger` lists them",
                folder=self.folder,
            )
        line = label_line(
            decision_id,
            label_id=secrets.token_hex(8),
            at=self._clock.wall(),
            good=good,
            score=score,
            note=note,
            source=source,
        )
        self._append(line, "the label was not written")

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Take everything booked so far into the tables, now.

        Args:
            timeout_s: Seconds to wait for the thread; the database's own wait comes on top.

        Returns: whether all is in the tables.
        Raises: LedgerError, when the tables can't be written.
        """
        run = self._current()
        if not run.intake_lock.acquire(timeout=timeout_s):
            return False
        try:
            self._take_in(run)
        except (sqlite3.Error, OSError) as exc:
            raise self._trouble("the tables can't be written", exc) from exc
        finally:
            run.intake_lock.release()
        return run.journal.kept == 0

    @property
    def unwritten(self) -> int:
        """Result lines that wait in memory for the disk to take them."""
        return self._run.journal.kept if self._run else 0

    @property
    def failures(self) -> int:
        """How often this process could not write a line."""
        return self._run.journal.failures if self._run else 0

    def close(self) -> None:
        """Take everything into the tables and let go. Idempotent; never raises for want of disk.

        Attempts that have not ended are marked interrupted. What can't be taken in now stays in
        the journal, for whoever opens the ledger next.
        """
        with self._lock:
            run = None if self._closed else self._run
            self._closed = True
        if run is None:
            return
        run.stop.set()
        run.wake.set()
        if run.thread is not None:
            run.thread.join()
        if not run.journal.write_kept():
            log.error("%d results could not be written and are lost", run.journal.kept)
        run.journal.seal()
        gone = False
        with run.intake_lock:
            try:
                gone = run.intake.finish(run.journal.run)
            except (sqlite3.Error, OSError, LedgerError) as exc:
                log.warning("the journal in %s waits for the next opening: %s", self.folder, exc)
            run.intake.close()
        run.journal.leave(remove=gone)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start_run(self) -> _Run:
        with self._lock:
            if self._run is not None:
                return self._run
            if self._closed:
                raise LedgerError(f"the ledger at {self.folder} is closed", folder=self.folder)
            intake = Intake.open(self.folder, clock=self._clock)
            try:
                intake.catch_up()
                journal = Journal.create(intake.journals, sync=self._sync)
            except BaseException as exc:
                intake.close()
                if isinstance(exc, OSError | sqlite3.Error):
                    raise self._trouble("it can't be opened", exc) from exc
                raise
            self._run = _Run(
                journal, intake, threading.Lock(), threading.Event(), threading.Event()
            )
            return self._run

    def _current(self) -> _Run:
        return self._run or self._start_run()

    def _trouble(self, what: str, exc: Exception) -> LedgerError:
        return LedgerError(f"the ledger at {self.folder}: {what}: {exc}", folder=self.folder)

    def _append(self, line: bytes, otherwise: str) -> None:
        run = self._current()
        try:
            run.journal.append(line)
        except OSError as exc:
            raise self._trouble(otherwise, exc) from exc
        self._nudge(run)

    def _append_or_keep(self, line: bytes) -> None:
        try:
            run = self._current()
        except LedgerError as exc:
            log.error("a result could not be booked and is lost: %s", exc)
            return
        trouble = run.journal.append_or_keep(line)
        if trouble is not None and self._closed:
            log.error("a result came after the ledger was closed and is lost: %s", trouble)
        elif trouble is not None:
            log.warning("a result waits in memory, the journal can't be written: %s", trouble)
        self._nudge(run)

    def _nudge(self, run: _Run) -> None:
        if not run.wake.is_set():
            run.wake.set()
        if run.thread is None:
            with self._lock:
                if run.thread is None and not run.stop.is_set():
                    run.thread = threading.Thread(
                        target=self._work, args=(run,), name="firsthop-ledger", daemon=True
                    )
                    run.thread.start()

    def _work(self, run: _Run) -> None:
        """The thread: wait for a line, let more gather, take them in."""
        while True:
            run.wake.wait()
            if run.stop.wait(self._batch_s):
                return
            run.wake.clear()
            try:
                with run.intake_lock:
                    self._take_in(run)
            except Exception as exc:
                log.warning("the ledger's tables are behind its journal: %s", exc)
            else:
                if not run.journal.kept:
                    continue
            run.wake.set()
            if run.stop.wait(RETRY_S):
                return

    def _take_in(self, run: _Run) -> None:
        run.journal.write_kept()
        run.intake.take_living(run.journal.run)
        if run.journal.size > self._rotate_bytes:
            run.journal.rotate()
        for old in files_of(run.journal.folder, run.journal.run)[:-1]:
            run.intake.retire(old)

    def _knows(self, decision_id: str) -> bool:
        run = self._current()
        query = "SELECT 1 FROM requests WHERE decision_id = ?"
        try:
            with run.intake_lock:
                if run.intake.db.execute(query, (decision_id,)).fetchone():
                    return True
                run.intake.catch_up()
                return run.intake.db.execute(query, (decision_id,)).fetchone() is not None
        except sqlite3.Error as exc:
            raise self._trouble("the tables can't be read", exc) from exc

    def _before_fork(self) -> None:
        """No database may be open across a fork: SQLite's own idea of its locks would be copied,
        and the locks would not."""
        self._lock.acquire()
        if self._run is not None:
            self._run.intake_lock.acquire()
            self._run.intake.close()

    def _after_fork(self) -> None:
        """In the parent: go on. The tables are opened again when they are next needed."""
        if self._run is not None:
            self._run.intake_lock.release()
        self._lock.release()

    def _in_child(self) -> None:
        """In the child: the run stays the parent's; the child starts its own when it books."""
        if self._run is not None:
            self._run.journal.drop_in_child()
        self._run = None
        self._lock = threading.Lock()


_LIVING: weakref.WeakSet[Ledger] = weakref.WeakSet()
_FORKING: list[Ledger] = []


@cache
def _watch_forks() -> None:
    """Once: servers fork workers from a process that has composed its app already."""
    if sys.platform != "win32":
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child
        )


def _before_fork() -> None:
    _FORKING[:] = list(_LIVING)
    for ledger in _FORKING:
        ledger._before_fork()


def _after_fork() -> None:
    while _FORKING:
        _FORKING.pop()._after_fork()


def _in_child() -> None:
    while _FORKING:
        _FORKING.pop()._in_child()
