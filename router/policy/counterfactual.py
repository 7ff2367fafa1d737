"""What would have had to be different for the policy to decide otherwise. Pure.

For each signal that the deciding rules read, the nearest change of that signal alone that changes
the decision. Each is verified by deciding again; "none" is said only after trying every value that
could make a difference. Signals that hang together (a draft's least likely token can't be likelier
than its mean) are treated one by one, as if the others could stay as they are.

*Nearest* means:

- a number: the least distance from its value, of the floats (or whole numbers) in its range; of two
  equally near the smaller one;
- a number known only as a bound: the same, measured from that bound;
- a number that is unknown: the first bar, in the order of the rules, at which or just beside which
  the decision flips, since there is nothing to measure from;
- a word: the first in the catalogue's order. Where any word goes: the first that the policy speaks
  of, then the empty one, then `ANOTHER_WORD`, which stands for all the rest;
- a flag: the other one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..signals.catalogue import AtMost, Signal, Value, find_signal
from .decide import Before, after, before, early, pace
from .explain import show
from .predicates import Predicate, Signals, Test, between, tests_in
from .rules import CALIBRATED, Policy, Requirement, Starter
from .trace import Check

ANOTHER_WORD = "any other word"
"""Stands for every word that the policy does not speak of."""

_BUDGET = "world.budget_used"

Decide = Callable[[Signals], str | None]
"""What the decision would be with these signals, in words. None: the same as it is."""


@dataclass(frozen=True, slots=True)
class Flip:
    """The nearest change of one signal that changes a decision.

    Attributes:
        signal: Its name.
        now: Its value. None: unknown.
        value: The one with which the decision would have been another. None: there is none.
        would: What it would have been, in words: ``"kept"``. Empty: there is none.
    """

    signal: str
    now: Value
    value: Value
    would: str


def before_flips(policy: Policy, signals: Signals) -> tuple[Flip, ...]:
    """What would have changed the start or the permitted tiers; one for each signal read.

    Whether another tier would have been raced is not asked.
    """
    now = before(policy, signals)
    tests = [test for p in _of_request(policy) for test in tests_in(p)]

    def decide(changed: Signals) -> str | None:
        return _would_begin(policy, now, before(policy, changed))

    return _flips(_read(now.checks), tests, signals, decide)


def after_flips(policy: Policy, tier: str, signals: Signals) -> tuple[Flip, ...]:
    """What would have changed whether a draft of `tier` is kept; one for each signal read."""
    now = after(policy, tier, signals)

    def decide(changed: Signals) -> str | None:
        kept = after(policy, tier, changed).accepted
        return None if kept is now.accepted else "kept" if kept else "not kept"

    tests = [test for check in now.checks for test in tests_in(check.predicate)]
    read = _read(now.checks)
    asked = [r for r in policy.accept if tier in r.on]
    if any(r.until_certified for r in asked):
        read = dict.fromkeys((*read, CALIBRATED))
    moving = [held for r in asked if (held := r.held(signals)).near_budget is not None]
    if moving:
        read = dict.fromkeys((*read, _BUDGET))
        tests += [Test(_BUDGET, "gte", at) for at in _crossings(policy, moving, signals)]
    return _flips(read, tests, signals, decide)


def early_flips(policy: Policy, tier: str, signals: Signals) -> tuple[Flip, ...]:
    """What would have changed whether a draft of `tier` is shown before its end."""
    now = early(policy, tier, signals)
    if now is None:
        return ()
    shown = now.truth is True

    def decide(changed: Signals) -> str | None:
        then = early(policy, tier, changed)
        would = then is not None and then.truth is True
        return None if would is shown else "shown early" if would else "held"

    return _flips(_read((now,)), tests_in(now.predicate), signals, decide)


def abort_flips(check: Check) -> tuple[Flip, ...]:
    """What would have changed whether a draft was given up at that length."""
    gone = check.truth is True

    def decide(changed: Signals) -> str | None:
        would = check.predicate.truth(changed) is True
        return None if would is gone else "given up" if would else "written on"

    return _flips(_read((check,)), tests_in(check.predicate), check.signals, decide)


def line(flip: Flip) -> str:
    """A flip for people: ``(kept had draft.mean_logprob been -0.3)``."""
    if flip.value is None:
        return f"(no other value of {flip.signal} alone changes this)"
    return f"({flip.would} had {flip.signal} been {_value_text(flip.value)})"


def _value_text(value: Value) -> str:
    """A value to the last digit that matters; next to a rounder number it says so."""
    if isinstance(value, bool) or not isinstance(value, float):
        return show(value)
    if 0 < abs(value) < _TINY:
        return f"just {'over' if value > 0 else 'under'} 0"
    for side, word in ((math.inf, "under"), (-math.inf, "over")):
        beside = math.nextafter(value, side)
        if len(repr(beside)) + _ROUNDER <= len(repr(value)):
            return f"just {word} {_exact(beside)}"
    return _exact(value)


def _exact(value: float) -> str:
    return short if float(short := show(value)) == value else repr(value)


_TINY = 1e-300
_ROUNDER = 4
"""Digits a number has to be shorter than its neighbour, so that people write the one."""


def _of_request(policy: Policy) -> Iterator[Predicate]:
    for guard in policy.guards:
        yield guard.when
    for rule in policy.route:
        yield rule.when


def _read(checks: Iterable[Check]) -> dict[str, None]:
    """Names of the signals that were looked at, in order."""
    return dict.fromkeys(test.signal for check in checks for test in tests_in(check.predicate))


def _would_begin(policy: Policy, now: Before, then: Before) -> str | None:
    """In what `then` differs from `now`, in words."""
    parts = []
    if then.start != now.start:
        parts.append("forbidden" if then.start is None else f"begun at {then.start}")
    if then.start is not None and then.permitted != now.permitted:
        more = [tier for tier in policy.tiers if tier in set(then.permitted) - set(now.permitted)]
        less = [tier for tier in policy.tiers if tier in set(now.permitted) - set(then.permitted)]
        parts += [f"{', '.join(more)} permitted"] if more else []
        parts += [f"{', '.join(less)} forbidden"] if less else []
    return " and ".join(parts) or None


def _flips(
    names: Iterable[str], tests: Sequence[Test], signals: Signals, decide: Decide
) -> tuple[Flip, ...]:
    by_signal: dict[str, list[Test]] = {}
    for test in tests:
        by_signal.setdefault(test.signal, []).append(test)
    return tuple(_flip(name, by_signal.get(name, []), signals, decide) for name in names)


def _flip(name: str, tests: Sequence[Test], signals: Signals, decide: Decide) -> Flip:
    """The nearest change of one signal; `tests` are all that might tell its values apart."""
    now, signal = signals.get(name), find_signal(name)
    best: tuple[Value, str] | None = None
    for values in _ways(signal, tests, now):
        for value in values:
            would = decide({**signals, name: value})
            if would is not None:
                best = (value, would) if best is None else _nearer(now, best, (value, would))
                break  # the rest of this way lies farther off
    return Flip(name, now, None, "") if best is None else Flip(name, now, *best)


def _nearer(now: Value, a: tuple[Value, str], b: tuple[Value, str]) -> tuple[Value, str]:
    """The one whose value is nearer to `now`; where both are as near, `a`."""
    return b if _distance(now, b[0]) < _distance(now, a[0]) else a


def _distance(now: Value, value: Value) -> Fraction:
    """Exact: two floats' difference, rounded, can make the farther of two look as near."""
    origin = now.bound if isinstance(now, AtMost) else now
    if not isinstance(origin, int | float) or not isinstance(value, int | float):
        return Fraction(0)
    return abs(Fraction(value) - Fraction(origin))


