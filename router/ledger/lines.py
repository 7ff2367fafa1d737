"""The journal's lines: one JSON array `[kind, payload]` each, written here and read back here.

Goes in: the values of `entry`. Comes out: small structs for the tables, and each of them as bytes
with one newline, at the end. Back again: the same structs. Money travels as a decimal string, what
is unknown or empty is left out. Reading is forgiving about what is missing (a line may have been
left by an older version) and strict about what is there: a line that does not fit is None to the
reader, never half a row.

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
_OBJECT, _LIST, _NULL = msgspec.Raw(b"{}"), msgspec.Raw(b"[]"), msgspec.Raw(b"null")
"""What is empty. A field that holds one of these very values is left out of its line."""


class Begin(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """An attempt's intent."""

    decision_id: str
    hop: Count
    attempt_id: str
    number: Count
    target: str
    started_at: float | None = None
    policy: str | None = None
    policy_revision: str | None = None
    tier: str | None = None
    provider: str | None = None
    model: str | None = None
    cause: str | None = None
    because: str | None = None
    label: str | None = None
    tags: msgspec.Raw = _OBJECT


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


class HopLeft(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """A hop of a request that is over. Its attempts have lines of their own."""

    index: Count
    target: str
    status: str
    tier: str | None = None
    provider: str | None = None
    model: str | None = None
    cause: str | None = None
    total_s: float | None = None
    cost_usd: Decimal | None = None
    because: str | None = None
    left: str | None = None
    signals: msgspec.Raw = _OBJECT


class Close(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """A request that is over. Messages and answer are there only where text is kept."""

    decision_id: str
    status: str
    started_at: float | None = None
    policy: str | None = None
    policy_revision: str | None = None
    answered_by: Count | None = None
    ttfb_s: float | None = None
    escalation_delay_s: float | None = None
    total_s: float | None = None
    certified: bool | None = None
    cost_usd: Decimal | None = None
    label: str | None = None
    hops: list[HopLeft] = []
    tags: msgspec.Raw = _OBJECT
    flags: msgspec.Raw = _LIST
    trace: msgspec.Raw = _LIST
    signals: msgspec.Raw = _OBJECT
    messages: msgspec.Raw = _NULL
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


def line_of(line: Line) -> bytes:
    """As it stands in the journal."""
    kind = _KINDS[type(line)]
    try:
        return _ENCODER.encode((kind, line)) + b"\n"
    except UnicodeEncodeError:
        return _ENCODER.encode((kind, _encodable(line))) + b"\n"


_KINDS = {Begin: "begin", End: "end", Close: "close", Judged: "label"}


def _json(value: Any, empty: msgspec.Raw) -> msgspec.Raw:
    """A part of a line as JSON. Only values that no other has go in as such; see `line_of`."""
    if not value:
        return empty
    try:
        return msgspec.Raw(_ENCODER.encode(value))
    except UnicodeEncodeError:
        builtins = msgspec.to_builtins(value, enc_hook=_plain)
        return msgspec.Raw(_ENCODER.encode(_encodable(builtins)))


def _encodable(value: Any) -> Any:
    """The same without halves of surrogate pairs: neither JSON in UTF-8 nor SQLite holds them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, msgspec.Struct):
        return _encodable(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


def begun(began: Began) -> Begin:
    """The intent of an attempt."""
    told = (*_OF_BEGAN(began), _json(began.tags, _OBJECT))
    return Begin(*told)


_OF_BEGAN = attrgetter(*Begin.__struct_fields__[:-1])  # all but what becomes JSON


def ended(decision_id: str, hop: int, attempt: Attempt, *, keep_text: bool) -> End:
    """The result of an attempt."""
    kept = attempt if keep_text else without_text(attempt)
    told = (*_PLAIN(kept), _tokens(kept.usage), _tokens(kept.estimate))
    return End(decision_id, hop, Ended(*told))


_PLAIN = attrgetter(*Ended.__struct_fields__[:-2])  # all but the two that are of `Tokens`
_COUNTS = attrgetter(*Tokens.__struct_fields__)


def _tokens(usage: Usage) -> Tokens:
    return Tokens(*_COUNTS(usage))


def over(request: Closed, *, keep_text: bool) -> Close:
    """The end of a request."""
    outcome = request.outcome
    mask = NO_MASK if keep_text else Mask.of(outcome.hops)
    trace: Any = outcome.trace.as_json()
    signals: Any = outcome.signals
    if mask is not NO_MASK:
        trace, signals = mask.value(trace), mask.value(signals)
    told = (
        *_OF_OUTCOME(outcome),
        request.label,
        [_hop(hop, mask) for hop in outcome.hops],
        _json(request.tags, _OBJECT),
        _json(outcome.flags, _LIST),
        _json(trace, _LIST),
        _json(signals, _OBJECT),
        _json(request.messages, _NULL) if keep_text else _NULL,
        request.answer if keep_text else None,
    )
    return Close(*told)


_OF_OUTCOME = attrgetter(*Close.__struct_fields__[:11])  # up to the label
_OF_HOP = attrgetter(*HopLeft.__struct_fields__[:9])  # up to its words


def _hop(hop: Hop, mask: Mask) -> HopLeft:
    because, left = hop.because, hop.left
    if mask is not NO_MASK:
        because, left = mask.words(because), mask.words(left)
    told = (*_OF_HOP(hop), because, left, _json(hop.signals, _OBJECT))
    return HopLeft(*told)


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
