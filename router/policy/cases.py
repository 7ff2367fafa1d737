"""Cases beside a policy, ``NAME.test.yaml``: signals in, path out. Read, checked, made values.

A case says what is known of a request, what each tier would answer, and where that has to lead.
Signals that are given neither there nor under `usual` have the value the catalogue declares for
"nothing there", if it declares one, and are unknown otherwise; the label is the policy's default. A
draft is no refusal unless it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from ..document import Document, Place, nearest, read_yaml, shown, validate
from ..errors import HopError, PolicyError
from ..signals.catalogue import (
    CATALOGUE,
    FAMILIES,
    AtMost,
    Known,
    Signal,
    Value,
    find_signal,
    tier_named,
)
from .caseshape import CasePart, CasesDocument, DraftPart, ExpectPart
from .rules import Policy
from .simulate import Given, Reply

FREE_TIER = "device"
"""The tier of this name costs nothing where no price of it is given: it is the user's own."""

NONE = "none"
FAILURES = tuple(sorted({kind.kind for kind in HopError.__subclasses__()}))
LIMITS = ("hops", "deadline_s", "cost_usd", "day_usd")
FLAGS = ("uncertain", "cut", "filtered", *(f"limit:{name}" for name in LIMITS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        line: Where it stands in its file, 1-based.
        expect: By the name of a field of `simulate.Played`, what it has to be.
    """

    name: str
    line: int | None
    given: Given
    expect: Mapping[str, object]


def policy_of(path: Path) -> Path:
    """The policy's file that a file of cases is about.

    Raises:
        PolicyError: it can't be read, or is no file of cases.
    """
    document = read_yaml(path, kind=PolicyError)
    return _named(path, validate(document, CasesDocument, kind=PolicyError))


def _named(path: Path, shape: CasesDocument) -> Path:
    if shape.policy is not None:
        return path.parent / shape.policy
    stem = path.stem.removesuffix(".test")
    return path.with_name(f"{stem}{path.suffix}")


def load_cases(path: Path, policy: Policy, *, of: Path | None = None) -> tuple[Case, ...]:
    """Read a file of cases of `policy`.

    Args:
        of: The policy's file. None: not checked.

    Raises:
        PolicyError: it can't be read, is wrong, or is about another policy than `of`.
    """
    document = read_yaml(path, kind=PolicyError)
    if of is not None:
        named = _named(path, validate(document, CasesDocument, kind=PolicyError))
        if named.resolve() != of.resolve():
            raise document.error(
                PolicyError, f"these are cases of {named.name}, not of {of.name}", ("policy",)
            )
    return build_cases(document, policy)


def build_cases(document: Document, policy: Policy) -> tuple[Case, ...]:
    """Turn a parsed file into cases of `policy`.

    Raises:
        PolicyError: a wrong type, or an unknown field, tier, signal or word; with file and line.
    """
    shape = validate(document, CasesDocument, kind=PolicyError)
    return _Builder(document, shape, policy).cases()


class _Builder:
    def __init__(self, document: Document, shape: CasesDocument, policy: Policy) -> None:
        self.document = document
        self.shape = shape
        self.policy = policy
        self.usual_given: dict[str, Value] = {}
        self.usual_draft: dict[str, Value] = {}

    def cases(self) -> tuple[Case, ...]:
        self.tiers(self.shape.prices, ("prices",), keys=True)
        self.tiers(self.shape.seconds, ("seconds",), keys=True)
        prices = self.prices()
        usual = self.shape.usual
        self.usual_given = self.signals(usual.given, ("usual", "given"), "request")
        self.usual_draft = self.signals(usual.draft, ("usual", "draft"), "draft")
        seen: set[str] = set()
        found = []
        for i, part in enumerate(self.shape.cases):
            place: Place = ("cases", i)
            if part.name in seen:
                raise self.fail(f"name {shown(part.name)} is used twice", (*place, "name"))
            seen.add(part.name)
            found.append(self.case(part, place, prices))
        return tuple(found)

    def prices(self) -> dict[str, Decimal]:
        given = self.shape.prices
        limits = self.policy.limits
        if limits.cost_usd is not None or limits.day_usd is not None:
            for tier in self.policy.tiers:
                if tier not in given and tier != FREE_TIER:
                    raise self.fail(
                        f"has no price of {tier}, and the policy has a limit of dollars",
                        ("prices",),
                        f'prices: {{{tier}: "0.01"}}, at worst, or null for one that is not known',
                    )
        free = {} if FREE_TIER in given else {FREE_TIER: Decimal(0)}
        return free | {tier: usd for tier, usd in given.items() if usd is not None}

    def case(self, part: CasePart, place: Place, prices: Mapping[str, Decimal]) -> Case:
        self.tiers(part.unserved, (*place, "unserved"))
        for key in ("stay", "asked"):
            name = getattr(part, key)
            if name is not None:
                self.tiers([name], (*place, key), one=True)
        self.tiers(part.drafts, (*place, "drafts"), keys=True)
        mark = self.document.marks.get(place)
        return Case(
            name=part.name,
            line=None if mark is None else mark[0],
            given=Given(
                signals=self.filled(
                    self.usual_given | self.signals(part.given, (*place, "given"), "request"),
                    "request",
                ),
                replies={
                    tier: self.reply(data, (*place, "drafts", tier))
                    for tier, data in part.drafts.items()
                },
                prices=prices,
                seconds=self.shape.seconds,
                unserved=frozenset(part.unserved),
                stay=part.stay,
                asked=part.asked,
            ),
            expect=self.expect(part.expect, (*place, "expect")),
        )

    def reply(self, data: dict[str, Any], place: Place) -> Reply:
        fields = {k: v for k, v in data.items() if k in DraftPart.model_fields}
        part = validate(self.document, DraftPart, data=fields, at=place, kind=PolicyError)
        if part.fails is not None and part.fails not in FAILURES:
            raise self.fail(
                f"{shown(part.fails)} is no kind of failure",
                (*place, "fails"),
                nearest(part.fails, FAILURES),
            )
        written = {k: v for k, v in data.items() if k not in fields}
        own = self.signals(written, place, "draft", more=tuple(DraftPart.model_fields))
        if part.says == "refusal":
            own.setdefault("draft.refusal", True)
        found = self.filled({"draft.refusal": False} | self.usual_draft | own, "draft")
        beginning = self.signals(part.beginning, (*place, "beginning"), "draft")
        cut = found.get("draft.finish") == "content_filter"
        return Reply(
            signals=found,
            beginning=beginning,
            fails=part.fails,
            returnable=part.says != "nothing" and not cut,
            cut=part.says != "nothing" and cut,
            presentable=found["draft.refusal"] is not True
            and found.get("draft.json_valid") is not False
            and found.get("draft.tool_calls_valid") is not False,
            seconds=part.seconds,
            usd=part.usd,
        )

    def signals(
        self, data: Mapping[str, Any], place: Place, known: Known, *, more: tuple[str, ...] = ()
    ) -> dict[str, Value]:
        """What is written of signals, held to the catalogue; `more` words may stand there too."""
        found: dict[str, Value] = {}
        for name, value in data.items():
            spot = (*place, name)
            signal = find_signal(name)
            if signal is None:
                raise self.fail("unknown signal", spot, _nearest_signal(name, known, more))
            if signal.known != known:
                where = "given" if signal.known == "request" else "drafts, at its tier"
                raise self.fail(f"is known of the {signal.known}", spot, f"write it under {where}")
            tier = tier_named(name)
            if tier is not None:
                self.tiers([tier], spot, one=True)
            found[name] = self.value(signal, value, spot)
        return found

    def filled(self, found: dict[str, Value], known: Known) -> dict[str, Value]:
        """`found`, and what else the policy asks for as it is where there is nothing to measure."""
        for name in sorted(self.policy.signals()):
            signal = find_signal(name)
            if signal is None or signal.known != known or signal.absent is None:
                continue
            absent = self.policy.default_label if name == "request.label" else signal.absent
            found.setdefault(name, absent)
        return found

    def value(self, signal: Signal, value: Any, place: Place) -> Value:
        if value is None:
            if not signal.may_be_unknown:
                raise self.fail("is never unknown", place, "give it a value, or leave it out")
            return None
        if signal.type == "flag":
            if not isinstance(value, bool):
                raise self.fail(f"has to be true or false, not {shown(value)}", place)
            return value
        if signal.type == "word":
            if not isinstance(value, str):
                raise self.fail(f"has to be a word, not {shown(value)}", place, "quote it")
            if signal.words and value not in signal.words:
                hint = nearest(value, signal.words)
                raise self.fail(f"{shown(value)} is none of its words", place, hint)
            return value
        if isinstance(value, dict) and list(value) == ["at_most"]:
            return AtMost(self.number(signal, value["at_most"], (*place, "at_most")))
        return self.number(signal, value, place)

    def number(self, signal: Signal, value: Any, place: Place) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(f"has to be a number, not {shown(value)}", place)
        if not math.isfinite(value):
            raise self.fail("has to be a finite number", place)
        if signal.whole and value != int(value):
            raise self.fail(f"has to be a whole number, not {value:g}", place)
        if signal.low is not None and value < signal.low:
            raise self.fail(f"is at least {signal.low:g}", place)
        if signal.high is not None and value > signal.high:
            raise self.fail(f"is at most {signal.high:g}", place)
        return int(value) if signal.whole else value

    def expect(self, part: ExpectPart, place: Place) -> dict[str, object]:
        """By field of `Played`, what has to come out."""
        if part.path is None and part.status != "forbidden":
            raise self.fail("is missing", (*place, "path"), "write the tiers asked, in order")
        self.tiers(part.path or (), (*place, "path"))
        found: dict[str, object] = {}
        if part.path is not None:
            found["path"] = tuple(part.path)
        for key in ("answer", "race"):
            name = getattr(part, key)
            if name is not None:
                if name != NONE:
                    self.tiers([name], (*place, key), one=True)
                found[key] = None if name == NONE else name
        if part.status is not None:
            found["status"] = part.status
        if part.flags is not None:
            for i, flag in enumerate(part.flags):
                self.one_of(flag, FLAGS, "flag", (*place, "flags", i))
            found["flags"] = tuple(part.flags)
        if part.limit is not None:
            self.one_of(part.limit, (*LIMITS, NONE), "limit", (*place, "limit"))
            found["limit"] = None if part.limit == NONE else part.limit
        if part.certified is not None:
            found["certified"] = None if part.certified == NONE else part.certified
        return found

    def tiers(
        self, names: Iterable[str], place: Place, *, keys: bool = False, one: bool = False
    ) -> None:
        """Each has to be one of the policy's; they stand under `place` as items, keys, or alone."""
        for i, name in enumerate(names):
            spot = place if one else (*place, name if keys else i)
            self.one_of(name, self.policy.tiers, "tier", spot)

    def one_of(self, name: str, names: Iterable[str], what: str, place: Place) -> None:
        names = tuple(names)
        if name not in names:
            raise self.fail(f"unknown {what} {shown(name)}", place, nearest(name, names))

    def fail(self, message: str, place: Place, hint: str | None = None) -> PolicyError:
        return cast(PolicyError, self.document.error(PolicyError, message, place, hint=hint))


def _nearest_signal(name: str, known: Known, more: tuple[str, ...]) -> str | None:
    signals = [s.name for s in (*CATALOGUE.values(), *FAMILIES.values()) if s.known == known]
    return nearest(name, (*signals, *more))
