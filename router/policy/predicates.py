"""Questions about signals that are answered yes, no or unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    bound: float | str | bool | tuple[str, ...]

    def truth(self, signals: Signals) -> Truth:
        value = signals.get(self.signal)
        if value is None:
            return None
        if isinstance(value, AtMost):
            return self._of_bound(value.bound)
        return _COMPARE[self.op](value, self.bound)

    def _of_bound(self, most: float) -> Truth:
        """What an upper bound alone decides."""
        if isinstance(self.bound, bool) or not isinstance(self.bound, (int, float)):
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


def demands(predicate: Predicate, test: Test) -> bool:
    """Whether the predicate, as it is written, is true only where `test` is."""
    if isinstance(predicate, All):
        return any(demands(part, test) for part in predicate.parts)
    return predicate == test


def between(strict: Predicate, loose: Predicate, share: float) -> Predicate:
    """`strict` with every bound moved `share` of the way to that of `loose`.

    Args:
        share: 0 gives the bounds of `strict`, 1 those of `loose`.

    Both have to be built alike: the same signals and comparisons in the same order.
    """
    if isinstance(strict, Test) and isinstance(loose, Test):
        return Test(strict.signal, strict.op, _moved(strict.bound, loose.bound, share))
    if isinstance(strict, Not) and isinstance(loose, Not):
        return Not(between(strict.part, loose.part, share))
    for kind in (All, AnyOf):
        if isinstance(strict, kind) and isinstance(loose, kind):
            pairs = zip(strict.parts, loose.parts, strict=True)
            return kind(tuple(between(a, b, share) for a, b in pairs))
    raise TypeError("predicates that are not built alike")


def _moved(strict: Any, loose: Any, share: float) -> Any:
    if strict == loose:  # words and flags too, which have no way between them
        return strict
    # At the end exactly the end: floats would land beside it.
    return float(loose if share >= 1 else strict + (loose - strict) * share)
