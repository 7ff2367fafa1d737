"""Values to book, with everything filled in that a test does not care about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from router.hops import Attempt, Hop, HopStatus, Outcome, SignalValue, Status, total_cost
from router.ledger import Began, Closed
from router.ledger.lines import Judged, begun, ended, line_of, over
from router.types import Message, Usage

START = 1_780_000_000.0


@dataclass(frozen=True)
class StepTrace:
    """A trace of plain steps."""

    steps: tuple[Mapping[str, Any], ...] = ()

    def lines(self, hops: tuple[Hop, ...]) -> list[str]:
        return [str(step) for step in self.steps]

    def as_json(self) -> list[dict[str, Any]]:
        return [dict(step) for step in self.steps]


def began(decision_id: str, hop: int = 0, number: int = 1, **other: Any) -> Began:
    values: dict[str, Any] = {
        "attempt_id": f"{decision_id}-{hop}-{number}",
        "started_at": START,
        "policy": "balanced",
        "policy_revision": "1146a941",
        "target": "cloud" if hop else "device",
        "tier": "cloud-fast" if hop else "device",
        "provider": "scripted",
        "model": "script",
        "cause": "escalation" if hop else "start",
        "because": "draft.confidence 0.48 >= 0.62 fails" if hop else "the policy begins here",
        "label": "public",
        "tags": {"team": "search"},
    }
    return Began(decision_id=decision_id, hop=hop, number=number, **(values | other))


def attempt(
    decision_id: str, hop: int = 0, number: int = 1, cost_usd: str | None = "0.25", **other: Any
) -> Attempt:
    values: dict[str, Any] = {
        "attempt_id": f"{decision_id}-{hop}-{number}",
        "started_at": START,
        "total_s": 1.5,
        "ttft_s": 0.25,
        "tpot_s": 0.03125,
        "usage": Usage(input_tokens=41, output_tokens=25),
        "cost_usd": None if cost_usd is None else Decimal(cost_usd),
        "price": None if cost_usd is None else "scripted/*@2024-01-01",
        "model_served": "script-1",
        "finish": "stop",
    }
    return Attempt(number=number, **(values | other))


def hop(
    decision_id: str,
    index: int = 0,
    status: HopStatus = "answered",
    attempts: tuple[Attempt, ...] | None = None,
    signals: Mapping[str, SignalValue] | None = None,
    **other: Any,
) -> Hop:
    start = began(decision_id, index)
    tried = attempts or (attempt(decision_id, index),)
    values: dict[str, Any] = {
        "target": start.target,
        "tier": start.tier,
        "provider": start.provider,
        "model": start.model,
        "cause": start.cause,
        "because": start.because,
        "left": status,
        "total_s": 2.0,
        "cost_usd": total_cost(tuple(a.cost_usd for a in tried)),
        "signals": {"draft.confidence": 0.48} if signals is None else signals,
        "began_s": 2.5 * index,
    }
    return Hop(index=index, status=status, attempts=tried, **(values | other))


def closed(
    decision_id: str,
    *hops: Hop,
    status: Status = "answered",
    messages: tuple[Message, ...] | None = None,
    answer: str | None = None,
    label: Any = "public",
    tags: Mapping[str, str] | None = None,
    **other: Any,
) -> Closed:
    values: dict[str, Any] = {
        "started_at": START,
        "policy": "balanced",
        "policy_revision": "1146a941",
        "answered_by": len(hops) - 1 if hops and status == "answered" else None,
        "flags": (),
        "ttfb_s": 0.5 if status == "answered" else None,
        "total_s": 3.0,
        "cost_usd": total_cost(tuple(h.cost_usd for h in hops)),
        "trace": StepTrace(({"kind": "route", "start": "device"},)),
    }
    return Closed(
        outcome=Outcome(
            decision_id=decision_id, status=status, hops=tuple(hops), **(values | other)
        ),
        label=label,
        tags={"team": "search"} if tags is None else tags,
        messages=messages,
        answer=answer,
    )


def begin_line(began: Began) -> bytes:
    return line_of(begun(began))


def end_line(decision_id: str, hop: int, attempt: Attempt, *, keep_text: bool) -> bytes:
    return line_of(ended(decision_id, hop, attempt, keep_text=keep_text))


def close_line(request: Closed, *, keep_text: bool) -> bytes:
    return line_of(over(request, keep_text=keep_text))


def label_line(decision_id: str, **values: Any) -> bytes:
    return line_of(Judged(decision_id=decision_id, **values))
