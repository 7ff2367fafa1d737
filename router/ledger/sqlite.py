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
from typing import Any

from .lines import Begin, Close, End, HopLeft, Judged, Line, as_text

PICO = 12
_EXACT = Context(prec=60)
_MOST = 2**63 - 1

Row = tuple[Any, ...]

_REQUEST_BEGUN = """
INSERT INTO requests
    (decision_id, run, started_at, policy, policy_revision, label, tags, status, flags, trace)
VALUES (?, ?, ?, ?, ?, ?, ?, 'running', '[]', '[]')
ON CONFLICT DO NOTHING
"""
_HOP_BEGUN = """
INSERT INTO hops
    (decision_id, hop, target, tier, provider, model, cause, because, status, signals)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', '{}')
ON CONFLICT DO NOTHING
"""
_ATTEMPT_BEGUN = """
INSERT INTO attempts (attempt_id, decision_id, hop, number, started_at, status)
VALUES (?, ?, ?, ?, ?, 'running')
ON CONFLICT DO NOTHING
"""
_TEXT = """
INSERT INTO texts (decision_id, messages, answer) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET messages = excluded.messages, answer = excluded.answer
"""
_LABEL = """
INSERT INTO labels (label_id, decision_id, at, good, score, note, source)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


def _upsert(table: str, key: str, columns: str) -> str:
    """Insert a row, or set all its columns but those of the key."""
    names = columns.split()
    left_alone = key.split()
    values = ", ".join("?" * len(names))
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in left_alone)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values}) "
        f"ON CONFLICT ({', '.join(key.split())}) DO UPDATE SET {changes}"
    )


_REQUEST_CLOSED = _upsert(
    "requests",
    "decision_id",
    "decision_id run started_at status policy policy_revision label tags answered_by flags ttfb_s "
    "escalation_delay_s total_s cost_usd cost_pico_usd trace signals",
)
_HOP_LEFT = _upsert(
    "hops",
    "decision_id hop",
    "decision_id hop target tier provider model cause because status left_because total_s "
    "cost_usd cost_pico_usd signals",
)
_ATTEMPT_ENDED = _upsert(
    "attempts",
    "attempt_id",
    "attempt_id decision_id hop number status started_at ttft_s tpot_s total_s input_tokens "
    "output_tokens cached_input_tokens reasoning_tokens cost_usd cost_pico_usd price model_served "
    "request_id finish error_kind error_code http_status error_message queue_s connect_s reached "
    "estimate_usd estimate_pico_usd estimated_input_tokens estimated_output_tokens "
    "cache_write_tokens",
)


def money(usd: Decimal | None) -> tuple[str | None, int | None]:
    """Dollars as the two columns that hold them: exact digits, and whole picodollars for SUM.

    Every cost our price lines can give has at most 12 decimals, so the two agree; of a finer one
    the second is rounded. The second is None beyond 9.2 million dollars, where it would overflow.
    """
    if usd is None or not usd.is_finite():
        return None, None
    text = format(usd, "f")
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
        _REQUEST_BEGUN, [_request_begun(run, b) for b in begun if b.decision_id not in over]
    )
    db.executemany(_HOP_BEGUN, [_hop_begun(b) for b in begun if (b.decision_id, b.hop) not in left])
    db.executemany(
        _ATTEMPT_BEGUN,
        [
            (b.attempt_id, b.decision_id, b.hop, b.number, b.started_at)
            for b in begun
            if b.attempt_id not in back
        ],
    )
    db.executemany(_ATTEMPT_ENDED, [_attempt_ended(line) for line in ended])
    db.executemany(_REQUEST_CLOSED, [_request_closed(run, line) for line in closed])
    db.executemany(_HOP_LEFT, [_hop_left(c.decision_id, hop) for c in closed for hop in c.hops])
    db.executemany(
        _TEXT,
        [
            (c.decision_id, as_text(c.messages), c.answer)
            for c in closed
            if c.answer is not None or bytes(c.messages) != b"null"
        ],
    )
    db.executemany(
        _LABEL,
        [(j.label_id, j.decision_id, j.at, j.good, j.score, j.note, j.source) for j in labels],
    )


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
    return (
        line.decision_id,
        run,
        line.started_at,
        line.policy,
        line.policy_revision,
        line.label,
        as_text(line.tags),
    )


def _hop_begun(line: Begin) -> Row:
    return (
        line.decision_id,
        line.hop,
        line.target,
        line.tier,
        line.provider,
        line.model,
        line.cause,
        line.because,
    )


def _attempt_ended(line: End) -> Row:
    attempt = line.attempt
    return (
        attempt.attempt_id,
        line.decision_id,
        line.hop,
        attempt.number,
        "finished",
        attempt.started_at,
        attempt.ttft_s,
        attempt.tpot_s,
        attempt.total_s,
        attempt.usage.input_tokens,
        attempt.usage.output_tokens,
        attempt.usage.cached_input_tokens,
        attempt.usage.reasoning_tokens,
        *money(attempt.cost_usd),
        attempt.price,
        attempt.model_served,
        attempt.request_id,
        attempt.finish,
        attempt.error_kind,
        attempt.error_code,
        attempt.http_status,
        attempt.error_message,
        attempt.queue_s,
        attempt.connect_s,
        attempt.reached,
        *money(attempt.estimate_usd),
        attempt.estimate.input_tokens,
        attempt.estimate.output_tokens,
        attempt.usage.cache_write_tokens,
    )


def _request_closed(run: str, line: Close) -> Row:
    return (
        line.decision_id,
        run,
        line.started_at,
        line.status,
        line.policy,
        line.policy_revision,
        line.label,
        as_text(line.tags),
        line.answered_by,
        as_text(line.flags),
        line.ttfb_s,
        line.escalation_delay_s,
        line.total_s,
        *money(line.cost_usd),
        as_text(line.trace),
        as_text(line.signals),
    )


def _hop_left(decision_id: str, hop: HopLeft) -> Row:
    return (
        decision_id,
        hop.index,
        hop.target,
        hop.tier,
        hop.provider,
        hop.model,
        hop.cause,
        hop.because,
        hop.status,
        hop.left,
        hop.total_s,
        *money(hop.cost_usd),
        as_text(hop.signals),
    )
