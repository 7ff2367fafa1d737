"""The YAML shape of a policy. A good document becomes `rules`; a bad one names line and field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, field_validator

from ..document import Document, Place, nearest, validate
from ..errors import PolicyError
from ..signals.catalogue import CATALOGUE, Signal
from .rules import (
    All,
    AnyOf,
    Guard,
    Limits,
    Not,
    Op,
    Policy,
    Predicate,
    Requirement,
    Route,
    Test,
)

_NUMBER_OPS = ("gt", "gte", "lt", "lte", "is", "is_not")
_WORD_OPS = ("is", "is_not", "in", "not_in")
_WORD = r"^[a-z0-9][a-z0-9._-]*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _GuardPart(_Part):
    id: StrictStr = Field(pattern=_WORD)
    when: dict[str, Any]
    forbid: list[StrictStr] = Field(min_length=1)


class _RoutePart(_Part):
    id: StrictStr = Field(pattern=_WORD)
    when: dict[str, Any]
    start: StrictStr


class _AcceptPart(_Part):
    id: StrictStr = Field(pattern=_WORD)
    on: list[StrictStr] = Field(min_length=1)
    require: dict[str, Any]


class _LimitsPart(_Part):
    hops: StrictInt | None = Field(default=None, ge=1)
    deadline_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    cost_usd: StrictStr | StrictInt | None = None

    @field_validator("cost_usd")
    @classmethod
    def _dollars(cls, value: str | int | None) -> str | int | None:
        if value is not None:
            dollars(value)
        return value


class PolicyDocument(_Part):
    """The document as people write it."""

    policy: StrictStr = Field(pattern=_WORD)
    summary: StrictStr
    tiers: list[StrictStr] = Field(min_length=1)
    guards: list[_GuardPart] = []
    route: list[_RoutePart] = []
    accept: list[_AcceptPart] = []
    limits: _LimitsPart = _LimitsPart()


def dollars(value: str | int) -> Decimal:
    """A dollar amount from a config. Raises ValueError for what is none, or is negative."""
    try:
        amount = Decimal(value)
    except ArithmeticError as exc:
        raise ValueError(f'{value!r} is no amount of dollars; write it like "0.01"') from exc
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value!r} is no amount of dollars")
    return amount


def build(document: Document, revision: str) -> Policy:
    """Turn a parsed document into a `Policy`.

    Raises:
        PolicyError: a wrong type, an unknown field, tier, signal or comparison, a duplicate id.
    """
    shape = validate(document, PolicyDocument, kind=PolicyError)
    builder = _Builder(document, tuple(shape.tiers))
    builder.once(shape.tiers, ("tiers",), "tier")
    for room in ("guards", "route", "accept"):
        parts = getattr(shape, room)
        builder.once([p.id for p in parts], (room,), "id", key="id")
    return Policy(
        name=shape.policy,
        revision=revision,
        summary=shape.summary,
        tiers=tuple(shape.tiers),
        guards=tuple(
            Guard(
                g.id,
                builder.predicate(g.when, ("guards", i, "when"), known=("request",)),
                frozenset(builder.tiers(g.forbid, ("guards", i, "forbid"))),
            )
            for i, g in enumerate(shape.guards)
        ),
        route=tuple(
            Route(
                r.id,
                builder.predicate(r.when, ("route", i, "when"), known=("request",)),
                builder.tier(r.start, ("route", i, "start")),
            )
            for i, r in enumerate(shape.route)
        ),
        accept=tuple(
            Requirement(
                a.id,
                frozenset(builder.tiers(a.on, ("accept", i, "on"))),
                builder.predicate(a.require, ("accept", i, "require"), known=("request", "draft")),
            )
            for i, a in enumerate(shape.accept)
        ),
        limits=Limits(
            hops=shape.limits.hops,
            deadline_s=shape.limits.deadline_s,
            cost_usd=None if shape.limits.cost_usd is None else dollars(shape.limits.cost_usd),
        ),
    )


class _Builder:
    """Turns parts of a document into rules, and points at what is wrong."""

    def __init__(self, document: Document, known_tiers: tuple[str, ...]) -> None:
        self.document = document
        self.known_tiers = known_tiers

    def fail(self, message: str, place: Place, hint: str | None = None) -> PolicyError:
        return cast(PolicyError, self.document.error(PolicyError, message, place, hint=hint))

    def once(self, names: list[str], place: Place, what: str, key: str | None = None) -> None:
        seen: set[str] = set()
        for i, name in enumerate(names):
            if name in seen:
                spot = (*place, i) if key is None else (*place, i, key)
                raise self.fail(f"{what} {name!r} is used twice", spot, "give each its own")
            seen.add(name)

    def tier(self, name: str, place: Place) -> str:
        if name not in self.known_tiers:
            raise self.fail(f"unknown tier {name!r}", place, nearest(name, self.known_tiers))
        return name

    def tiers(self, names: Iterable[str], place: Place) -> list[str]:
        return [self.tier(name, (*place, i)) for i, name in enumerate(names)]

    def predicate(self, data: Any, place: Place, known: tuple[str, ...]) -> Predicate:
        """One mapping; several entries in it all have to hold."""
        if not isinstance(data, dict) or not data:
            raise self.fail(
                "has to be a mapping of signal to comparison", place, "{draft.tokens: {lt: 200}}"
            )
        parts = tuple(self.entry(k, v, (*place, k), known) for k, v in data.items())
        return parts[0] if len(parts) == 1 else All(parts)

    def entry(self, key: str, value: Any, place: Place, known: tuple[str, ...]) -> Predicate:
        if key in ("all", "any"):
            if not isinstance(value, list) or not value:
                raise self.fail("has to be a list of predicates", place)
            parts = tuple(self.predicate(p, (*place, i), known) for i, p in enumerate(value))
            return All(parts) if key == "all" else AnyOf(parts)
        if key == "not":
            return Not(self.predicate(value, place, known))
        signal = CATALOGUE.get(key)
        if signal is None:
            raise self.fail("unknown signal", place, nearest(key, CATALOGUE))
        if signal.known not in known:
            raise self.fail("is known only once there is a draft", place, "use it under accept")
        return self.tests(signal, value, place)

    def tests(self, signal: Signal, value: Any, place: Place) -> Predicate:
        """``{gte: 1, lt: 5}``: every comparison has to hold."""
        ops = _NUMBER_OPS if signal.type == "number" else _WORD_OPS
        if not isinstance(value, dict) or not value:
            raise self.fail("needs a comparison", place, f"one of: {', '.join(ops)}")
        parts: list[Predicate] = []
        for op, bound in value.items():
            spot = (*place, op)
            if op not in ops:
                raise self.fail(
                    f"{signal.name} is a {signal.type}; it can't be compared by {op!r}",
                    spot,
                    nearest(op, ops),
                )
            parts.append(Test(signal.name, cast(Op, op), self.bound(signal, op, bound, spot)))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def bound(self, signal: Signal, op: str, bound: Any, place: Place) -> Any:
        if signal.type == "number":
            if isinstance(bound, bool) or not isinstance(bound, (int, float)):
                raise self.fail(f"has to be a number, not {bound!r}", place)
            if not math.isfinite(bound):
                raise self.fail("has to be a finite number", place)
            return float(bound)
        if op in ("in", "not_in"):
            if not isinstance(bound, list) or not bound:
                raise self.fail("has to be a list of words", place)
            return tuple(self.word(signal, w, (*place, i)) for i, w in enumerate(bound))
        return self.word(signal, bound, place)

    def word(self, signal: Signal, word: Any, place: Place) -> str:
        if word not in signal.words:
            shown = "a truth value; write the word in quotes" if isinstance(word, bool) else None
            raise self.fail(
                f"{word!r} is none of {signal.name}'s words",
                place,
                shown or nearest(str(word), signal.words),
            )
        return cast(str, word)
