"""What went wrong, as a caller over HTTP is told: a status, a code and OpenAI's shape.

Comes in: an error of the street, or a `Refusal` of the door. Goes out: a `Failure`, then bytes.
The statuses stand in docs/sidecar.md; an OpenAI client raises its own error class for each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ...errors import (
    ConfigError,
    ContentFiltered,
    Filtered,
    Forbidden,
    HopError,
    Incapable,
    LimitReached,
    NoAnswer,
    NotSent,
    RateLimited,
    Refused,
    RouterError,
    TimedOut,
    Unavailable,
)
from ...hops import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One error response.

    Attributes:
        status: HTTP status.
        kind: OpenAI's `type`, such as ``"invalid_request_error"``.
        code: A stable word for programs.
        param: The field of the request that is wrong. None: it is no field.
        retry_after_s: Seconds after which another try may go well. None: nobody knows.
        close: Whether the connection ends with the response.
        allow: For a 405: the methods that there are.
    """

    status: int
    message: str
    kind: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    close: bool = False
    allow: str | None = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the response says beside its body.

        `x-should-retry` is what official clients heed: a street that has tried every target is
        not driven down again by a client's own retries, unless waiting may help.
        """
        again = self.status in (429, 503)
        found = [(b"x-should-retry", b"true" if again else b"false")]
        if self.retry_after_s is not None:
            found.append((b"retry-after", str(max(1, math.ceil(self.retry_after_s))).encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        if self.close:
            found.append((b"connection", b"close"))
        if self.allow is not None:
            found.append((b"allow", self.allow.encode()))
        return found

    def body(self, router: Mapping[str, Any] | None = None) -> bytes:
        """The body in OpenAI's shape; `router` as in an answer, where the street was entered."""
        said: dict[str, Any] = {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }
        if router is not None:
            said["router"] = router
        return msgspec.json.encode(said)


class Refusal(Exception):
    """The door does not let a request in; never leaves the sidecar."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def refuse(
    status: int,
    message: str,
    code: str,
    *,
    param: str | None = None,
    close: bool = False,
    retry_after_s: float | None = None,
) -> Refusal:
    """A refusal in one line."""
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    return Refusal(
        Failure(
            status=status,
            message=message,
            kind=kind,
            code=code,
            param=param,
            close=close,
            retry_after_s=retry_after_s,
        )
    )


def failure_of(error: RouterError) -> Failure:
    """How an error of the street is told."""
    if isinstance(error, ConfigError):
        hint = f" ({error.hint})" if error.hint else ""
        place = f"{error.field}: " if error.field else ""
        return Failure(
            status=400,
            message=f"{place}{error.message}{hint}",
            code="invalid_value",
            param=error.field,
        )
    if isinstance(error, Forbidden):
        return Failure(
            status=403, message=str(error), kind="permission_error", code="forbidden_by_policy"
        )
    if isinstance(error, LimitReached):
        status, code = _LIMITS.get(error.limit, (502, "limit_reached"))
        return Failure(status=status, message=str(error), kind="limit_error", code=code)
    if isinstance(error, ContentFiltered):
        return Failure(status=400, message=str(error), code="content_filter")
    if isinstance(error, NoAnswer):
        return _unanswered(error)
    # A ledger that can't book, a model that is not there: ours, and perhaps better soon.
    return Failure(
        status=503, message=str(error), kind="service_unavailable_error", code="not_available"
    )


_LIMITS = {
    "deadline_s": (504, "deadline_reached"),
    "cost_usd": (402, "cost_limit_reached"),
    "hops": (502, "hop_limit_reached"),
}
"""A 429 would make clients ask again, and a dollar limit that held once holds again."""


def _unanswered(error: NoAnswer) -> Failure:
    """By the causes: the status they agree on, or that of a gateway whose upstreams failed."""
    group = error.__cause__
    causes = group.exceptions if isinstance(group, ExceptionGroup) else ()
    hops = [cause for cause in causes if isinstance(cause, HopError)]
    found = {_status(cause) for cause in hops} or {(503, "no_target_available")}
    status, code = found.pop() if len(found) == 1 else (502, "no_answer")
    waits = [cause.retry_after_s for cause in hops if cause.retry_after_s is not None]
    kinds = {400: "invalid_request_error", 429: "rate_limit_error"}
    return Failure(
        status=status,
        message=str(error),
        kind=kinds.get(status, "api_error"),
        code=code,
        retry_after_s=min(waits) if waits and status in (429, 503) else None,
    )


def _status(cause: HopError) -> tuple[int, str]:
    if isinstance(cause, Incapable):
        return 400, "unsupported"
    if isinstance(cause, Refused):
        return 400, "refused_by_target"
    if isinstance(cause, Filtered):
        return 400, "content_filter"
    if isinstance(cause, RateLimited):
        return 429, "rate_limited"
    if isinstance(cause, TimedOut):
        return 504, "timed_out"
    if isinstance(cause, Unavailable | NotSent):
        return 503, "unavailable"
    return 502, "bad_gateway"  # a key that is wrong, a model that is gone, a broken wire


def route_of(outcome: Outcome) -> list[str]:
    """The targets that were tried, in order."""
    return [hop.target for hop in outcome.hops if not hop.aside]


def money(outcome: Outcome) -> str | None:
    """Dollars over all hops, exact. None: not known."""
    return None if outcome.cost_usd is None else format(outcome.cost_usd, "f")


def router_field(outcome: Outcome) -> dict[str, Any]:
    """The `router` field of a body: how the answer, or its absence, came about."""
    index = outcome.answered_by
    hop = None if index is None else outcome.hops[index]
    route = route_of(outcome)
    return {
        "decision_id": outcome.decision_id,
        "policy": outcome.policy,
        "policy_revision": outcome.policy_revision,
        "route": route,
        "hops": len(route),
        "answered_by": None if hop is None else hop.target,
        "finish": None if hop is None else hop.last.finish,
        "confidence": None if hop is None else hop.signals.get("draft.confidence"),
        "certified": outcome.certified,
        "cost_usd": money(outcome),
        "flags": list(outcome.flags),
        "total_s": round(outcome.total_s, 6),
    }


def router_headers(outcome: Outcome) -> list[tuple[bytes, bytes]]:
    """The same in headers. What is not known has no header."""
    policy = f"{outcome.policy}@{outcome.policy_revision}"
    route = route_of(outcome)
    found = [
        (b"x-firsthop-decision-id", outcome.decision_id.encode()),
        (b"x-firsthop-policy", policy.encode("ascii", "replace")),
        (b"x-firsthop-route", ">".join(route).encode("ascii", "replace")),
        (b"x-firsthop-hops", b"%d" % len(route)),
    ]
    if outcome.certified is not None:
        found.append((b"x-firsthop-certified", b"true" if outcome.certified else b"false"))
    cost = money(outcome)
    if cost is not None:
        found.append((b"x-firsthop-cost-usd", cost.encode()))
    return found


def stream_headers(decision_id: str, policy: str) -> list[tuple[bytes, bytes]]:
    """What is known of a stream before its first byte; `policy` is name and revision."""
    return [
        (b"x-firsthop-decision-id", decision_id.encode()),
        (b"x-firsthop-policy", policy.encode("ascii", "replace")),
    ]
