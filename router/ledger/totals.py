"""Totals over the ledger's tables: who answered, what it cost, how long it took.

Comes in: a connection inside a read transaction. Goes out: frozen values. A sum holds what is
known, and beside it stands the count of what is not.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from .sqlite import dollars

UNKNOWN = "unknown"
"""Target and tier of an attempt whose hop could not be read back."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How long things took, in seconds.

    Nearest rank: each percentile is a value that occurred, the smallest that at least that share
    of all values does not exceed.

    Attributes:
        count: How many values are known.
        p50: None: no value is known.
        p95: None: no value is known.
    """

    count: int
    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these values, in any order."""
        ranked = sorted(values)
        return cls(len(ranked), _rank(ranked, 0.50), _rank(ranked, 0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTotals:
    """One target, in one tier.

    Attributes:
        hops: All that were to answer; the six counts that follow add up to it.
        opinions: Hops beside those, for opinions of drafts. Their calls, tokens, dollars and times
            to a token count below like all others'; `total_s` is without them.
        attempts: Calls on the wire.
        input_tokens: Sum of what is known; likewise `output_tokens`.
        tokens_unknown: Attempts that are over and whose tokens, in or out, are not known.
        cost_usd: Sum of what is known.
        cost_unknown: Attempts that are over and whose cost is not known.
        estimate_usd: What `estimated` of those probably cost. Not a part of `cost_usd`.
        estimated: For how many of them there is an estimate.
        ttft_s: Over attempts; likewise `tpot_s`.
        total_s: Over hops, waits between attempts included.
        aborted: Attempts whose draft was given up before its end.
        wasted_tokens: Written for those; where a target did not count them, estimated.
        wasted_s: Seconds of those, from sending to giving up.
    """

    target: str
    tier: str
    hops: int
    answered: int
    deferred: int
    failed: int
    cancelled: int
    interrupted: int
    running: int
    opinions: int
    attempts: int
    input_tokens: int
    output_tokens: int
    tokens_unknown: int
    cost_usd: Decimal
    cost_unknown: int
    estimate_usd: Decimal
    estimated: int
    ttft_s: Spread
    tpot_s: Spread
    total_s: Spread
    aborted: int
    wasted_tokens: int
    wasted_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All requests since a moment.

    Attributes:
        since: Seconds since 1970-01-01 UTC.
        requests: How many.
        by_status: The same by how they ended.
        deferral_rate: Share of the requests that are over of which a draft was not kept, 0 to 1.
            None: there is none.
        cost_usd: Sum of what is known, over all attempts.
        cost_unknown: Attempts that are over and whose cost is not known.
        estimate_usd: What `estimated` of those probably cost: answers that were cut, or came
            without their counts. Not a part of `cost_usd`.
        estimated: For how many of them there is an estimate.
        ttfb_s: Seconds from arrival to the first byte given back, over requests.
        escalation_delay_s: Seconds from arrival to the start of the hop that answered, over
            requests for which another hop had been tried before.
        total_s: Seconds from arrival to the end, over requests.
        targets: In the order of their dollars, then of their names.
        torn: Pieces of journal that could not be read, ever.
    """

    since: float
    requests: int
    by_status: Mapping[str, int]
    deferral_rate: float | None
    cost_usd: Decimal
    cost_unknown: int
    estimate_usd: Decimal
    estimated: int
    ttfb_s: Spread
    escalation_delay_s: Spread
    total_s: Spread
    targets: tuple[TargetTotals, ...]
    torn: int


_HOPS = """
SELECT h.target, COALESCE(h.tier, :unknown), h.status, h.total_s, h.cause
FROM hops h JOIN requests r USING (decision_id)
WHERE r.started_at >= :since
"""
_ATTEMPTS = """
SELECT COALESCE(h.target, :unknown), COALESCE(h.tier, :unknown), COUNT(*),
    COALESCE(SUM(a.input_tokens), 0), COALESCE(SUM(a.output_tokens), 0),
    SUM(a.status <> 'running' AND (a.input_tokens IS NULL OR a.output_tokens IS NULL)),
    COALESCE(SUM(a.cost_pico_usd), 0),
    SUM(a.status <> 'running' AND a.cost_pico_usd IS NULL),
    COALESCE(SUM(a.estimate_pico_usd), 0), COUNT(a.estimate_pico_usd),
    COUNT(CASE WHEN a.error_kind = 'aborted' THEN 1 END),
    COALESCE(SUM(CASE WHEN a.error_kind = 'aborted'
        THEN COALESCE(a.output_tokens, a.estimated_output_tokens) END), 0),
    TOTAL(CASE WHEN a.error_kind = 'aborted' THEN a.total_s END)
FROM attempts a LEFT JOIN hops h USING (decision_id, hop) LEFT JOIN requests r USING (decision_id)
WHERE COALESCE(r.started_at, a.started_at) >= :since
GROUP BY 1, 2
"""
_TIMES = """
SELECT COALESCE(h.target, :unknown), COALESCE(h.tier, :unknown), a.ttft_s, a.tpot_s
FROM attempts a LEFT JOIN hops h USING (decision_id, hop) LEFT JOIN requests r USING (decision_id)
WHERE COALESCE(r.started_at, a.started_at) >= :since AND a.ttft_s IS NOT NULL
"""
_DOLLARS = """
SELECT COALESCE(SUM(a.cost_pico_usd), 0), COALESCE(SUM(a.estimate_pico_usd), 0)
FROM attempts a LEFT JOIN requests r USING (decision_id)
WHERE COALESCE(r.started_at, a.started_at) >= :since
"""
_DEFERRED = """
SELECT COUNT(DISTINCT decision_id) FROM hops JOIN requests r USING (decision_id)
WHERE hops.status = 'deferred' AND r.status <> 'running' AND r.started_at >= :since
"""

Key = tuple[str, str]


def totals(db: sqlite3.Connection, since: float) -> Totals:
    """Totals of the requests that started at or after `since`, in seconds since 1970."""
    values = {"since": since, "unknown": UNKNOWN}
    requests = db.execute(
        "SELECT status, ttfb_s, escalation_delay_s, total_s FROM requests "
        "WHERE started_at >= :since",
        values,
    ).fetchall()
    by_status: dict[str, int] = defaultdict(int)
    for status, *_times in requests:
        by_status[status] += 1
    over = len(requests) - by_status.get("running", 0)
    (deferred,) = db.execute(_DEFERRED, values).fetchone()
    (torn,) = db.execute("SELECT COUNT(*) FROM torn").fetchone()
    pico, estimate_pico = db.execute(_DOLLARS, values).fetchone()
    targets = _by_target(db, values)
    return Totals(
        since=since,
        requests=len(requests),
        by_status=dict(by_status),
        deferral_rate=deferred / over if over else None,
        cost_usd=dollars(pico),
        cost_unknown=sum(t.cost_unknown for t in targets),
        estimate_usd=dollars(estimate_pico),
        estimated=sum(t.estimated for t in targets),
        ttfb_s=Spread.of([first for _, first, _, _ in requests if first is not None]),
        escalation_delay_s=Spread.of([late for _, _, late, _ in requests if late is not None]),
        total_s=Spread.of([total for _, _, _, total in requests if total is not None]),
        targets=targets,
        torn=torn,
    )


def _by_target(db: sqlite3.Connection, values: Mapping[str, Any]) -> tuple[TargetTotals, ...]:
    statuses: dict[Key, list[str]] = defaultdict(list)
    total_s: dict[Key, list[float]] = defaultdict(list)
    opinions: dict[Key, int] = defaultdict(int)
    for target, tier, status, seconds, cause in db.execute(_HOPS, values):
        if cause == "opinion":
            opinions[target, tier] += 1
            continue
        statuses[target, tier].append(status)
        if seconds is not None:
            total_s[target, tier].append(seconds)
    ttft_s: dict[Key, list[float]] = defaultdict(list)
    tpot_s: dict[Key, list[float]] = defaultdict(list)
    for target, tier, ttft, tpot in db.execute(_TIMES, values):
        ttft_s[target, tier].append(ttft)
        if tpot is not None:
            tpot_s[target, tier].append(tpot)
    sums = {(row[0], row[1]): row[2:] for row in db.execute(_ATTEMPTS, values)}
    found = [
        _target(
            key,
            statuses[key],
            opinions[key],
            sums.get(key, (0,) * 11),
            (Spread.of(ttft_s[key]), Spread.of(tpot_s[key]), Spread.of(total_s[key])),
        )
        for key in {*statuses, *opinions, *sums}
    ]
    return tuple(sorted(found, key=lambda t: (-t.cost_usd, t.target, t.tier)))


def _target(
    key: Key,
    statuses: Sequence[str],
    opinions: int,
    sums: tuple[Any, ...],
    spreads: tuple[Spread, Spread, Spread],
) -> TargetTotals:
    attempts, input_tokens, output_tokens, tokens_unknown = sums[:4]
    pico, cost_unknown, estimate_pico, estimated = sums[4:8]
    aborted, wasted_tokens, wasted_s = sums[8:]
    return TargetTotals(
        target=key[0],
        tier=key[1],
        hops=len(statuses),
        answered=statuses.count("answered"),
        deferred=statuses.count("deferred"),
        failed=statuses.count("failed"),
        cancelled=statuses.count("cancelled"),
        interrupted=statuses.count("interrupted"),
        running=statuses.count("running"),
        opinions=opinions,
        attempts=attempts,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        tokens_unknown=tokens_unknown,
        cost_usd=dollars(pico),
        cost_unknown=cost_unknown,
        estimate_usd=dollars(estimate_pico),
        estimated=estimated,
        ttft_s=spreads[0],
        tpot_s=spreads[1],
        total_s=spreads[2],
        aborted=aborted,
        wasted_tokens=wasted_tokens,
        wasted_s=float(wasted_s),
    )


def _rank(ranked: Sequence[float], share: float) -> float | None:
    return ranked[max(0, ceil(share * len(ranked)) - 1)] if ranked else None
