"""The journal's lines: one JSON array `[kind, payload]` each, written here and read back here.

Goes in: the values of `entry`. Comes out: bytes with one newline, at the end. Back again: small
structs for the tables. Money travels as a decimal string, unknown as `null`. Reading is forgiving
about what is missing (a line may have been left by an older version) and strict about what is
there: a line that does not fit is None to the reader, never half a row.

A change here that an older reader would misread needs a new schema version (`schema.py`): every
reader checks that before it takes in a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from ..hops import Attempt, Hop
from ..types import Message, Usage
from .entry import NO_MASK, Began, Closed, Mask, without_text

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Begin(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """An attempt's intent."""

    decision_id: str
    hop: Count
    attempt_id: str
    number: Count
    started_at: float | None = None
    policy: str | None = None
    policy_revision: str | None = None
    target: str
    tier: str | None = None
    provider: str | None = None
    model: str | None = None
    cause: str | None = None
    because: str | None = None
    label: str | None = None
    tags: msgspec.Raw = msgspec.Raw(b"{}")


class Tokens(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """Usage, each None when the target did not say."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class Ended(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """An attempt's result: the fields of `hops.Attempt`, but only those that say something."""

    attempt_id: str
    number: Count
    started_at: float | None = None
    total_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    cost_usd: Decimal | None = None
    price: str | None = None
    model_served: str | None = None
    request_id: str | None = None
    finish: str | None = None
    error_kind: str | None = None
    error_code: str | None = None
    http_status: Count | None = None
    error_message: str | None = None
    queue_s: float | None = None
    connect_s: float | None = None
    reached: bool | None = None
    estimate_usd: Decimal | None = None
    usage: Tokens = Tokens()
    estimate: Tokens = Tokens()


class End(msgspec.Struct, gc=False, frozen=True):
    """An attempt's result and where it belongs."""

    decision_id: str
    hop: Count
    attempt: Ended


class HopLeft(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A hop of a request that is over. Its attempts have lines of their own."""

    index: Count
    target: str
    tier: str | None = None
    provider: str | None = None
    model: str | None = None
    cause: str | None = None
    because: str | None = None
    status: str
    left: str | None = None
    total_s: float | None = None
    cost_usd: Decimal | None = None
    signals: msgspec.Raw = msgspec.Raw(b"{}")


class Close(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A request that is over. Messages and answer are there only where text is kept."""

    decision_id: str
    started_at: float | None = None
    policy: str | None = None
    policy_revision: str | None = None
    status: str
    answered_by: Count | None = None
    hops: list[HopLeft] = []
    flags: msgspec.Raw = msgspec.Raw(b"[]")
    ttfb_s: float | None = None
    escalation_delay_s: float | None = None
    total_s: float | None = None
    certified: bool | None = None
    cost_usd: Decimal | None = None
    trace: msgspec.Raw = msgspec.Raw(b"[]")
    signals: msgspec.Raw = msgspec.Raw(b"{}")
    label: str | None = None
    tags: msgspec.Raw = msgspec.Raw(b"{}")
    messages: msgspec.Raw = msgspec.Raw(b"null")
    answer: str | None = None


class Judged(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Somebody's word on a request."""

    label_id: str
    decision_id: str
    at: float | None = None
    good: bool | None = None
    score: float | None = None
    note: str | None = None
    source: str | None = None


Line = Begin | End | Close | Judged


class _Begin(msgspec.Struct, gc=False, array_like=True, forbid_unknown_fields=True, tag="begin"):
    payload: Begin


class _End(msgspec.Struct, gc=False, array_like=True, forbid_unknown_fields=True, tag="end"):
    payload: End


class _Close(msgspec.Struct, gc=False, array_like=True, forbid_unknown_fields=True, tag="close"):
    payload: Close


class _Label(msgspec.Struct, gc=False, array_like=True, forbid_unknown_fields=True, tag="label"):
    payload: Judged


_DECODER = msgspec.json.Decoder(_Begin | _End | _Close | _Label)


def _plain(value: Any) -> Any:
    """Whatever JSON has no word for: a result line is never lost over the type of a signal."""
    if isinstance(value, Mapping):
        return dict(value)
    return float(value) if isinstance(value, Real) else str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def _line(kind: str, payload: object) -> bytes:
    try:
        return _ENCODER.encode((kind, payload)) + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair in the caller's words: neither JSON in UTF-8 nor SQLite holds it.
        builtins = msgspec.to_builtins((kind, payload), enc_hook=_plain)
        return _ENCODER.encode(_encodable(builtins)) + b"\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


def begin_line(began: Began) -> bytes:
    """The intent of an attempt."""
    return _line("begin", began)


def end_line(decision_id: str, hop: int, attempt: Attempt, *, keep_text: bool) -> bytes:
    """The result of an attempt."""
    kept = attempt if keep_text else without_text(attempt)
    told = (*_PLAIN(kept), _tokens(kept.usage), _tokens(kept.estimate))
    return _line("end", End(decision_id, hop, Ended(*told)))


_PLAIN = attrgetter(*Ended.__struct_fields__[:-2])  # all but the two that are of `Tokens`
_COUNTS = attrgetter(*Tokens.__struct_fields__)


def _tokens(usage: Usage) -> Tokens:
    return Tokens(*_COUNTS(usage))


def close_line(request: Closed, *, keep_text: bool) -> bytes:
    """The end of a request."""
    outcome = request.outcome
    mask = NO_MASK if keep_text else Mask.of(outcome.hops)
    payload = {
        "decision_id": outcome.decision_id,
        "started_at": outcome.started_at,
        "policy": outcome.policy,
        "policy_revision": outcome.policy_revision,
        "status": outcome.status,
        "answered_by": outcome.answered_by,
        "hops": [_hop(hop, mask) for hop in outcome.hops],
        "flags": outcome.flags,
        "ttfb_s": outcome.ttfb_s,
        "escalation_delay_s": outcome.escalation_delay_s,
        "total_s": outcome.total_s,
        "cost_usd": outcome.cost_usd,
        "certified": outcome.certified,
        "trace": mask.value(outcome.trace.as_json()),
        "signals": mask.value(outcome.signals),
        "label": request.label,
        "tags": request.tags,
    }
    if keep_text:
        payload["messages"] = request.messages
        payload["answer"] = request.answer
    return _line("close", payload)


def _hop(hop: Hop, mask: Mask) -> dict[str, Any]:
    return {
        "index": hop.index,
        "target": hop.target,
        "tier": hop.tier,
        "provider": hop.provider,
        "model": hop.model,
        "cause": hop.cause,
        "because": mask.words(hop.because),
        "status": hop.status,
        "left": mask.words(hop.left),
        "total_s": hop.total_s,
        "cost_usd": hop.cost_usd,
        "signals": hop.signals,
    }


def label_line(
    decision_id: str,
    *,
    label_id: str,
    at: float,
    good: bool | None,
    score: float | None,
    note: str | None,
    source: str,
) -> bytes:
    """Somebody's word on a request."""
    payload = {
        "label_id": label_id,
        "decision_id": decision_id,
        "at": at,
        "good": good,
        "score": score,
        "note": note,
        "source": source,
    }
    return _line("label", payload)


def read_line(raw: bytes) -> Line | None:
    """The line, or None when it is not one this version can read."""
    try:
        line: Line = _DECODER.decode(raw).payload
        return line
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def as_text(raw: msgspec.Raw) -> str:
    """A part of a line as the JSON text it was."""
    return str(raw, "utf-8", "replace")


def messages_of(text: str) -> tuple[Message, ...]:
    """Messages back from their JSON text."""
    return tuple(msgspec.json.decode(text, type=list[Message]))
