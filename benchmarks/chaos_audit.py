"""What `chaos.py` holds the ledger to: row by row against what the servers saw.

Comes in: the ledger's folder, the servers' notes, what every caller got. Goes out: figures and, in
words, whatever does not fit.

An attempt *arrived* if a server read its whole request. The ledger says of an attempt that it
can't have arrived by a cost of zero without a status: no connection, no time left to ask. Between
the two is doubt, and only two attempts may be in it: one that was stopped (the caller went away, or
the time was up), and one whose connection broke without an answer, both before anybody read it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOUBTFUL = ("cancelled", "timed_out", "unavailable")


@dataclass
class Got:
    """How one request ended for its caller.

    Attributes:
        status: As of an outcome; ``left``: the caller went away; ``broken``: an error of no kind
            that a caller has to expect.
        text: What it was given. None: nothing.
        decision_id: None: the caller was told none.
        took_s: Seconds from asking to the end.
        asked_at: On `time.perf_counter`.
    """

    status: str
    took_s: float
    asked_at: float
    text: str | None = None
    decision_id: str | None = None
    error: str | None = None


@dataclass
class Audit:
    """Counts, and what does not fit."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def audit(folder: Path, notes: list[dict[str, Any]], got: list[Got]) -> Audit:
    """Hold all three against each other."""
    found = Audit()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as db:
        db.row_factory = sqlite3.Row
        attempts = db.execute(
            "SELECT a.*, h.status AS hop_status, h.target FROM attempts a "
            "LEFT JOIN hops h USING (decision_id, hop)"
        ).fetchall()
        requests = db.execute("SELECT * FROM requests").fetchall()
        hops = db.execute("SELECT decision_id, hop, status FROM hops").fetchall()
    _attempts(found, attempts, notes)
    _requests(found, requests, hops, got)
    _answers(found, attempts, notes, got)
    return found


def _attempts(found: Audit, rows: list[sqlite3.Row], notes: list[dict[str, Any]]) -> None:
    """Every row against the request that came of it."""
    seen = {note["attempt"]: note for note in notes}
    found.counts["upstream requests"] = len(notes)
    found.counts["attempt rows"] = len(rows)
    for attempt, times in Counter(note["attempt"] for note in notes).items():
        if times > 1 or not attempt:
            found.wrong.append(f"attempt {attempt!r} came {times} times")
    booked = {row["attempt_id"] for row in rows}
    found.wrong += [f"nobody booked {n['attempt']}" for n in notes if n["attempt"] not in booked]
    for row in rows:
        note, name = seen.get(row["attempt_id"]), f"attempt {row['attempt_id']}"
        if row["status"] != "finished":
            found.wrong.append(f"{name} was never ended")
        never = row["cost_usd"] is not None and row["http_status"] is None
        if note is None:
            found.counts["never arrived" if never else f"in doubt: {row['error_kind']}"] += 1
            if not never and row["error_kind"] not in DOUBTFUL:
                found.wrong.append(f"{name} ended {row['error_kind']}, and no server saw it")
            continue
        found.counts["arrived"] += 1
        if never:
            found.wrong.append(f"{name} was said not to have arrived, and {row['target']} saw it")
        _usage(found, row, note)


def _usage(found: Audit, row: sqlite3.Row, note: dict[str, Any]) -> None:
    booked = (row["input_tokens"], row["output_tokens"])
    sent = tuple(note["usage"]) if note["usage"] else (None, None)
    ended_well = row["error_kind"] is None
    if ended_well and note["whole"]:
        found.counts["usage held against what was sent"] += sent != (None, None)
        fits = booked == sent
    else:  # what a cut stream did not tell is unknown
        fits = booked in (sent, (None, None))
    if not fits:
        found.wrong.append(f"{row['attempt_id']} ({note['kind']}): {sent} sent, {booked} booked")


def _requests(
    found: Audit, requests: list[sqlite3.Row], hops: list[sqlite3.Row], got: list[Got]
) -> None:
    """One row a request, and at most one hop that answered it."""
    rows = {row["decision_id"]: row for row in requests}
    answered = Counter(hop["decision_id"] for hop in hops if hop["status"] == "answered")
    found.counts["requests"] = len(got)
    if len(rows) > len(got):
        found.wrong.append(f"{len(got)} requests, {len(rows)} rows")
    for one in got:
        found.counts[one.status] += 1
        if one.decision_id is None:
            continue
        row = rows.get(one.decision_id)
        if row is None or row["status"] != one.status:
            found.wrong.append(f"request {one.decision_id} is not booked as {one.status}")
        if answered[one.decision_id] != (one.status == "answered"):
            found.wrong.append(f"{one.decision_id}: {answered[one.decision_id]} hops answered")
    for row in requests:
        if row["status"] in ("running", "interrupted"):
            found.wrong.append(f"request {row['decision_id']} is {row['status']}")


def _answers(
    found: Audit, attempts: list[sqlite3.Row], notes: list[dict[str, Any]], got: list[Got]
) -> None:
    """Each answer is, to the letter, what one server said to one attempt of that request."""
    said = {note["attempt"]: note["text"] for note in notes}
    of: dict[str, list[str]] = {}
    for row in attempts:
        if row["hop_status"] == "answered" and row["error_kind"] is None:
            of.setdefault(row["decision_id"], []).append(row["attempt_id"])
    for one in got:
        if one.status != "answered" or one.decision_id is None:
            continue
        ids = of.get(one.decision_id, [])
        if len(ids) != 1:
            found.wrong.append(f"request {one.decision_id}: {len(ids)} attempts answered it")
            continue
        whole = said.get(ids[0])
        if whole is None:
            found.counts["answers a filter ended"] += 1
        elif whole != one.text:
            found.wrong.append(f"{ids[0]}: {one.text!r} was given, {whole!r} was said")
