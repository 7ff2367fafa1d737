"""What a predicate says of itself: whether it can ever hold, and whether another holds with it.

Answers are careful: "never" and "implied" are said only where they are certain. Pure.

A predicate becomes a list of *cases*, each a set of tests that all have to hold; it is true where
one of its cases is. Turning it round that way, and pushing every `not` into the tests, changes
nothing under Kleene's logic, unknown included. Of a case each signal's tests leave a region: an
interval of floats or whole numbers, or a set of words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ..signals.catalogue import Signal, find_signal
from .predicates import All, AnyOf, Not, Op, Predicate, Test

MOST_CASES = 256
"""Beyond that many a predicate is not taken apart, and nothing is said of it."""

Case = tuple[Test, ...]

_OPPOSITE: dict[Op, Op] = {
    "gt": "lte",
    "gte": "lt",
    "lt": "gte",
    "lte": "gt",
    "is": "is_not",
    "is_not": "is",
    "in": "not_in",
    "not_in": "in",
}
_PINS_DOWN = ("gt", "gte", "is")
"""Tests of a number that no upper bound can make true: only a known number does."""


def opposite(test: Test) -> Test:
    """The test that is true where `test` is false, and unknown where it is."""
    return Test(test.signal, _OPPOSITE[test.op], test.bound)


def cases(predicate: Predicate) -> tuple[Case, ...] | None:
    """The cases in which it is true. None: there are too many of them to tell."""
    try:
        return tuple(dict.fromkeys(_cases(predicate, plain=True)))
    except _TooMany:
        return None


class _TooMany(Exception):
    pass


def _cases(predicate: Predicate, *, plain: bool) -> list[Case]:
    """Cases of the predicate, or, where `plain` is false, of its opposite."""
    if isinstance(predicate, Test):
        return [(predicate if plain else opposite(predicate),)]
    if isinstance(predicate, Not):
        return _cases(predicate.part, plain=not plain)
    if not isinstance(predicate, All | AnyOf):
        raise TypeError(f"not a predicate: {predicate!r}")
    parts = [_cases(part, plain=plain) for part in predicate.parts]
    if isinstance(predicate, AnyOf) is plain:
        found = [case for part in parts for case in part]
    else:
        found = [()]
        for part in parts:
            _check(len(found) * len(part))
            found = [(*a, *b) for a in found for b in part]
    _check(len(found))
    return found


def _check(count: int) -> None:
    if count > MOST_CASES:
        raise _TooMany


def never_true(predicate: Predicate, *, ranged: bool = True, unknown: Iterable[str] = ()) -> bool:
    """Whether no signals whatever make it true.

    Args:
        ranged: Whether signals keep to the range and the words of the catalogue.
        unknown: Signals that are never known, so that no test of them is ever true.
    """
    found, dark = cases(predicate), frozenset(unknown)
    return found is not None and all(
        any(test.signal in dark for test in case) or not _possible(_regions(case, ranged=ranged))
        for case in found
    )


def never_false(predicate: Predicate, *, ranged: bool = True, unknown: Iterable[str] = ()) -> bool:
    """Whether no signals whatever make it false; it may be unknown."""
    return never_true(Not(predicate), ranged=ranged, unknown=unknown)


def spread(predicate: Predicate) -> Spread | None:
    """The cases that can be, each with its regions. None: there are too many to tell."""
    found = cases(predicate)
    if found is None:
        return None
    regions = (_regions(case, ranged=True) for case in found)
    return tuple(each for each in regions if _possible(each))


def implied_by(mine: Spread | None, others: Sequence[Spread | None]) -> tuple[int, ...] | None:
    """Which of `others` are true whenever `mine` is, between them.

    Returns: Indexes into `others`; one may cover one case and another the next. None: it can be
        true while none of them is, or one can't tell. Never said of what is never true itself.
    """
    covering: set[int] = set()
    for case in mine or ():
        covers = next(
            (i for i, of in enumerate(others) if any(_inside(case, other) for other in of or ())),
            None,
        )
        if covers is None:
            return None
        covering.add(covers)
    return tuple(sorted(covering)) or None


def _possible(regions: Regions) -> bool:
    return not any(region.empty for _, region in regions.values())


def _inside(case: Regions, other: Regions) -> bool:
    """Whether `other` is true wherever `case` is."""
    # A signal that `case` does not ask about may be unknown, which makes no test true.
    return all(name in case and _known_inside(*case[name], *there) for name, there in other.items())


def _known_inside(mine: Case, region: Region, theirs: Case, around: Region) -> bool:
    """Whether tests of one signal are true wherever `mine` are, upper bounds included."""
    if isinstance(region, Words) and isinstance(around, Words):
        return region.inside(around)
    if not isinstance(region, Span) or not isinstance(around, Span) or not region.inside(around):
        return False
    if any(test.op in _PINS_DOWN for test in mine):
        return True
    # An upper bound may have made `mine` true. It says nothing of what lies below.
    written = _span(mine, None)
    return (
        all(
            test in mine
            or test.op in ("lt", "lte")
            or (test.op == "is_not" and written.high < cast(float, test.bound))
            for test in theirs
        )
        and written.high <= _span(theirs, None).high
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, both included, less `holes`."""

    low: float
    high: float
    holes: frozenset[float]
    whole: bool

    @property
    def empty(self) -> bool:
        if self.low > self.high:
            return True
        if self.low == self.high:
            return self.low in self.holes
        if not self.whole or self.high - self.low >= len(self.holes):
            return False
        return all(n in self.holes for n in range(int(self.low), int(self.high) + 1))

    def inside(self, other: Span) -> bool:
        """Whether every number of this one is in `other`."""
        in_bounds = other.low <= self.low and self.high <= other.high
        here = (hole for hole in other.holes if self.low <= hole <= self.high)
        return in_bounds and all(hole in self.holes for hole in here)


