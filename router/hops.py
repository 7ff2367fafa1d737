"""What happened on the way to an answer: attempts, the hops they make up, and the outcome.

A *hop* is one target tried. An *attempt* is one call on the wire; retries of the same target are
attempts of one hop. Unknown is None in every field; zero dollars means free, never unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from .money import EXACT
from .quick import quick
from .types import Finish, Usage

Cause = Literal["start", "fallback", "escalation", "asked", "loop", "race", "hedge", "opinion"]
"""Why a hop was taken: the policy began there; another target of the tier, or the next tier,
after a *failure*; the next tier because of *quality*; the caller named the target; it made the
tool call whose result this request brings; a stronger tier beside a draft that takes long; another
target of the tier beside one that is late; a draft before it is looked at with other eyes."""

HopStatus = Literal["answered", "deferred", "failed", "cancelled", "heard"]
"""How a hop was left: its answer was returned; its draft was not kept, or given up before its end
(its last attempt says "aborted"); it gave none; it was
stopped, because the caller went away or another hop beside it was first; it told its opinion of
another hop's draft, and what it said is no answer."""

Status = Literal["answered", "forbidden", "limit_reached", "no_answer", "cancelled"]

SignalValue = float | int | str | bool | None
"""A signal's value as it is recorded. None: unknown."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call on the wire, as it ended.

    Attributes:
        attempt_id: Unique; the target was sent it where it takes such an id.
        number: 1 for the first, counted within the hop.
        started_at: Seconds since 1970-01-01 UTC.
        ttft_s: Seconds from sending to the first token. None: no token came.
        tpot_s: Mean seconds per output token after the first. None: fewer than two tokens,
            or the target did not count them.
        total_s: Seconds from sending to the end, however it ended.
        usage: Tokens as served.
        cost_usd: None: not known.
        price: Id of the price line used. None: no line, so no cost.
        model_served: The model that answered, as it calls itself.
        request_id: The target's own id for the call.
        finish: Why the answer ended.
        error_kind: A `HopError.kind`, or "cancelled", or "aborted": its draft was given up before
            its end. None: it ended well.
        error_code: The target's own code.
        http_status: Where there was one.
        error_message: May quote the caller's text, so the ledger keeps it only with text.
        queue_s: Seconds it was held before it was sent: for its turn, or because the target had
            asked for quiet. None: not known.
        connect_s: Seconds for name, TCP and TLS where a new connection was made, 0 on one that was
            there already. None: no answer's head came, or the transport can't tell.
        reached: False: it certainly never got to the target.
        estimate_usd: What it probably cost, where `cost_usd` is not known because the target did
            not say what it counted: see `drive.estimate`. Never a part of any cost. None: there is
            no estimate.
        estimate: The tokens that was made of.
    """

    attempt_id: str
    number: int
    started_at: float
    total_s: float
    ttft_s: float | None = None
    tpot_s: float | None = None
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    price: str | None = None
    model_served: str | None = None
    request_id: str | None = None
    finish: Finish | None = None
    error_kind: str | None = None
    error_code: str | None = None
    http_status: int | None = None
    error_message: str | None = None
    queue_s: float | None = None
    connect_s: float | None = None
    reached: bool = True
    estimate_usd: Decimal | None = None
    estimate: Usage = Usage()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One target tried, with every call it took.

    Attributes:
        index: 0 for the first hop of the request.
        target: Name from the config, such as ``"device"``.
        tier: The policy's tier the target serves.
        provider: The provider's module name.
        model: The model asked for.
        cause: Why we came here.
        because: The same in words, such as the requirement that the last draft failed.
        status: How it was left.
        left: Why it was left, in words.
        attempts: In order; at least one.
        total_s: Seconds from the hop's start to its end, waits between attempts included.
        cost_usd: Sum over attempts; None as soon as one attempt's cost is not known.
        signals: What was measured of the draft, by signal name.
        began_s: Seconds from the request's arrival to the hop's start. None: not known.
    """

    index: int
    target: str
    tier: str
    provider: str
    model: str
    cause: Cause
    because: str
    status: HopStatus
    left: str
    attempts: tuple[Attempt, ...]
    total_s: float
    cost_usd: Decimal | None
    signals: Mapping[str, SignalValue] = field(default_factory=dict)
    began_s: float | None = None

    @property
    def last(self) -> Attempt:
        """The attempt that ended the hop."""
        return self.attempts[-1]

    @property
    def aside(self) -> bool:
        """Whether it was taken for opinions of another hop's draft, not for an answer."""
        return self.cause == "opinion"


class Trace(Protocol):
    """What the policy said and why. Rendered only when somebody asks."""

    def lines(self, hops: tuple[Hop, ...]) -> list[str]:
        """For people, a line each; `hops` are woven in where they were taken."""
        ...

    def as_json(self) -> list[dict[str, Any]]:
        """For machines: plain values, in the order they were decided."""
        ...


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one request ended.

    Attributes:
        decision_id: Unique, sorts by time. Names the request in the ledger.
        started_at: Seconds since 1970-01-01 UTC.
        policy: The policy's name.
        policy_revision: Hash of its content.
        status: How it ended.
        answered_by: Index into `hops`. None: no hop's answer was returned.
        hops: In order. Empty when guards forbade everything.
        flags: What the reader of the answer should know, such as ``"uncertain"``.
        ttfb_s: Seconds from arrival to the first committed byte. None: none came.
        total_s: Seconds from arrival to the end.
        cost_usd: Sum over hops; None as soon as one hop's cost is not known.
        trace: What the policy said and why.
        signals: What was known of the request, by signal name.
        certified: True: a draft was kept under a certificate. False: it was kept by a raw signal,
            a starter bar among them. None: no draft was kept; the last tier's answer, or a draft
            for want of a better one, is none.
    """

    decision_id: str
    started_at: float
    policy: str
    policy_revision: str
    status: Status
    answered_by: int | None
    hops: tuple[Hop, ...]
    flags: tuple[str, ...]
    ttfb_s: float | None
    total_s: float
    cost_usd: Decimal | None
    trace: Trace
    signals: Mapping[str, SignalValue] = field(default_factory=dict)
    certified: bool | None = None

    @property
    def escalation_delay_s(self) -> float | None:
        """Seconds between arrival and the start of the hop that answered, if another came first.

        What the request lost against going straight there. None: the first hop answered, or none.
        """
        return self.hops[self.answered_by].began_s if self.answered_by else None


def total_cost(parts: Iterable[Decimal | None]) -> Decimal | None:
    """Sum of costs; None as soon as one is not known. Nothing at all costs zero."""
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total = EXACT.add(total, part)
    return total
