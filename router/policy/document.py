"""The YAML shape of a policy. A good document becomes `rules`; a bad one names line and field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

from ..document import Document, Place, nearest, shown, validate
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
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_USD = 1_000_000
FEWEST_USD = Decimal("1e-12")


def dollars(value: object) -> Decimal:
    """A dollar amount from a config or a caller: text or a whole number, never a float.

    Raises:
        ValueError: it is no amount, is negative, finer than 1e-12 or more than a million. (A text
            such as "1e99999999" is a number, and writing it out would take 100 MB.)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('has to be an amount of dollars in quotes, like "0.01"')
    try:
        amount = Decimal(value)
    except ArithmeticError as exc:
        raise ValueError(f'{shown(value)} is no amount of dollars; write it like "0.01"') from exc
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise ValueError(f"{shown(value)} is no amount of dollars between 0 and {MOST_USD}")
    if amount % FEWEST_USD:
        raise ValueError(f"{shown(value)} is finer than {FEWEST_USD} dollars")
    return abs(amount)  # "-0" is zero


def _a_word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is no name: use at most 64 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first"
        )
    return value


Name = Annotated[StrictStr, AfterValidator(_a_word)]
Dollars = Annotated[Decimal, BeforeValidator(dollars)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _GuardPart(_Part):
    id: Name
    when: dict[str, Any]
    forbid: list[StrictStr] = Field(min_length=1)


class _RoutePart(_Part):
    id: Name
    when: dict[str, Any]
    start: StrictStr


class _AcceptPart(_Part):
    id: Name
    on: list[StrictStr] = Field(min_length=1)
    require: dict[str, Any]


class _LimitsPart(_Part):
    hops: StrictInt | None = Field(default=None, ge=1)
    deadline_s: float | None = Field(default=None, strict=True, gt=0, allow_inf_nan=False)
    cost_usd: Dollars | None = None


class PolicyDocument(_Part):
    """The document as people write it."""

    policy: Name
    summary: StrictStr
    tiers: list[Name] = Field(min_length=1)
    guards: list[_GuardPart] = []
    route: list[_RoutePart] = []
    accept: list[_AcceptPart] = []
    limits: _LimitsPart = _LimitsPart()


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
            cost_usd=shape.limits.cost_usd,
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
            raise self.fail(f"unknown tier {shown(name)}", place, nearest(name, self.known_tiers))
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
                    f"{signal.name} is a {signal.type}; it can't be compared by {shown(op)}",
                    spot,
                    nearest(op, ops),
                )
            parts.append(Test(signal.name, cast(Op, op), self.bound(signal, op, bound, spot)))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def bound(self, signal: Signal, op: str, bound: Any, place: Place) -> Any:
        if signal.type == "number":
            if isinstance(bound, bool) or not isinstance(bound, (int, float)):
                raise self.fail(f"has to be a number, not {shown(bound)}", place)
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
            quotes = "a truth value; write the word in quotes" if isinstance(word, bool) else None
            raise self.fail(
                f"{shown(word)} is none of {signal.name}'s words",
                place,
                quotes or nearest(str(word), signal.words),
            )
        return cast(str, word)