def _ways(signal: Signal | None, tests: Sequence[Test], now: Value) -> tuple[Sequence[Value], ...]:
    """Values to try, as ways that lead away from `now`, each in the order of distance.

    Between two neighbouring bounds a number makes no difference, so next to each bound is enough.
    """
    kind = _kind(signal, tests)
    if kind == "flag":
        return ([flag for flag in (True, False) if flag is not now],)
    if kind == "word":
        return ([word for word in _words(signal, tests) if word != now],)
    numbers = list(dict.fromkeys(_beside(signal, tests)))
    if now is None or isinstance(now, str):
        return (numbers,)
    if not isinstance(now, AtMost):
        return _away(numbers, now)
    # Knowing the number can decide what a bound on it leaves open, the bound itself included.
    whole = signal is not None and signal.whole
    itself = [math.floor(now.bound), math.ceil(now.bound)] if whole else [now.bound]
    numbers += [_clipped(signal, number) for number in itself]
    return [n for n in numbers if n == now.bound], *_away(numbers, now.bound)


def _away(numbers: Iterable[int | float], origin: float) -> tuple[Sequence[Value], Sequence[Value]]:
    """The numbers below and above, each from the nearest on."""
    below = sorted((n for n in numbers if n < origin), reverse=True)
    return below, sorted(n for n in numbers if n > origin)


