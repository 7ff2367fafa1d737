"""Every predicate of a policy, with the place in its file where it stands. For `lint`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from ..document import Place
from ..signals.catalogue import find_signal
from .predicates import Predicate, Test, tests_in
from .rules import Policy


@dataclass(frozen=True, slots=True)
class Part:
    """A rule's predicate and where it stands.

    Attributes:
        what: What kind of rule it is.
        never: What follows when it is never true.
        tiers: Whose drafts it is about; empty for a rule about the request.
    """

    what: str
    place: Place
    key: str
    predicate: Predicate
    never: str
    tiers: tuple[str, ...] = ()

    @property
    def spot(self) -> Place:
        return (*self.place, self.key)


def parts_of(policy: Policy) -> Iterator[Part]:
    """Every predicate of the policy."""
    for i, guard in enumerate(policy.guards):
        never = "it never forbids"
        if any(may_be_unknown(test) for test in tests_in(guard.when)):
            never = "it forbids only where a signal is unknown"
        yield Part("guard", ("guards", i), "when", guard.when, never)
    for i, rule in enumerate(policy.route):
        yield Part("route", ("route", i), "when", rule.when, "it never matches")
    for i, wanted in enumerate(policy.accept):
        tiers = in_order(policy, wanted.on)
        held = in_order(policy, wanted.on - {policy.tiers[-1]})
        never = f"no draft of {' or '.join(held)} is ever kept" if held else "it always flags"
        place: Place = ("accept", i)
        yield Part("requirement", place, "require", wanted.require, never, tiers)
        for either in wanted.bars():
            if either is not wanted:
                yield Part("requirement", place, "until_certified", either.require, never, tiers)
            if either.near_budget is not None:
                yield Part("requirement", place, "near_budget", either.near_budget, never, tiers)
    for i, early in enumerate(policy.early):
        tiers = in_order(policy, early.on)
        never = "nothing is ever shown early"
        yield Part("early commit", ("early", i), "require", early.require, never, tiers)
    for i, abort in enumerate(policy.abort):
        for n, bar in enumerate(abort.bars):
            place = ("abort", i, "bars", n)
            tiers = in_order(policy, abort.on)
            yield Part("bar", place, "when", bar.when, "it never gives a draft up", tiers)
    doubt = None if policy.race is None else policy.race.doubt
    if doubt is not None:
        place = ("race", "doubt")
        first = policy.tiers[:1]
        yield Part("doubt", place, "when", doubt.when, "it never starts a race", first)


def in_order(policy: Policy, tiers: frozenset[str]) -> tuple[str, ...]:
    """Those tiers, weak to strong."""
    return tuple(tier for tier in policy.tiers if tier in tiers)


def may_be_unknown(test: Test) -> bool:
    """Whether there are requests of which its signal says nothing."""
    signal = find_signal(test.signal)
    return signal is None or signal.may_be_unknown


def placed_tests(data: Any, part: Part) -> list[tuple[Test, Place]]:
    """Each test of a predicate with the place of its comparison in the document."""
    for key in part.spot:
        data = data[key]
    return list(zip(tests_in(part.predicate), _places(data, part.spot), strict=True))


def _places(data: Any, place: Place) -> Iterator[Place]:
    """Where each comparison stands, in the order in which `build` makes tests of them."""
    for key, value in cast("dict[str, Any]", data).items():
        spot = (*place, key)
        if key in ("all", "any"):
            for i, part in enumerate(value):
                yield from _places(part, (*spot, i))
        elif key == "not":
            yield from _places(value, spot)
        else:
            for op in value:
                yield (*spot, op)
