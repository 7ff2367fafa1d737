"""Journal lines become rows: one batch of lines, a few `executemany`.

Comes in: lines read back from a journal. Goes out: rows in the tables of `schema.py`.

An intent never changes a row that is there, a result sets its whole part of the row, and each
label has an id of its own. So it does not matter how lines are batched, and a batch may be applied
kind by kind; even a line taken in twice leaves the rows as they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from .lines import Begin, Close, End, HopLeft, Judged, Line, as_text

PICO = 12
_EXACT = Context(prec=60)
_MOST = 2**63 - 1

Row = tuple[Any, ...]

_OF_BEGUN_REQUEST = attrgetter("decision_id", "started_at", "policy", "policy_revision", "label")
_REQUEST_BEGUN = """
INSERT INTO requests
    (decision_id, started_at, policy, policy_revision, label, tags, run, status, flags, trace)
VALUES (?, ?, ?, ?, ?, ?, ?, 'running', '[]', '[]')
ON CONFLICT DO NOTHING
"""
_OF_BEGUN_HOP = attrgetter(
    "decision_id", "hop", "target", "tier", "provider", "model", "cause", "because"
)
_HOP_BEGUN = """
INSERT INTO hops
    (decision_id, hop, target, tier, provider, model, cause, because, status, signals)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', '{}')
ON CONFLICT DO NOTHING
"""
_OF_BEGUN_ATTEMPT = attrgetter("attempt_id", "decision_id", "hop", "number", "started_at")
_ATTEMPT_BEGUN = """
INSERT INTO attempts (attempt_id, decision_id, hop, number, started_at, status)
VALUES (?, ?, ?, ?, ?, 'running')
ON CONFLICT DO NOTHING
"""
_TEXT = """
INSERT INTO texts (decision_id, messages, answer) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET messages = excluded.messages, answer = excluded.answer
"""
_OF_LABEL = attrgetter("label_id", "decision_id", "at", "good", "score", "note", "source")
_LABEL = """
INSERT INTO labels (label_id, decision_id, at, good, score, note, source)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


def _upsert(table: str, key: str, columns: str, absent: str = "") -> str:
    """Insert a row, or set all its columns but those of the key; to NULL those that are absent."""
    names = columns.split()
    left_alone = key.split()
    values = ", ".join("?" * len(names))
    changes = ", ".join(
        f"{name} = excluded.{name}" for name in names + absent.split() if name not in left_alone
    )
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values}) "
        f"ON CONFLICT ({', '.join(key.split())}) DO UPDATE SET {changes}"
    )


_OF_REQUEST = attrgetter(
    *("decision_id", "started_at", "status", "policy", "policy_revision", "label", "answered_by"),
    *("ttfb_s", "escalation_delay_s", "total_s", "certified"),
)
_REQUEST_CLOSED = _upsert(
    "requests",
    "decision_id",
    "decision_id started_at status policy policy_revision label answered_by "
    "ttfb_s escalation_delay_s total_s certified "
    "run cost_usd cost_pico_usd tags flags trace signals",
)
_OF_HOP = attrgetter(
    *("index", "target", "tier", "provider", "model", "cause", "because", "status", "left"),
    "total_s",
)
_HOP_LEFT = _upsert(
    "hops",
    "decision_id hop",
    "hop target tier provider model cause because status left_because "
    "total_s "
    "decision_id cost_usd cost_pico_usd signals",
)
_OF_ATTEMPT = attrgetter(
    *("attempt_id", "number", "started_at", "ttft_s", "tpot_s", "total_s"),
    *("usage.input_tokens", "usage.output_tokens", "price", "model_served", "request_id"),
    *("finish", "queue_s", "connect_s"),
)
_ATTEMPT_COLUMNS = (
    "attempt_id number started_at ttft_s tpot_s total_s "
    "input_tokens output_tokens price model_served request_id "
    "finish queue_s connect_s "
    "decision_id hop status reached cost_usd cost_pico_usd"
)
# An attempt that went well has none of these, as a rule. Each NULL that need not be bound saves as
# much as a column that holds something costs.
_RARE_OF_ATTEMPT = attrgetter(
    *("usage.cached_input_tokens", "usage.reasoning_tokens", "usage.cache_write_tokens"),
    *("error_kind", "error_code", "http_status", "error_message"),
    *("estimate.input_tokens", "estimate.output_tokens"),
)
_RARE_COLUMNS = (
    "cached_input_tokens reasoning_tokens cache_write_tokens "
    "error_kind error_code http_status error_message "
    "estimated_input_tokens estimated_output_tokens "
    "estimate_usd estimate_pico_usd"
)
_NONE_OF_THEM = (None,) * len(_RARE_COLUMNS.split())
_ATTEMPT_ENDED = _upsert("attempts", "attempt_id", f"{_ATTEMPT_COLUMNS} {_RARE_COLUMNS}")
_ATTEMPT_ENDED_PLAINLY = _upsert("attempts", "attempt_id", _ATTEMPT_COLUMNS, _RARE_COLUMNS)


