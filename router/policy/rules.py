"""A policy as frozen values, and predicates that answer yes, no or unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from ..signals.catalogue import AtMost, Value

Truth = bool | None
"""Yes, no, or None: unknown. Kleene's strong three-valued logic."""

Signals = Mapping[str, Value]
Op = Literal["gt", "gte", "lt", "lte", "is", "is_not", "in", "not_in"]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "is": operator.eq,
    "is_not": operator.ne,
    "in": lambda value, bound: value in bound,
    "not_in": lambda value, bound: value not in bound,
}
SYMBOLS: dict[str, str] = {
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "is": "is",
    "is_not": "is not",
    "in": "in",
    "not_in": "not in",
}


class Predicate(Protocol):
    """Something that signals make true, false, or leave open."""

    def truth(self, signals: Signals) -> Truth:
        """Whether it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Test:
    """One signal against one bound."""

    signal: str
    op: Op
    bound: float | str | tuple[str, ...]

    def truth(self, signals: Signals) -> Truth:
        value = signals.get(self.signal)
        if value is None:
            return None
        if isinstance(value, AtMost):
            return self._of_bound(value.bound)
        return _COMPARE[self.op](value, self.bound)

    def _of_bound(self, most: float) -> Truth:
        """What an upper bound alone decides."""
        if not isinstance(self.bound, (int, float)):
            return None
        if self.op == "gt" and most <= self.bound:
            return False
        if self.op == "gte" and most < self.bound:
            return False
        if self.op == "lt" and most < self.bound:
            return True
        if self.op == "lte" and most <= self.bound:
            return True
        if self.op in ("is", "is_not") and most < self.bound:
            return self.op == "is_not"
        return None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Predicate, ...]

    def truth(self, signals: Signals) -> Truth:
        found: Truth = True
        for part in self.parts:
            truth = part.truth(signals)
            if truth is False:
                return False
            if truth is None:
                found = None
        return found


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Predicate, ...]

    def truth(self, signals: Signals) -> Truth:
        found: Truth = False
        for part in self.parts:
            truth = part.truth(signals)
            if truth is True:
                return True
            if truth is None:
                found = None
        return found


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Predicate

    def truth(self, signals: Signals) -> Truth:
        truth = self.part.truth(signals)
        return None if truth is None else not truth


def tests_in(predicate: Predicate) -> tuple[Test, ...]:
    """Every single test of a predicate, in the order written."""
    if isinstance(predicate, Test):
        return (predicate,)
    if isinstance(predicate, Not):
        return tests_in(predicate.part)
    if isinstance(predicate, (All, AnyOf)):
        return tuple(test for part in predicate.parts for test in tests_in(part))
    raise TypeError(f"not a predicate: {predicate!r}")


@dataclass(frozen=True, slots=True)
class Guard:
    """Forbids tiers when it matches, and when it can't tell."""

    id: str
    when: Predicate
    forbid: frozenset[str]


@dataclass(frozen=True, slots=True)
class Route:
    """Chooses where to start, before any model has run. The first that matches decides."""

    id: str
    when: Predicate
    start: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a draft of certain tiers has to meet to be kept."""

    id: str
    on: frozenset[str]
    require: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request. None: no bound.

    Attributes:
        hops: Most targets tried.
        deadline_s: Seconds from arrival, shared by all hops.
        cost_usd: Most dollars, reserved at the worst case before each hop.
    """

    hops: int | None = None
    deadline_s: float | None = None
    cost_usd: Decimal | None = None

    def tightened(self, deadline_s: float | None, cost_usd: Decimal | None) -> Limits:
        """These limits, or the caller's where those are tighter."""
        return Limits(
            hops=self.hops,
            deadline_s=_least(self.deadline_s, deadline_s),
            cost_usd=_least(self.cost_usd, cost_usd),
        )


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy.

    Attributes:
        name: Its name, as traces and the ledger show it.
        revision: First 12 hex digits of the SHA-256 of its content.
        summary: What it is for, in a sentence.
        tiers: Weak to strong; the walk begins at the first unless a route says otherwise.
    """

    name: str
    revision: str
    summary: str
    tiers: tuple[str, ...]
    guards: tuple[Guard, ...] = ()
    route: tuple[Route, ...] = ()
    accept: tuple[Requirement, ...] = ()
    limits: Limits = Limits()

    def signals(self) -> frozenset[str]:
        """Names of the signals that any rule of it speaks of."""
        predicates = (
            *(g.when for g in self.guards),
            *(r.when for r in self.route),
            *(a.require for a in self.accept),
        )
        return frozenset(test.signal for p in predicates for test in tests_in(p))
