"""Requests that somebody gave feedback on, with what was measured of the answer they speak of.

Comes in: a ledger's folder. Goes out: frozen values, oldest first. Where a request has several
labels that say good, bad or a score, the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..signals.catalogue import Value
from ..types import Message
from .lines import messages_of
from .recordings import signals_of
from .report import Report

_LABELLED = """
SELECT r.decision_id, r.tags, r.signals, h.target, h.model, h.signals,
    CASE WHEN l.score IS NOT NULL THEN l.score ELSE l.good END, t.messages, t.answer
FROM requests r
JOIN labels l ON l.rowid = (
    SELECT rowid FROM labels
    WHERE decision_id = r.decision_id AND (good IS NOT NULL OR score IS NOT NULL)
    ORDER BY at DESC, rowid DESC LIMIT 1
)
LEFT JOIN hops h ON h.decision_id = r.decision_id AND h.hop = r.answered_by
LEFT JOIN texts t ON t.decision_id = r.decision_id
ORDER BY r.started_at, r.decision_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRequest:
    """One request and the last word on its answer.

    Attributes:
        target: Whose answer it was. None: there was none, or its row can't be read back.
        model: As asked for.
        right: 0 to 1.
        signals: Of the request; `draft` those of the answer.
        messages: None where text is not kept; likewise `answer`.
    """

    decision_id: str
    tags: Mapping[str, str]
    target: str | None
    model: str | None
    right: float
    signals: Mapping[str, Value]
    draft: Mapping[str, Value]
    messages: tuple[Message, ...] | None
    answer: str | None


def labelled_requests(folder: Path) -> Iterator[LabelledRequest]:
    """Every request with a label that says how good its answer was; none where no ledger is.

    Raises:
        LedgerError: it can't be read.
    """
    if not (folder / "ledger.sqlite3").is_file() and not (folder / "journal").is_dir():
        return
    with Report.open(folder) as report, report.reading() as db:
        for row in db.execute(_LABELLED).fetchall():
            key, tags, signals, target, model, draft, right, messages, answer = row
            yield LabelledRequest(
                decision_id=key,
                tags=json.loads(tags),
                target=target,
                model=model,
                right=float(right),
                signals=signals_of(signals),
                draft={} if draft is None else signals_of(draft),
                messages=None if messages in (None, "null") else messages_of(messages),
                answer=answer,
            )