def money(usd: Decimal | None) -> tuple[str | None, int | None]:
    """Dollars as the two columns that hold them: exact digits, and whole picodollars for SUM.

    Every cost our price lines can give has at most 12 decimals, so the two agree; of a finer one
    the second is rounded. The second is None beyond 9.2 million dollars, where it would overflow.
    """
    return (None, None) if usd is None or not usd.is_finite() else _money(usd)


@lru_cache(maxsize=1024)  # a request's cost is its hop's and its attempt's, as a rule
def _money(usd: Decimal) -> tuple[str, int | None]:
    text = format(usd, "f") if usd else "0"  # a negative zero is equal to the other one
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    pico = int(usd.scaleb(PICO, _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))
    return text, pico if abs(pico) <= _MOST else None


def dollars(pico: int) -> Decimal:
    """Picodollars, such as a SUM gives, as dollars."""
    return Decimal(pico).scaleb(-PICO, _EXACT)


def apply(db: sqlite3.Connection, run: str, lines: Iterable[Line]) -> None:
    """Put lines into the tables. The caller holds the transaction."""
    begun: list[Begin] = []
    ended: list[End] = []
    closed: list[Close] = []
    labels: list[Judged] = []
    for line in lines:
        if isinstance(line, Begin):
            begun.append(line)
        elif isinstance(line, End):
            ended.append(line)
        elif isinstance(line, Close):
            closed.append(line)
        else:
            labels.append(line)
    # An intent whose result is in the same batch has nothing to add.
    over = {line.decision_id for line in closed}
    left = {(line.decision_id, hop.index) for line in closed for hop in line.hops}
    back = {line.attempt.attempt_id for line in ended}
    db.executemany(
        _REQUEST_BEGUN, (_request_begun(run, b) for b in begun if b.decision_id not in over)
    )
    db.executemany(
        _HOP_BEGUN, (_OF_BEGUN_HOP(b) for b in begun if (b.decision_id, b.hop) not in left)
    )
    db.executemany(
        _ATTEMPT_BEGUN, (_OF_BEGUN_ATTEMPT(b) for b in begun if b.attempt_id not in back)
    )
    attempts = [_attempt_ended(line) for line in ended]
    db.executemany(_ATTEMPT_ENDED_PLAINLY, (row for row, rare in attempts if rare == _NONE_OF_THEM))
    db.executemany(_ATTEMPT_ENDED, (row + rare for row, rare in attempts if rare != _NONE_OF_THEM))
    db.executemany(_REQUEST_CLOSED, (_request_closed(run, line) for line in closed))
    db.executemany(_HOP_LEFT, (_hop_left(c.decision_id, hop) for c in closed for hop in c.hops))
    db.executemany(
        _TEXT,
        (
            (c.decision_id, as_text(c.messages), c.answer)
            for c in closed
            if c.answer is not None or bytes(c.messages) != b"null"
        ),
    )
    db.executemany(_LABEL, map(_OF_LABEL, labels))


def interrupt(db: sqlite3.Connection, run: str) -> int:
    """Mark everything of a dead run that never ended. The caller holds the transaction.

    Returns: how many attempts were cut off. Their cost stays unknown.
    """
    attempts = db.execute(
        "UPDATE attempts SET status = 'interrupted' WHERE status = 'running' AND decision_id IN "
        "(SELECT decision_id FROM requests WHERE run = ?)",
        (run,),
    ).rowcount
    db.execute(
        "UPDATE hops SET status = 'interrupted' WHERE status = 'running' AND decision_id IN "
        "(SELECT decision_id FROM requests WHERE run = ?)",
        (run,),
    )
    db.execute(
        "UPDATE requests SET status = 'interrupted' WHERE status = 'running' AND run = ?", (run,)
    )
    return attempts


def _request_begun(run: str, line: Begin) -> Row:
    return (*_OF_BEGUN_REQUEST(line), as_text(line.tags), run)


def _attempt_ended(line: End) -> tuple[Row, Row]:
    """What every attempt has, and what few have."""
    attempt = line.attempt
    told = attempt.reached
    row = (
        *_OF_ATTEMPT(attempt),
        line.decision_id,
        line.hop,
        "finished",
        None if told is None else int(told),
        *money(attempt.cost_usd),
    )
    return row, (*_RARE_OF_ATTEMPT(attempt), *money(attempt.estimate_usd))


def _request_closed(run: str, line: Close) -> Row:
    return (
        *_OF_REQUEST(line),
        run,
        *money(line.cost_usd),
        as_text(line.tags),
        as_text(line.flags),
        as_text(line.trace),
        as_text(line.signals),
    )


def _hop_left(decision_id: str, hop: HopLeft) -> Row:
    return (*_OF_HOP(hop), decision_id, *money(hop.cost_usd), as_text(hop.signals))
