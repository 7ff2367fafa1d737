"""What a valid policy probably does not mean: rules that never match, bars nothing can reach.

`build` refuses what is wrong; this warns of what is right and odd. A warning is only given where it
is certain: what can't be told is not warned of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from ..document import Document, Place
from ..errors import PolicyError
from ..signals.catalogue import Signal, find_signal
from .confided import of_confidence
from .explain import show
from .implied import implied_by, never_false, never_true, opposite, spread
from .lintabort import odd_aborts
from .lintgain import odd_gains
from .lintopinions import odd_opinions
from .lintparts import Part, in_order, parts_of, placed_tests
from .predicates import Test, tests_in
from .rules import NOT_RUN, Early, Guard, Policy, Requirement, Route

MOST_COMPARED = 100_000
"""Pairs of cases that are compared in search of shadowed rules; what is beyond is not looked at."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the configured targets can do.

    Attributes:
        tiers: The targets that serve each tier.
        lacking: By tier, draft signals that none of its targets can produce; under ``""``,
            signals of the request that can't be known here, such as the device's without one.
        unpriced: By tier, targets whose price nobody knows.
        calibrated: Whether the config names a calibration file.
        small: Targets whose model is not known to be large enough to judge its own draft.
    """

    tiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unpriced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calibrated: bool = False
    small: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Warning:
    """Something odd, and where it stands; printed like an error.

    Attributes:
        place: Keys and indexes from the top of the document down.
        field: The same as people write it.
        line: 1-based. None: it stands nowhere in particular.
    """

    message: str
    place: Place
    file: str
    line: int | None
    column: int | None
    field: str | None
    hint: str | None

    def __str__(self) -> str:
        return str(
            PolicyError(
                self.message,
                file=self.file,
                line=self.line,
                column=self.column,
                field=self.field,
                hint=self.hint,
            )
        )


def lint(document: Document, policy: Policy, served: Served | None) -> tuple[Warning, ...]:
    """Everything odd about a policy, in the order of its file.

    Args:
        document: What `policy` was built from.
        served: What the config's targets can do. None: not known, so nothing is said of it.
    """
    linter = _Linter(document, policy, served)
    found = {(w.place, w.message): w for w in linter.warnings()}
    return tuple(sorted(found.values(), key=lambda w: (w.line or 0, w.column or 0)))


class _Linter:
    def __init__(self, document: Document, policy: Policy, served: Served | None) -> None:
        self.document = document
        self.policy = policy
        self.served = served
        self.last = policy.tiers[-1]

    def warnings(self) -> Iterator[Warning]:
        for part in parts_of(self.policy):
            yield from self.condition(part)
            if self.served is not None and self.is_held(part, self.served):
                yield from self.lacking(part, self.served)
        yield from self.shadowed()
        yield from self.shut()
        for i, requirement in enumerate(self.policy.accept):
            yield from self.requirement(requirement, ("accept", i))
        for i, early in enumerate(self.policy.early):
            yield from self.early(early, ("early", i))
        for message, place in odd_aborts(self.policy):
            yield self.warn(message, place)
        for message, place, hint in odd_gains(self.policy, self.served):
            yield self.warn(message, place, hint)
        for message, place in odd_opinions(self.policy, self.served):
            yield self.warn(message, place)
        if self.policy.on_filtered == "draft" and len(self.policy.tiers) == 1:
            yield self.warn(
                "has one tier only, so there is never a draft: a filtered request ends with "
                "ContentFiltered",
                ("on_filtered",),
            )
        yield from self.not_run()
        if self.served is not None:
            yield from self.unserved(self.served)
            yield from self.unpriced(self.served)

    def unpriced(self, served: Served) -> Iterator[Warning]:
        """Dollar limits over targets without a price; a router refuses to start under them."""
        names = [name for tier in self.policy.tiers for name in served.unpriced.get(tier, ())]
        if not names:
            return
        for limit in ("cost_usd", "day_usd"):
            if getattr(self.policy.limits, limit) is not None:
                yield self.warn(
                    f"can't be kept: no price is known for {', '.join(names)}; "
                    "a router refuses to start",
                    ("limits", limit),
                    "in the config, name a price line with `price:`, or say `unknown_price: allow`",
                )

    def warn(self, message: str, place: Place, hint: str | None = None) -> Warning:
        at = self.document.error(PolicyError, message, place, hint=hint)
        return Warning(message, place, self.document.file, at.line, at.column, at.field, at.hint)

    def is_held(self, part: Part, served: Served) -> bool:
        """Whether that part of a requirement holds a bar under this config."""
        if part.place[0] != "accept":
            return True
        wanted = self.policy.accept[cast(int, part.place[1])]
        waits = wanted.until_certified is not None and not served.calibrated
        return part.key == ("until_certified" if waits else "require")

    def condition(self, part: Part) -> Iterator[Warning]:
        """Thresholds that a signal can't be on both sides of, and parts that exclude each other."""
        odd = False
        for test, spot in placed_tests(self.document.data, part):
            signal = find_signal(test.signal)
            if signal is None:
                continue
            always = never_true(opposite(test))
            if always or never_true(test):
                odd = odd or not always
                said = "always true once it is known" if always else "never true"
                yield self.warn(
                    f"{test.signal} {test.op} {_shown(test)} is {said}", spot, _range(signal)
                )
        if never_true(part.predicate, ranged=False) or (not odd and never_true(part.predicate)):
            yield self.warn(
                f"the {part.what}'s conditions contradict each other, so {part.never}", part.spot
            )

    def lacking(self, part: Part, served: Served) -> Iterator[Warning]:
        """Signals that are unknown with the configured targets, and what follows."""
        here = served.lacking.get("", frozenset())
        of_tier = {t: here | served.lacking.get(t, frozenset()) for t in part.tiers}
        places: dict[str, Place] = {}
        for test, spot in placed_tests(self.document.data, part):
            places.setdefault(test.signal, spot[:-1])
        for name, place in places.items():
            if name in here:
                how = "with the configured targets"
                if of_confidence(frozenset((name,))):
                    how = "without a calibration file (`confidence:` in the config)"
                    if served.calibrated:
                        how = "from the calibration file: too few of its labels name the tier"
                yield self.warn(f"{name} can't be known {how}{self.so(part, here)}", place)
                continue
            for tier, dark in of_tier.items():
                if name in dark and tier != self.last:
                    follows = self.so(part, dark, tier)
                    yield self.warn(f"no target of {tier} produces {name}{follows}", place)

    def so(self, part: Part, dark: frozenset[str], tier: str | None = None) -> str:
        if part.what == "guard":
            if never_false(part.predicate, unknown=dark):
                return ", so it always forbids: unknown in a guard does"
            return ": unknown in a guard forbids"
        if not never_true(part.predicate, unknown=dark):
            return ": it stays unknown"
        return f", so {part.never if tier is None else _never_of(part, tier)}"

    def shadowed(self) -> Iterator[Warning]:
        rules: tuple[Route, ...] = self.policy.route
        spreads = [spread(rule.when) for rule in rules]
        sizes = [len(each or ()) for each in spreads]
        compared = 0
        for i in range(len(rules)):
            compared += sizes[i] * sum(sizes[:i])
            if compared > MOST_COMPARED:
                return
            covering = implied_by(spreads[i], spreads[:i])
            if covering is not None:
                names = " or ".join(rules[n].id for n in covering)
                yield self.warn(
                    f"the rule never decides: {names} matches whenever it does, and comes first",
                    ("route", i),
                    "move it up, or take it out",
                )

    def shut(self) -> Iterator[Warning]:
        """Guards that leave nothing, whatever comes."""
        left = set(self.policy.tiers)
        guard: Guard
        for i, guard in enumerate(self.policy.guards):
            if not guard.forbid & left or not never_false(guard.when):
                continue
            left -= guard.forbid
            if not left:
                yield self.warn(
                    "every tier is forbidden, whatever comes: each request ends with Forbidden",
                    ("guards", i),
                )

    def requirement(self, wanted: Requirement, place: Place) -> Iterator[Warning]:
        if wanted.on == {self.last}:
            yield self.warn(
                f"{self.last} is the last tier: its answer is shown from its first token on, so "
                "this only flags",
                (*place, "on"),
            )
        if any(held.near_budget == held.require for held in wanted.bars()):
            yield self.warn(
                "near_budget has no effect: its bounds are those of require",
                (*place, "near_budget"),
            )

    def early(self, early: Early, place: Place) -> Iterator[Warning]:
        if early.on == {self.last}:
            yield self.warn(
                f"{self.last} is the last tier: it is shown from its first token on anyway",
                (*place, "on"),
            )
        for tier in in_order(self.policy, early.on - {self.last}):
            late = [r.id for r in self.policy.accept if tier in r.on and _needs_whole(r)]
            if late:
                need, flag = ("this requirement needs", "flags")
                if len(late) > 1:
                    need, flag = ("these requirements need", "flag")
                yield self.warn(
                    f"{need} the whole draft of {tier}, and only {flag} once it is shown early: "
                    f"{', '.join(late)}",
                    place,
                )

    def not_run(self) -> Iterator[Warning]:
        for name, said in NOT_RUN.items():
            if getattr(self.policy, name) is not None:
                yield self.warn(said, (name,))

    def unserved(self, served: Served) -> Iterator[Warning]:
        for i, tier in enumerate(self.policy.tiers):
            if not served.tiers.get(tier):
                yield self.warn(
                    f"no configured target serves tier {tier}; it is skipped",
                    ("tiers", i),
                    "give a target of the config this tier",
                )
        dark = served.lacking.get("", frozenset())
        race = self.policy.race
        if race is not None and race.over_s is not None and "device.end_s" in dark:
            yield self.warn("device.end_s can't be known, so nothing is ever raced", ("race",))
        for tier in in_order(
            self.policy, self.policy.hedge.on if self.policy.hedge else frozenset()
        ):
            if len(served.tiers.get(tier, ())) == 1:
                yield self.warn(
                    f"tier {tier} has one target, so there is no second to ask", ("hedge", "on")
                )


def _never_of(part: Part, tier: str) -> str:
    said = part.what in ("early commit", "bar", "doubt")
    return part.never if said else f"no draft of {tier} is ever kept"


def _needs_whole(requirement: Requirement) -> bool:
    bars = (held.require for held in requirement.bars())
    signals = (find_signal(test.signal) for bar in bars for test in tests_in(bar))
    return any(signal is not None and signal.whole_draft for signal in signals)


def _shown(test: Test) -> str:
    if isinstance(test.bound, tuple):
        return f"[{', '.join(test.bound)}]"
    return show(test.bound)


def _range(signal: Signal) -> str | None:
    """Why a test of the signal is settled, in words."""
    if signal.type != "number":
        return None if signal.type == "flag" else f"its words are {', '.join(signal.words)}"
    kind = "a whole number" if signal.whole else "a number"
    if signal.low is not None and signal.high is not None:
        return f"it is {kind} from {signal.low:g} to {signal.high:g}"
    if signal.low is not None:
        return f"it is {kind} of at least {signal.low:g}"
    if signal.high is not None:
        return f"it is {kind} of at most {signal.high:g}"
    return f"it is {kind}" if signal.whole else None
