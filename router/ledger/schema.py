"""The ledger's tables, and how an older file becomes a newer one.

`PRAGMA user_version` is the number of steps a file has been through. Each missing step runs in a
transaction of its own that also raises the number, so two processes that start together are safe,
and a step is either done or not. A file with more steps than this version knows is refused: a
newer version writes it, and an older one could book wrongly.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import LedgerError

BUSY_S = 5.0

Step = tuple[str, ...]

STEPS: tuple[Step, ...] = (
    (
        """
        CREATE TABLE requests (
            decision_id     TEXT PRIMARY KEY,  -- sorts by time
            run             TEXT NOT NULL,     -- the process that booked it
            started_at      REAL,              -- seconds since 1970-01-01 UTC
            status          TEXT NOT NULL,     -- running, interrupted, or as the outcome says
            policy          TEXT,
            policy_revision TEXT,
            label           TEXT,
            tags            TEXT NOT NULL,     -- JSON object
            answered_by     INTEGER,           -- hop; NULL: no hop's answer was returned
            flags           TEXT NOT NULL,     -- JSON list
            ttfb_s          REAL,
            total_s         REAL,
            cost_usd        TEXT,              -- exact; NULL: not known; '0': free
            cost_pico_usd   INTEGER,           -- the same in 1e-12 dollars, for SUM
            trace           TEXT NOT NULL      -- JSON list
        )
        """,
        "CREATE INDEX requests_by_time ON requests (started_at)",
        "CREATE INDEX requests_running ON requests (run) WHERE status = 'running'",
        """
        CREATE TABLE hops (
            decision_id   TEXT NOT NULL,
            hop           INTEGER NOT NULL,    -- 0 for the first
            target        TEXT NOT NULL,
            tier          TEXT,
            provider      TEXT,
            model         TEXT,                -- as asked for
            cause         TEXT,
            because       TEXT,
            status        TEXT NOT NULL,       -- running, interrupted, or as it was left
            left_because  TEXT,
            total_s       REAL,
            cost_usd      TEXT,
            cost_pico_usd INTEGER,
            signals       TEXT NOT NULL,       -- JSON object
            PRIMARY KEY (decision_id, hop)
        )
        """,
        "CREATE INDEX hops_running ON hops (decision_id) WHERE status = 'running'",
        """
        CREATE TABLE attempts (
            attempt_id          TEXT PRIMARY KEY,
            decision_id         TEXT NOT NULL,
            hop                 INTEGER NOT NULL,
            number              INTEGER NOT NULL,  -- 1 for the first of its hop
            status              TEXT NOT NULL,     -- running, finished or interrupted
            started_at          REAL,
            ttft_s              REAL,
            tpot_s              REAL,
            total_s             REAL,
            input_tokens        INTEGER,
            output_tokens       INTEGER,
            cached_input_tokens INTEGER,
            reasoning_tokens    INTEGER,
            cost_usd            TEXT,
            cost_pico_usd       INTEGER,
            price               TEXT,              -- id of the price line
            model_served        TEXT,
            request_id          TEXT,              -- the target's own
            finish              TEXT,
            error_kind          TEXT,              -- NULL: it ended well, or has not ended
            error_code          TEXT,
            http_status         INTEGER,
            error_message       TEXT               -- only where text is kept
        )
        """,
        "CREATE INDEX attempts_of_hop ON attempts (decision_id, hop, number)",
        "CREATE INDEX attempts_running ON attempts (decision_id) WHERE status = 'running'",
        """
        CREATE TABLE labels (
            label_id    TEXT PRIMARY KEY,
            decision_id TEXT NOT NULL,
            at          REAL,                      -- seconds since 1970-01-01 UTC
            good        INTEGER,                   -- 1, 0 or NULL
            score       REAL,                      -- 0 to 1
            note        TEXT,
            source      TEXT
        )
        """,
        "CREATE INDEX labels_of_request ON labels (decision_id)",
        """
        CREATE TABLE texts (                       -- empty unless text is kept
            decision_id TEXT PRIMARY KEY,
            messages    TEXT,                      -- JSON list
            answer      TEXT
        )
        """,
        """
        CREATE TABLE journals (                    -- how far each journal file has been taken in
            name   TEXT PRIMARY KEY,
            offset INTEGER NOT NULL,               -- bytes
            done   INTEGER NOT NULL DEFAULT 0      -- 1: all of it; the file may go
        )
        """,
        """
        CREATE TABLE torn (                        -- journal bytes that could not be read
            journal  TEXT NOT NULL,
            offset   INTEGER NOT NULL,             -- bytes
            bytes    INTEGER NOT NULL,
            found_at REAL NOT NULL,                -- seconds since 1970-01-01 UTC
            PRIMARY KEY (journal, offset)
        )
        """,
    ),
    (
        # JSON object: what was known of the request; empty for those booked before there was a
        # place for it, and for those that never ended.
        "ALTER TABLE requests ADD COLUMN signals TEXT NOT NULL DEFAULT '{}'",
    ),
    (
        # Seconds from arrival to the start of the hop that answered, if another came before it.
        "ALTER TABLE requests ADD COLUMN escalation_delay_s REAL",
    ),
    (
        # How an attempt got there, and what one that was cut probably cost: never part of a cost.
        "ALTER TABLE attempts ADD COLUMN queue_s REAL",
        "ALTER TABLE attempts ADD COLUMN connect_s REAL",
        "ALTER TABLE attempts ADD COLUMN reached INTEGER",  # 0: it certainly was not
        "ALTER TABLE attempts ADD COLUMN estimate_usd TEXT",
        "ALTER TABLE attempts ADD COLUMN estimate_pico_usd INTEGER",
        "ALTER TABLE attempts ADD COLUMN estimated_input_tokens INTEGER",
        "ALTER TABLE attempts ADD COLUMN estimated_output_tokens INTEGER",
    ),
    (
        # The part of the input that was written into a prompt cache, which may cost more.
        "ALTER TABLE attempts ADD COLUMN cache_write_tokens INTEGER",
    ),
    (
        # 1: a draft was kept under a certificate; 0: by a raw signal; NULL: no draft was kept, or
        # it was booked before this was.
        "ALTER TABLE requests ADD COLUMN certified INTEGER",
    ),
)


def version_of(db: sqlite3.Connection) -> int:
    """The number of steps this file has been through."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """A transaction that holds the file's one write lock from its start."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise


