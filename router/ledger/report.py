"""What the ledger says to people: the last requests, one of them in full, totals by target.

Comes in: a ledger's folder. Goes out: frozen values; drawing them is the door's job. Every question
first takes in what any process has journaled until now, so an answer never lags behind.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..clock import Clock
from ..errors import LedgerError
from ..types import Message
from .intake import Intake
from .lines import messages_of
from .schema import BUSY_S
from .totals import Totals, totals

log = logging.getLogger(__name__)

SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One call on the wire.

    Attributes:
        status: ``"running"``, ``"finished"`` (well or not, see `error_kind`), or
            ``"interrupted"``: its process died.
        cost_usd: None: not known.
        error_message: Only where text is kept.
        reached: None: booked before this was.
        estimate_usd: What it probably cost where `cost_usd` is not known, and `estimated_...` the
            tokens that was made of. None: there is no estimate.

    The rest as in `hops.Attempt` and `types.Usage`; None wherever it is not known.
    """

    attempt_id: str
    number: int
    status: str
    started_at: float | None
    ttft_s: float | None
    tpot_s: float | None
    total_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal | None
    price: str | None
    model_served: str | None
    request_id: str | None
    finish: str | None
    error_kind: str | None
    error_code: str | None
    http_status: int | None
    error_message: str | None
    queue_s: float | None
    connect_s: float | None
    reached: bool | None
    estimate_usd: Decimal | None
    estimated_input_tokens: int | None
    estimated_output_tokens: int | None
    cache_write_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HopRow:
    """One target tried.

    Attributes:
        status: ``"running"``, ``"interrupted"``, or as `hops.HopStatus` says.
        left_because: Why it was left, in words. None: it was not left, or not by us.
        signals: What was measured of the draft.
    """

    hop: int
    target: str
    tier: str | None
    provider: str | None
    model: str | None
    cause: str | None
    because: str | None
    status: str
    left_because: str | None
    total_s: float | None
    cost_usd: Decimal | None
    signals: Mapping[str, Any]
    attempts: tuple[AttemptRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One request, as a line of a list.

    Attributes:
        started_at: Seconds since 1970-01-01 UTC; of a request that did not end, its first attempt.
        status: ``"running"``, ``"interrupted"``, or as `hops.Status` says.
        answered_by: Index of the hop whose answer was returned. None: none was.
        path: The targets tried, in order.
        escalation_delay_s: Seconds before the hop that answered began. None: the first answered.
        certified: As of an `Outcome`; None too where it was booked before there was such a mark.
    """

    decision_id: str
    started_at: float | None
    status: str
    policy: str | None
    policy_revision: str | None
    label: str | None
    tags: Mapping[str, str]
    answered_by: int | None
    path: tuple[str, ...]
    flags: tuple[str, ...]
    ttfb_s: float | None
    escalation_delay_s: float | None
    total_s: float | None
    cost_usd: Decimal | None
    certified: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """Somebody's word on a request, as `Ledger.feedback` took it."""

    at: float | None
    good: bool | None
    score: float | None
    note: str | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetail:
    """One request with all that is known of it.

    Attributes:
        trace: What the policy said, as `hops.Trace.as_json` gave it.
        signals: What was known of the request, by signal name; null: looked for and unknown. Empty
            for a request that never ended, or was booked before signals were kept.
        messages: None where text is not kept.
        answer: None where text is not kept, or there was none.
    """

    request: RequestRow
    hops: tuple[HopRow, ...]
    trace: tuple[Mapping[str, Any], ...]
    signals: Mapping[str, Any]
    labels: tuple[LabelRow, ...]
    messages: tuple[Message, ...] | None
    answer: str | None


_REQUESTS = """
SELECT r.*, (
    SELECT json_group_array(target) FROM
        (SELECT target FROM hops h WHERE h.decision_id = r.decision_id
            AND COALESCE(h.cause, '') <> 'opinion' ORDER BY hop)
) AS path
FROM requests r
"""
_LABELS = """
SELECT at, good, score, note, source FROM labels WHERE decision_id = ? ORDER BY at, rowid
"""


class Report:
    """Questions to the ledger in one folder. For one thread at a time; close it.

    What it reads is one moment's state: a question sees no half request.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    @classmethod
    def open(cls, folder: Path, *, clock: Clock | None = None, busy_s: float = BUSY_S) -> Report:
        """Open the ledger in `folder`; an empty one is made where there is none.

        Args:
            busy_s: Seconds to wait while another process writes, before older rows are shown.

        Raises: LedgerError, when the folder can't hold a ledger or a newer version wrote it.
        """
        return cls(Intake.open(folder, clock=clock, busy_s=busy_s))

    def close(self) -> None:
        """Let go of the database."""
        self._intake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def recent(self, limit: int = 20) -> tuple[RequestRow, ...]:
        """The last requests, newest first."""
        query = f"{_REQUESTS} ORDER BY r.started_at DESC, r.decision_id DESC LIMIT ?"
        with self.reading():
            return tuple(_request(row) for row in self._rows(query, (limit,)))

    def request(self, decision_id: str) -> RequestDetail:
        """One request in full.

        Args:
            decision_id: The whole id, or its first characters, at least four, when they fit one
                request only.

        Raises: LedgerError, when none or more than one fits.
        """
        with self.reading():
            row = self._one(decision_id)
            key = (row["decision_id"],)
            attempts: dict[int, list[AttemptRow]] = {}
            query = "SELECT * FROM attempts WHERE decision_id = ? ORDER BY hop, number, started_at"
            for attempt in self._rows(query, key):
                attempts.setdefault(attempt["hop"], []).append(_attempt(attempt))
            hops = self._rows("SELECT * FROM hops WHERE decision_id = ? ORDER BY hop", key)
            labels = self._rows(_LABELS, key)
            texts = list(self._rows("SELECT * FROM texts WHERE decision_id = ?", key))
            messages = texts[0]["messages"] if texts else "null"
            return RequestDetail(
                request=_request(row),
                hops=tuple(_hop(hop, tuple(attempts.get(hop["hop"], ()))) for hop in hops),
                trace=tuple(json.loads(row["trace"])),
                signals=json.loads(row["signals"]),
                labels=tuple(_label(label) for label in labels),
                messages=None if messages == "null" else messages_of(messages),
                answer=texts[0]["answer"] if texts else None,
            )

    def totals(self, since: float = 0.0) -> Totals:
        """Counts, dollars and times of the requests that started at or after `since`.

        Args:
            since: Seconds since 1970-01-01 UTC.
        """
        with self.reading():
            return totals(self._intake.db, since)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Catch up, then hold one moment's state; for this room's own questions.

        Raises: LedgerError, when the database can't be read.
        """
        try:
            try:
                self._intake.catch_up()
            except sqlite3.OperationalError as exc:
                # Locked or full: what is in the tables can be read all the same.
                log.warning("the latest requests may be missing: %s", exc)
            self._intake.db.execute("BEGIN")
            try:
                yield self._intake.db
            finally:
                self._intake.db.execute("ROLLBACK")
        except sqlite3.Error as exc:
            folder = self._intake.folder
            raise LedgerError(
                f"the ledger at {folder} can't be read: {exc}", folder=folder
            ) from exc

    def _rows(self, query: str, values: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
        cursor = self._intake.db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    def _one(self, decision_id: str) -> dict[str, Any]:
        query = f"{_REQUESTS} WHERE r.decision_id = ?"
        found = list(self._rows(query, (decision_id,)))
        if not found and len(decision_id) >= SHORTEST_PREFIX:
            # A range, so that the index serves it: no character sorts after the last one there is.
            query = f"{_REQUESTS} WHERE r.decision_id BETWEEN ? AND ? || char(1114111) LIMIT 2"
            found = list(self._rows(query, (decision_id, decision_id)))
        if len(found) == 1:
            return found[0]
        folder = self._intake.folder
        what = "more than one request begins with" if found else "no request"
        raise LedgerError(
            f"{what} {decision_id!r} in the ledger at {folder}; `firsthop ledger` lists them",
            folder=folder,
        )


def _dollars(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _request(row: Mapping[str, Any]) -> RequestRow:
    kept = dict(row)
    for name in ("run", "cost_pico_usd", "trace", "signals"):
        del kept[name]
    kept |= {
        "tags": json.loads(row["tags"]),
        "flags": tuple(json.loads(row["flags"])),
        "path": tuple(json.loads(row["path"])),
        "cost_usd": _dollars(row["cost_usd"]),
        "certified": _flag(row["certified"]),
    }
    return RequestRow(**kept)


def _hop(row: Mapping[str, Any], attempts: tuple[AttemptRow, ...]) -> HopRow:
    kept = dict(row)
    for name in ("decision_id", "cost_pico_usd"):
        del kept[name]
    kept |= {"signals": json.loads(row["signals"]), "cost_usd": _dollars(row["cost_usd"])}
    return HopRow(**kept, attempts=attempts)


def _attempt(row: Mapping[str, Any]) -> AttemptRow:
    kept = dict(row)
    for name in ("decision_id", "hop", "cost_pico_usd", "estimate_pico_usd"):
        del kept[name]
    kept |= {
        "cost_usd": _dollars(row["cost_usd"]),
        "estimate_usd": _dollars(row["estimate_usd"]),
        "reached": _flag(row["reached"]),
    }
    return AttemptRow(**kept)


def _label(row: Mapping[str, Any]) -> LabelRow:
    return LabelRow(**{**row, "good": _flag(row["good"])})


def _flag(stored: int | None) -> bool | None:
    return None if stored is None else bool(stored)
