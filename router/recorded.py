"""A request as the ledger remembers it: enough to judge another policy on it.

Comes in: what was booked. Goes out: frozen values without any text. What was not recorded has no
key; what was looked for and is unknown is None. The two never mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from .signals.catalogue import AtMost, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedHop:
    """One target that was tried.

    Attributes:
        tier: None: its row could not be read back.
        status: ``"running"``, ``"interrupted"``, or as `hops.HopStatus` says.
        signals: What was measured of the draft.
        cost_usd: None: not known.
        seconds: From its start to its end. None: not known.
        error_kind: Of its last attempt, a `HopError.kind`. None: it ended well, or has not ended.
        finish: Why its answer ended. None: not known.
        output_tokens: Of its answer. None: not known.
    """

    target: str
    tier: str | None
    status: str
    cause: str | None = None
    signals: Mapping[str, Value] = field(default_factory=dict)
    cost_usd: Decimal | None = None
    seconds: float | None = None
    error_kind: str | None = None
    finish: str | None = None
    output_tokens: int | None = None

    @property
    def answered(self) -> bool:
        """Whether there was a whole answer, kept or not."""
        return self.status in ("answered", "deferred") and self.error_kind is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request that is over.

    Attributes:
        started_at: Seconds since 1970-01-01 UTC.
        policy: Who decided; likewise `revision`.
        signals: What was known of the request.
        hops: In the order they were taken.
        answered_by: Index into `hops`. None: no hop's answer was returned.
        cost_usd: Over all hops. None: not known.
    """

    decision_id: str
    started_at: float | None = None
    policy: str | None = None
    revision: str | None = None
    status: str = "answered"
    signals: Mapping[str, Value] = field(default_factory=dict)
    hops: tuple[RecordedHop, ...] = ()
    answered_by: int | None = None
    cost_usd: Decimal | None = None


def signal_value(plain: object) -> Value:
    """A signal's value back from the JSON it was recorded as; see `policy.explain.plain`."""
    if isinstance(plain, Mapping):
        bound = plain.get("at_most")
        return AtMost(bound) if isinstance(bound, int | float) else None
    return plain if isinstance(plain, bool | int | float | str) else None