@dataclass(frozen=True, slots=True)
class Words:
    """Words or flags: these, or, where `only` is None, all but `never`."""

    only: frozenset[object] | None
    never: frozenset[object]

    @property
    def empty(self) -> bool:
        return self.only is not None and not self.only - self.never

    def inside(self, other: Words) -> bool:
        """Whether every word of this one is in `other`."""
        if self.only is not None:
            mine = self.only - self.never
            return not mine & other.never and (other.only is None or mine <= other.only)
        return other.only is None and other.never <= self.never


Region = Span | Words
Regions = Mapping[str, tuple[Case, Region]]
"""Of one case: by signal, its tests and what they leave of it."""

Spread = tuple[Regions, ...]


def _regions(case: Case, *, ranged: bool) -> Regions:
    by_signal: dict[str, list[Test]] = {}
    for test in case:
        by_signal.setdefault(test.signal, []).append(test)
    found: dict[str, tuple[Case, Region]] = {}
    for name, several in by_signal.items():
        tests = tuple(several)
        numbers = all(_is_number(test.bound) for test in tests)
        bounds = find_signal(name) if ranged else None
        found[name] = tests, _span(tests, bounds) if numbers else _words(tests, bounds)
    return found


def _is_number(bound: object) -> bool:
    return isinstance(bound, int | float) and not isinstance(bound, bool)


def _span(tests: Case, signal: Signal | None) -> Span:
    whole = signal is not None and signal.whole
    low, high, holes = -math.inf, math.inf, set()
    if signal is not None:
        low = low if signal.low is None else signal.low
        high = high if signal.high is None else signal.high
    up, down = (_whole_up, _whole_down) if whole else (_float_up, _float_down)
    for test in tests:
        bound = float(cast(float, test.bound))
        if test.op in ("gt", "gte", "is"):
            low = max(low, up(bound, test.op == "gt"))
        if test.op in ("lt", "lte", "is"):
            high = min(high, down(bound, test.op == "lt"))
        if test.op == "is_not":
            holes.add(bound)
    return Span(low, high, frozenset(holes), whole)


def _float_up(bound: float, past: bool) -> float:
    return math.nextafter(bound, math.inf) if past else bound


def _float_down(bound: float, past: bool) -> float:
    return math.nextafter(bound, -math.inf) if past else bound


def _whole_up(bound: float, past: bool) -> float:
    return float(math.floor(bound) + 1 if past else math.ceil(bound))


def _whole_down(bound: float, past: bool) -> float:
    return float(math.ceil(bound) - 1 if past else math.floor(bound))


def _words(tests: Case, signal: Signal | None) -> Words:
    only: frozenset[object] | None = None
    never: frozenset[object] = frozenset()
    if any(isinstance(test.bound, bool) for test in tests):
        only = frozenset({True, False})
    elif signal is not None and signal.words:
        only = frozenset(signal.words)
    for test in tests:
        named: frozenset[object] = frozenset(
            test.bound if isinstance(test.bound, tuple) else (test.bound,)
        )
        if test.op in ("is", "in"):
            only = named if only is None else only & named
        else:
            never |= named
    return Words(only, never)