def check_version(db: sqlite3.Connection, folder: Path, steps: Sequence[Step] = STEPS) -> None:
    """Raises `LedgerError` when a newer version has been at this file."""
    version = version_of(db)
    if version > len(steps):
        raise LedgerError(
            f"the ledger in {folder} has schema {version}, and this version of firsthop knows "
            f"schemas up to {len(steps)}: upgrade firsthop, or name another ledger folder",
            folder=folder,
        )


def migrate(db: sqlite3.Connection, folder: Path, steps: Sequence[Step] = STEPS) -> None:
    """Bring the file to the newest schema.

    Raises: `LedgerError`, when the file is newer than `steps`.
    """
    while True:
        check_version(db, folder, steps)
        if version_of(db) == len(steps):
            return
        with writing(db):
            version = version_of(db)  # again: another process may have been quicker
            if version < len(steps):
                for statement in steps[version]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version + 1}")


def connect(
    folder: Path, *, steps: Sequence[Step] = STEPS, busy_s: float = BUSY_S
) -> sqlite3.Connection:
    """Open the ledger's database in `folder`, making and migrating it as needed.

    The connection is in autocommit; `writing` makes transactions. It may be handed from thread to
    thread, one at a time.

    Raises:
        LedgerError: not a database, no write-ahead log here, locked for longer than `busy_s`,
            or newer.
    """
    path = folder / "ledger.sqlite3"
    db: sqlite3.Connection | None = None
    try:
        # Made by us first: SQLite's own file would be readable by everybody the umask lets.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        _use_wal(db, folder, busy_s)
        db.execute("PRAGMA synchronous = NORMAL")
        migrate(db, folder, steps)
    except (sqlite3.Error, OSError) as exc:
        if db is not None:
            db.close()
        raise LedgerError(
            f"the ledger's database {path} can't be opened: {exc}; if it is damaged, move it away "
            "and start again (journals beside it are kept)",
            folder=folder,
        ) from exc
    except BaseException:
        if db is not None:
            db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection, folder: Path, busy_s: float) -> None:
    """Switch to the write-ahead log: once for a file, by whoever comes first."""
    give_up = time.monotonic() + busy_s
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as exc:
            # SQLite does not wait by itself while another process is switching.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise LedgerError(
            f"the file system of {folder} can't hold a ledger (no shared memory for SQLite's "
            "write-ahead log); name a folder on a local disk",
            folder=folder,
        )
