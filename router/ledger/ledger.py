"""The ledger as the drive sees it: lines go out at once, tables follow on a thread of their own.

Comes in: `Began`, `Attempt`, `Closed`, and feedback. Goes out: journal lines before each call
returns (a result that more follows: with that); rows within a second, or as soon as somebody reads
the ledger through this package. Any number of processes may share a folder.

When the disk won't take a line: an attempt that can't be booked is not sent (`begin` raises); a
result is kept in memory, said so in the log, and written before the next line. When the tables
can't be written, the journal goes on and the thread tries again every second.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from ..clock import Clock, SystemClock
from ..errors import ConfigError, LedgerError
from ..hops import Attempt
from .entry import Began, Closed
from .journal import Sync
from .lines import Judged, Line, begun, ended, over
from .schema import BUSY_S
from .writer import Options, Writer, trouble

log = logging.getLogger(__name__)

BATCH_S = 0.5
ROTATE_BYTES = 8 * 1024 * 1024


class Ledger:
    """Books what happens. Every method may be called from any thread.

    `begin`, `end` and `close_request` cost one `write` each, or two of them one, and wait for no
    database.

    Attributes:
        folder: Where the journal and the tables lie.
        keep_text: Whether messages, answers and error messages are kept.
    """

    def __init__(self, folder: Path, *, keep_text: bool, options: Options) -> None:
        self.folder = folder
        self.keep_text = keep_text
        self._options = options
        self._closed = False
        self._lock = threading.Lock()
        self._writer: Writer | None = None

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
        busy_s: float = BUSY_S,
    ) -> Ledger:
        """Open the ledger in `folder`, make it if need be, and finish what dead processes left.

        Args:
            sync: ``"full"`` waits for the disk at each line, so that a power cut loses none.
            batch_s: Seconds that lines may gather before the thread takes them into tables.
            rotate_bytes: Size from which the journal goes on in a new file.
            busy_s: Seconds to wait while another process writes to the tables.

        Raises: LedgerError, when the folder can't hold a ledger or a newer version wrote it.
        """
        options = Options(
            sync=sync,
            clock=clock or SystemClock(),
            batch_s=batch_s,
            rotate_bytes=rotate_bytes,
            busy_s=busy_s,
        )
        ledger = cls(folder, keep_text=keep_text, options=options)
        ledger._start()
        _watch_forks()
        _LIVING.add(ledger)
        return ledger

    def begin(self, began: Began) -> None:
        """Book that an attempt is about to be sent.

        Raises: LedgerError, when it can't be booked. It must then not be sent.
        """
        self._append(begun(began), "the attempt is not sent, because it could not be booked")

    def end(
        self, decision_id: str, hop: int, attempt: Attempt, *, more_follows: bool = False
    ) -> None:
        """Book how an attempt ended. A disk that is full delays the line, and loses no answer.

        Args:
            more_follows: The caller books another line before it waits for anything, such as the
                request's end: the two then share one `write`. Until then this one is in memory
                alone, and a kill loses it. Whatever line is booked next takes it along, whoever
                books it; should none come, the thread writes it within `batch_s`.
        """
        line = ended(decision_id, hop, attempt, keep_text=self.keep_text)
        self._append_or_keep(line, more_follows)

    def close_request(self, request: Closed) -> None:
        """Book how a request ended. A disk that is full delays the line, and loses no answer."""
        self._append_or_keep(over(request, keep_text=self.keep_text))

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
        if self._closed:  # to look would open the tables again, and nobody would close them
            raise LedgerError(f"the ledger at {self.folder} is closed", folder=self.folder)
        if not self._start().knows(decision_id):
            raise LedgerError(
                f"no request {decision_id!r} in the ledger at {self.folder}; "
                "`firsthop ledger` lists them",
                folder=self.folder,
            )
        line = Judged(
            label_id=os.urandom(8).hex(),
            decision_id=decision_id,
            at=self._options.clock.wall(),
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
        return self._start().flush(timeout_s)

    @property
    def unwritten(self) -> int:
        """Result lines that wait in memory, for the next line or for the disk to take them."""
        return self._writer.journal.kept if self._writer else 0

    @property
    def failures(self) -> int:
        """How often this process could not write a line."""
        return self._writer.journal.failures if self._writer else 0

    def close(self) -> None:
        """Take everything into the tables and let go. Idempotent; never raises for want of disk.

        Attempts that have not ended are marked interrupted. What can't be taken in now stays in
        the journal, for whoever opens the ledger next.
        """
        with self._lock:
            writer = None if self._closed else self._writer
            self._closed = True
        if writer is not None:
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> Writer:
        with self._lock:
            if self._writer is None:
                if self._closed:
                    raise LedgerError(f"the ledger at {self.folder} is closed", folder=self.folder)
                self._writer = Writer.start(self.folder, self._options)
            return self._writer

    def _append(self, line: Line, otherwise: str) -> None:
        try:
            (self._writer or self._start()).append(line)
        except OSError as exc:
            raise trouble(self.folder, otherwise, exc) from exc

    def _append_or_keep(self, line: Line, more_follows: bool = False) -> None:
        try:
            writer = self._writer or self._start()
            reason = writer.append_or_keep(line, more_follows=more_follows)
        except LedgerError as exc:
            log.error("a result could not be booked and is lost: %s", exc)
            return
        if reason is not None and self._closed:
            log.error("a result came after the ledger was closed and is lost: %s", reason)
        elif reason is not None:
            log.warning("a result waits in memory, the journal can't be written: %s", reason)

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self._writer is not None:
            self._writer.before_fork()

    def _after_fork(self) -> None:
        if self._writer is not None:
            self._writer.after_fork()
        self._lock.release()

    def _in_child(self) -> None:
        """The run stays the parent's; the child starts its own when it books."""
        if self._writer is not None:
            self._writer.drop_in_child()
        self._writer = None
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
