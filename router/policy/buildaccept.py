"""The `accept` part of a parsed policy becomes requirements; what is wrong has its place."""

from __future__ import annotations

from typing import Any, Protocol, cast

from ..document import Place
from ..errors import PolicyError
from .confided import of_confidence
from .document import AcceptPart, PolicyDocument
from .predicates import All, AnyOf, Not, Predicate, Test, tests_in
from .rules import Requirement, Starter


class Builder(Protocol):
    """What is needed of `build`: it checks names, and says where something is wrong."""

    def tiers(self, names: list[str], place: Place) -> list[str]: ...

    def predicate(self, data: Any, place: Place, known: tuple[str, ...]) -> Predicate: ...

    def fail(self, message: str, place: Place, hint: str | None = None) -> PolicyError: ...


def build_accept(builder: Builder, shape: PolicyDocument) -> tuple[Requirement, ...]:
    """The requirements, in the order of the file.

    Raises:
        PolicyError: a `near_budget` has no budget, is of another shape or stricter; an
            `until_certified` stands in for what needs no calibration, or needs one itself.
    """
    has_budget = shape.limits.day_usd is not None
    return tuple(
        _requirement(builder, part, ("accept", i), has_budget=has_budget)
        for i, part in enumerate(shape.accept)
    )


def _requirement(
    builder: Builder, part: AcceptPart, place: Place, *, has_budget: bool
) -> Requirement:
    both = ("request", "draft")
    on = frozenset(builder.tiers(part.on, (*place, "on")))
    require = builder.predicate(part.require, (*place, "require"), both)
    starter: Predicate | None = None
    if part.until_certified is not None:
        spot: Place = (*place, "until_certified")
        starter = builder.predicate(part.until_certified, spot, both)
        _stands_in(builder, require, starter, spot)
    if part.near_budget is None:
        return Requirement(
            part.id, on, require, None, None if starter is None else Starter(starter)
        )
    spot = (*place, "near_budget")
    loose = builder.predicate(part.near_budget, spot, both)
    if not has_budget:
        raise builder.fail("needs a day's budget to be near to", spot, "set limits.day_usd")
    # It moves the bar that it is built like; the other stays where it is.
    if starter is not None and _alike(starter, loose):
        _loosens(builder, starter, loose, spot)
        return Requirement(part.id, on, require, None, Starter(starter, loose))
    _loosens(builder, require, loose, spot)
    return Requirement(part.id, on, require, loose, None if starter is None else Starter(starter))


def _stands_in(builder: Builder, require: Predicate, starter: Predicate, place: Place) -> None:
    """A starter bar is for what only a calibration can tell, and has to do without one."""
    if not of_confidence(frozenset(test.signal for test in tests_in(require))):
        raise builder.fail(
            "stands in for a requirement that needs no calibration",
            place,
            "let require ask for draft.certified, draft.confidence, draft.confidence_low or "
            "draft.gain",
        )
    for test in tests_in(starter):
        if of_confidence(frozenset((test.signal,))):
            raise builder.fail(
                f"{test.signal} is unknown until there is a calibration",
                place,
                "hold a raw signal here, such as draft.mean_logprob",
            )


def _loosens(builder: Builder, strict: Predicate, loose: Predicate, place: Place) -> None:
    """Near the budget a bar may only come down."""
    if not _alike(strict, loose):
        raise builder.fail(
            "has to be built like require: the same signals and comparisons, other numbers",
            place,
        )
    for a, b in zip(tests_in(strict), tests_in(loose), strict=True):
        if a.op not in _DOWNWARD or isinstance(a.bound, bool | str | tuple):
            if a.bound != b.bound:
                raise builder.fail(
                    f"{a.signal} {a.op} can't move by degrees", place, "use gt, gte, lt or lte"
                )
        elif _DOWNWARD[a.op] * (cast(float, b.bound) - a.bound) < 0:
            raise builder.fail(
                f"{a.signal} {a.op} {b.bound:g} is stricter than {a.bound:g}",
                place,
                "near the budget more drafts are kept, not fewer",
            )


_DOWNWARD = {"gte": -1, "gt": -1, "lte": 1, "lt": 1}
"""Which way a bound moves to let more through."""


def _alike(a: Predicate, b: Predicate) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, Test) and isinstance(b, Test):
        return (a.signal, a.op) == (b.signal, b.op)
    if isinstance(a, Not) and isinstance(b, Not):
        return False  # under a not, down is up; nobody needs it
    if isinstance(a, All | AnyOf) and isinstance(b, All | AnyOf):
        return len(a.parts) == len(b.parts) and all(
            _alike(x, y) for x, y in zip(a.parts, b.parts, strict=True)
        )
    return False
