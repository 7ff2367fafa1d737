"""The ledger read back, request by request, for another policy to be judged on.

Comes in: a ledger's folder. Goes out: `Recorded` values in the order the requests came.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from ..recorded import Recorded, RecordedHop, signal_value
from ..signals.catalogue import Value
from .report import Report

_REQUESTS = """
SELECT decision_id, started_at, policy, policy_revision, status, signals, answered_by, cost_usd,
    label
FROM requests
WHERE status NOT IN ('running', 'interrupted') AND COALESCE(started_at, 0) >= ?
ORDER BY started_at, decision_id
"""
_HOPS = """
SELECT h.target, h.tier, h.status, h.cause, h.signals, h.cost_usd, h.total_s,
    a.error_kind, a.finish, a.output_tokens
FROM hops h LEFT JOIN attempts a ON a.attempt_id = (
    SELECT attempt_id FROM attempts
    WHERE decision_id = h.decision_id AND hop = h.hop
    ORDER BY number DESC LIMIT 1
)
WHERE h.decision_id = ? ORDER BY h.hop
"""


def recorded(folder: Path, since: float | None = None) -> Iterator[Recorded]:
    """Every request that is over and started at or after `since`, oldest first.

    One is held in memory at a time, and all are of one moment's state.

    Args:
        since: Seconds since 1970-01-01 UTC. None: from the beginning.

    Raises:
        LedgerError: there is no ledger in `folder`, or it can't be read. An asking is no reason
            to make one.
    """
    if not (folder / "ledger.sqlite3").is_file() and not (folder / "journal").is_dir():
        raise LedgerError(f"there is no ledger in {folder}", folder=folder)
    with Report.open(folder) as report, report.reading() as db:
        requests = db.execute(_REQUESTS, (0.0 if since is None else since,))
        with closing(requests):
            for row in requests:
                yield _request(db, row)


def _request(db: sqlite3.Connection, row: tuple[Any, ...]) -> Recorded:
    key, started_at, policy, revision, status, signals, answered_by, cost, label = row
    known = {} if label is None else {"request.label": label}
    return Recorded(
        decision_id=key,
        started_at=started_at,
        policy=policy,
        revision=revision,
        status=status,
        signals={**known, **signals_of(signals)},
        hops=tuple(_hop(hop) for hop in db.execute(_HOPS, (key,))),
        answered_by=answered_by,
        cost_usd=_dollars(cost),
    )


def _hop(row: tuple[Any, ...]) -> RecordedHop:
    target, tier, status, cause, signals, cost, seconds, *last = row
    error_kind, finish, output_tokens = last
    return RecordedHop(
        target=target,
        tier=tier,
        status=status,
        cause=cause,
        signals=signals_of(signals),
        cost_usd=_dollars(cost),
        seconds=seconds,
        error_kind=error_kind,
        finish=finish,
        output_tokens=output_tokens,
    )


def signals_of(text: str) -> Mapping[str, Value]:
    """Signals back from the JSON text they are kept as."""
    return {name: signal_value(value) for name, value in json.loads(text).items()}


def _dollars(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
