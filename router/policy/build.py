"""A parsed policy document becomes rules; what is wrong in it is named with line and field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

from ..document import Document, Place, nearest, shown, validate
from ..errors import PolicyError
from ..signals.catalogue import CATALOGUE, FAMILIES, Signal, find_signal, tier_named
from .buildabort import build_aborts
from .buildaccept import build_accept
from .buildopinions import build_opinions
from .document import EarlyPart, PolicyDocument
from .predicates import All, AnyOf, Not, Op, Predicate, Test, tests_in
from .rules import (
    Doubt,
    Early,
    Gain,
    Guard,
    Hedge,
    Limits,
    Policy,
    Race,
    Route,
    Sample,
)

NUMBER_OPS = ("gt", "gte", "lt", "lte", "is", "is_not")
WORD_OPS = ("is", "is_not", "in", "not_in")
FLAG_OPS = ("is", "is_not")
OPS = {"number": NUMBER_OPS, "word": WORD_OPS, "flag": FLAG_OPS}


def build(document: Document, revision: str) -> Policy:
    """Turn a parsed document into a `Policy`.

    Raises:
        PolicyError: a wrong type, an unknown field, tier, signal or comparison, a duplicate id,
            or parts that contradict each other.
    """
    shape = validate(document, PolicyDocument, kind=PolicyError)
    return _Builder(document, shape).policy(revision)


@dataclass(slots=True)
class _Builder:
    """Turns parts of a document into rules, and points at what is wrong."""

    document: Document
    shape: PolicyDocument
    known_tiers: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.known_tiers = tuple(self.shape.tiers)

    def policy(self, revision: str) -> Policy:
        shape = self.shape
        self.once(shape.tiers, ("tiers",), "tier")
        for room in ("guards", "route", "accept"):
            parts = getattr(shape, room)
            self.once([p.id for p in parts], (room,), "id", key="id")
        return Policy(
            name=shape.policy,
            revision=revision,
            summary=shape.summary,
            tiers=self.known_tiers,
            guards=self.guards(),
            route=self.route(),
            accept=build_accept(self, shape),
            early=self.early(),
            abort=build_aborts(self, shape.abort),
            opinions=build_opinions(self, shape.opinions),
            limits=self.limits(),
            escalate=shape.escalate,
            gain=self.gain(),
            on_failure=shape.on_failure,
            on_filtered=shape.on_filtered,
            attach_draft=shape.attach_draft,
            race=self.race(),
            hedge=self.hedge(),
            sample=self.sample(),
            default_label=shape.default_label,
            record_signals=shape.record_signals,
        )

    def guards(self) -> tuple[Guard, ...]:
        found = []
        for i, part in enumerate(self.shape.guards):
            place: Place = ("guards", i)
            when = self.predicate(part.when, (*place, "when"), known=("request",))
            if part.forbid == "request":
                forbid = frozenset(self.known_tiers)
            else:
                forbid = frozenset(self.tiers(part.forbid, (*place, "forbid")))
            found.append(Guard(part.id, when, forbid))
        return tuple(found)

    def route(self) -> tuple[Route, ...]:
        found = []
        for i, part in enumerate(self.shape.route):
            when = self.predicate(part.when, ("route", i, "when"), known=("request",))
            found.append(Route(part.id, when, self.tier(part.start, ("route", i, "start"))))
        return tuple(found)

    def early(self) -> tuple[Early, ...]:
        found: list[Early] = []
        for i, part in enumerate(self.shape.early):
            place: Place = ("early", i)
            on = frozenset(self.tiers(part.on, (*place, "on")))
            for n, tier in enumerate(part.on):
                if any(tier in other.on for other in found):
                    raise self.fail(f"tier {tier} has an early commit already", (*place, "on", n))
            found.append(self.early_rule(part, on, place))
        return tuple(found)

    def early_rule(self, part: EarlyPart, on: frozenset[str], place: Place) -> Early:
        return Early(on, part.tokens, self.of_a_beginning(part.require, (*place, "require")))

    def of_a_beginning(self, value: Any, place: Place) -> Predicate:
        """A predicate over a draft that is not whole yet."""
        found = self.predicate(value, place, known=("request", "draft"))
        for test in tests_in(found):
            signal = find_signal(test.signal)
            if signal is not None and signal.whole_draft:
                raise self.fail(
                    f"{test.signal} is known only of a whole draft", place, "move it to accept"
                )
        return found

    def limits(self) -> Limits:
        part = self.shape.limits
        return Limits(
            hops=part.hops,
            deadline_s=part.deadline_s,
            cost_usd=part.cost_usd,
            day_usd=part.day_usd,
            pace_from=part.pace_from,
            at_limit=part.at_limit,
        )

    def gain(self) -> Gain | None:
        part = self.shape.gain
        if part is None:
            if self.shape.escalate == "best_gain":
                raise self.fail(
                    "best_gain has to know what each stronger tier gains",
                    ("escalate",),
                    "gain: {share: {"
                    + ": 0.5, ".join(self.known_tiers[1:])
                    + ": 0.5}}, or gain: {from: labels}",
                )
            return None
        if self.shape.escalate != "best_gain":
            raise self.fail("is used by escalate: best_gain only", ("gain",))
        place: Place = ("gain", "share")
        if part.share is None:
            if part.source is None:
                raise self.fail(
                    "says neither what each tier gains nor who tells",
                    ("gain",),
                    "write share, or from: labels",
                )
            return Gain(second_usd=part.second_usd)
        for name in part.share:
            self.tier(name, (*place, name))
        missing = [tier for tier in self.known_tiers[1:] if tier not in part.share]
        if missing:
            raise self.fail(f"has no share for {', '.join(missing)}", place)
        # The walk may also have to begin at the first tier after a loop's target failed.
        return Gain(share={self.known_tiers[0]: 0.0, **part.share}, second_usd=part.second_usd)

    def race(self) -> Race | None:
        part = self.shape.race
        if part is None:
            return None
        if len(self.known_tiers) < 2:
            raise self.fail("needs a second tier to race", ("race",))
        if part.over_s is None and part.after_s is None and part.doubt is None:
            raise self.fail(
                "would start with every request, and the draft would be for nothing",
                ("race",),
                "set over_s, after_s or doubt",
            )
        doubt = None
        if part.doubt is not None:
            when = self.of_a_beginning(part.doubt.when, ("race", "doubt", "when"))
            doubt = Doubt(part.doubt.tokens, when)
        return Race(cost_usd=part.cost_usd, over_s=part.over_s, after_s=part.after_s, doubt=doubt)

    def hedge(self) -> Hedge | None:
        part = self.shape.hedge
        if part is None:
            return None
        return Hedge(on=frozenset(self.tiers(part.on, ("hedge", "on"))), cost_usd=part.cost_usd)

    def sample(self) -> Sample | None:
        part = self.shape.sample
        if part is None:
            return None
        tier = self.tier(part.tier, ("sample", "tier"))
        if tier == self.known_tiers[0]:
            raise self.fail("has to be stronger than the first tier", ("sample", "tier"))
        return Sample(share=part.share, tier=tier, day_usd=part.day_usd)

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

    def tiers(self, names: list[str], place: Place) -> list[str]:
        found = [self.tier(name, (*place, i)) for i, name in enumerate(names)]
        self.once(found, place, "tier")
        return found

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
        signal = find_signal(key)
        if signal is None:
            raise self.fail("unknown signal", place, nearest(key, (*CATALOGUE, *FAMILIES)))
        self.family(key, place)
        if signal.known not in known:
            raise self.fail("is known only once there is a draft", place, "use it under accept")
        return self.tests(signal, value, place)

    def family(self, name: str, place: Place) -> None:
        """The tier that a signal like tier.cloud.end_s names has to be one of the policy's."""
        tier = tier_named(name)
        if tier is not None and tier not in self.known_tiers:
            hint = nearest(tier, self.known_tiers)
            raise self.fail(f"unknown tier {shown(tier)}", place, hint)

    def tests(self, signal: Signal, value: Any, place: Place) -> Predicate:
        """``{gte: 1, lt: 5}``: every comparison has to hold."""
        ops = OPS[signal.type]
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
        if signal.type == "flag":
            if not isinstance(bound, bool):
                raise self.fail(f"has to be true or false, not {shown(bound)}", place)
            return bound
        if op in ("in", "not_in"):
            if not isinstance(bound, list) or not bound:
                raise self.fail("has to be a list of words", place)
            return tuple(self.word(signal, w, (*place, i)) for i, w in enumerate(bound))
        return self.word(signal, bound, place)

    def word(self, signal: Signal, word: Any, place: Place) -> str:
        if not signal.words:
            if not isinstance(word, str):
                raise self.fail(f"has to be a word, not {shown(word)}", place, "quote it")
            return word
        if word not in signal.words:
            quotes = "a truth value; write the word in quotes" if isinstance(word, bool) else None
            raise self.fail(
                f"{shown(word)} is none of {signal.name}'s words",
                place,
                quotes or nearest(str(word), signal.words),
            )
        return cast(str, word)