def _kind(signal: Signal | None, tests: Sequence[Test]) -> str:
    if signal is not None:
        return signal.type
    bounds = [test.bound for test in tests]
    if any(isinstance(bound, bool) for bound in bounds):
        return "flag"
    return "word" if any(isinstance(bound, str | tuple) for bound in bounds) else "number"


def _words(signal: Signal | None, tests: Sequence[Test]) -> list[str]:
    if signal is not None and signal.words:
        return list(signal.words)
    spoken: list[str] = []
    for test in tests:
        spoken += test.bound if isinstance(test.bound, tuple) else [str(test.bound)]
    another = ANOTHER_WORD
    while another in spoken:
        another += "!"
    return list(dict.fromkeys((*spoken, "", another)))


def _beside(signal: Signal | None, tests: Sequence[Test]) -> Iterator[int | float]:
    """Each bound and what lies next to it on either side; past the signal's range, its end."""
    for test in tests:
        if isinstance(test.bound, str | tuple):
            continue
        bound = float(test.bound)
        near: tuple[int | float, ...]
        if signal is not None and signal.whole:
            floor, ceil = math.floor(bound), math.ceil(bound)
            near = (floor, ceil, floor - 1, ceil + 1)
        else:
            near = (bound, math.nextafter(bound, -math.inf), math.nextafter(bound, math.inf))
        yield from (_clipped(signal, number) for number in near if math.isfinite(number))


def _clipped(signal: Signal | None, number: int | float) -> int | float:
    """The number, or the end of the signal's range that it lies beyond."""
    if signal is None:
        return number
    low = number if signal.low is None else max(number, signal.low)
    return low if signal.high is None else min(low, signal.high)


def _crossings(
    policy: Policy, moving: Sequence[Requirement | Starter], signals: Signals
) -> Iterator[float]:
    """Shares of the day's budget at which a moving bar passes the value it is held against.

    A bar moves one way, from `limits.pace_from` of the budget to all of it, so that it passes a
    value once at most: halving the way finds the two neighbouring floats between which it does.
    """
    start = policy.limits.pace_from
    yield start
    yield 1.0
    for requirement in moving:
        if requirement.near_budget is None:
            continue
        for strict, loose in zip(
            tests_in(requirement.require), tests_in(requirement.near_budget), strict=True
        ):
            if strict.bound != loose.bound:
                yield from _crossing(policy, strict, loose, signals)


def _crossing(policy: Policy, strict: Test, loose: Test, signals: Signals) -> Iterator[float]:
    def holds(used: float) -> bool:
        there = {**signals, _BUDGET: used}
        share = pace(policy, there)
        bar = between(strict, loose, share) if share > 0 else strict
        return bar.truth(there) is True

    low, high = policy.limits.pace_from, 1.0
    at_low = holds(low)
    if holds(high) is at_low:
        return
    while (middle := (low + high) / 2) not in (low, high):
        if holds(middle) is at_low:
            low = middle
        else:
            high = middle
    yield low
    yield high
