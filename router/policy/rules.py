"""A policy as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from ..types import Label
from .confided import TIER_GAIN
from .opinions import Opinions
from .predicates import Predicate, Signals, Test, tests_in

Escalate = Literal["next", "best_gain"]
AtLimit = Literal["draft", "refuse"]
OnFailure = Literal["draft", "refuse"]
OnFiltered = Literal["next", "draft", "refuse"]
Recorded = Literal["policy", "cheap", "all"]

CALIBRATED = "world.calibrated"
"""The signal that says whether a calibration is configured, good or refused."""
CERTIFIED = Test("draft.certified", "is", True)
"""What a requirement demands whose drafts are kept under a certificate."""

NOT_RUN = {
    "sample": "this version asks nobody again; which requests it would is in the trace",
}
"""Parts of a policy that are decided but not acted on yet, and what to say of them."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Forbids tiers when it matches, and when it can't tell."""

    id: str
    when: Predicate
    forbid: frozenset[str]


@dataclass(frozen=True, slots=True)
class Route:
    """Chooses where to start, before any model has run. The first that matches decides."""

    id: str
    when: Predicate
    start: str


@dataclass(frozen=True, slots=True)
class Starter:
    """What is held in place of a requirement while no calibration is configured.

    Attributes:
        near_budget: As of a `Requirement`.
    """

    require: Predicate
    near_budget: Predicate | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a draft of certain tiers has to meet to be kept.

    Attributes:
        near_budget: The same comparisons with the bounds that hold once the day's dollars are
            spent; on the way there the bounds move. None: they don't.
        until_certified: What is held in its place while no calibration is configured; what is kept
            by that is uncertified. None: it is held itself, and what it can't know does not hold.
    """

    id: str
    on: frozenset[str]
    require: Predicate
    near_budget: Predicate | None = None
    until_certified: Starter | None = None

    def held(self, signals: Signals) -> Requirement | Starter:
        """What holds the bar: itself, but where it is certain that nothing is calibrated."""
        starter = self.until_certified
        return self if starter is None or signals.get(CALIBRATED) is not False else starter

    def bars(self) -> Iterator[Requirement | Starter]:
        """Whatever may hold the bar."""
        yield self
        if self.until_certified is not None:
            yield self.until_certified


@dataclass(frozen=True, slots=True)
class Early:
    """Accept a draft of certain tiers before it has ended, and show it from there on.

    Attributes:
        tokens: Tokens that have to be there before it is looked at; it is looked at once.
        require: What has to hold of the draft so far.
    """

    on: frozenset[str]
    tokens: int
    require: Predicate


@dataclass(frozen=True, slots=True)
class Bar:
    """A look at a draft that is being written, and what it is given up for.

    Attributes:
        tokens: Tokens that have to be there before it is looked at; it is looked at once.
        when: What has to hold of the draft so far: one comparison of one signal.
    """

    tokens: int
    when: Predicate


@dataclass(frozen=True, slots=True)
class Abort:
    """Give a draft of certain tiers up before its end, and ask the next tier at once.

    Attributes:
        bars: By length, shortest first; all about the same signal.
    """

    on: frozenset[str]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request, and of a day. None: no bound.

    Attributes:
        hops: Most targets tried.
        deadline_s: Seconds from arrival, shared by all hops.
        cost_usd: Most dollars, reserved at the worst case before each hop.
        day_usd: Most dollars of a local day, over all requests of this process.
        pace_from: Share of `day_usd` from which on the bars of `near_budget` move.
        at_limit: Give back the best draft, flagged, or refuse.
    """

    hops: int | None = None
    deadline_s: float | None = None
    cost_usd: Decimal | None = None
    day_usd: Decimal | None = None
    pace_from: float = 0.7
    at_limit: AtLimit = "draft"

    def tightened(self, deadline_s: float | None, cost_usd: Decimal | None) -> Limits:
        """These limits, or the caller's where those are tighter."""
        if deadline_s is None and cost_usd is None:
            return self
        return Limits(
            hops=self.hops,
            deadline_s=_least(self.deadline_s, deadline_s),
            cost_usd=_least(self.cost_usd, cost_usd),
            day_usd=self.day_usd,
            pace_from=self.pace_from,
            at_limit=self.at_limit,
        )


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How `escalate: best_gain` weighs the tiers above a draft that is not kept.

    By what the calibration estimates of each for that draft, where it tells of all of them.

    Attributes:
        share: What is taken where it does not: by tier, how often its answer is right where the
            draft was not kept, 0 to 1. None: nothing is, and the next tier is asked.
        second_usd: What a second of waiting is worth.
    """

    share: Mapping[str, float] | None = None
    second_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A look at the draft so far that starts a race.

    Attributes:
        tokens: Tokens that have to be there before it is looked at; it is looked at once.
        when: What has to hold of it.
    """

    tokens: int
    when: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """When the next tier starts beside the device instead of after it.

    What starts it is the first of `after_s` and `doubt`; with neither it starts at once.

    Attributes:
        cost_usd: Most dollars, at the worst case, it may cost.
        over_s: Only when predicted draft seconds times the chance of escalation are more.
            None: whatever is predicted.
        after_s: Seconds of drafting after which it starts, if the draft is not there by then.
            None: time alone doesn't start it.
        doubt: What of the draft so far starts it. None: nothing does.
    """

    cost_usd: Decimal
    over_s: float | None = None
    after_s: float | None = None
    doubt: Doubt | None = None

    @property
    def at_once(self) -> bool:
        """Whether it starts with the draft."""
        return (not self.after_s and self.doubt is None) or self.after_s == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """When a second target of a tier is asked beside one that is late.

    Attributes:
        on: Tiers in which that is done.
        cost_usd: Most dollars, at the worst case, the second may cost.
    """

    on: frozenset[str]
    cost_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which kept answers are asked again of a stronger tier, for labels.

    Attributes:
        share: Of the kept requests, 0 to 1.
        tier: Who is asked.
        day_usd: Most dollars of a local day for it.
    """

    share: float
    tier: str
    day_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy.

    Attributes:
        name: Its name, as traces and the ledger show it.
        revision: First 12 hex digits of the SHA-256 of its content.
        summary: What it is for, in a sentence.
        tiers: Weak to strong; the walk begins at the first unless a route says otherwise.
        early: At most one for a tier; likewise `abort` and `opinions`.
        escalate: The next stronger tier, or the one that `gain` finds best.
        gain: Always there with ``best_gain``.
        on_failure: When nobody stronger answered, and no limit is why: give back the best draft,
            flagged, or refuse.
        on_filtered: When a content filter stops a prompt or an answer: ask on as after any
            failure, ask nobody as strong and give back the best draft, or end the request.
        attach_draft: Whether the draft goes along when the question goes on.
        default_label: Label of a request whose caller said nothing.
        record_signals: What is recorded: what the policy asks for, or more.
    """

    name: str
    revision: str
    summary: str
    tiers: tuple[str, ...]
    guards: tuple[Guard, ...] = ()
    route: tuple[Route, ...] = ()
    accept: tuple[Requirement, ...] = ()
    early: tuple[Early, ...] = ()
    abort: tuple[Abort, ...] = ()
    opinions: tuple[Opinions, ...] = ()
    limits: Limits = field(default_factory=Limits)
    escalate: Escalate = "next"
    gain: Gain | None = None
    on_failure: OnFailure = "draft"
    on_filtered: OnFiltered = "next"
    attach_draft: bool = False
    race: Race | None = None
    hedge: Hedge | None = None
    sample: Sample | None = None
    default_label: Label = "public"
    record_signals: Recorded = "policy"

    def predicates(self) -> Iterator[Predicate]:
        """Every predicate it has."""
        for guard in self.guards:
            yield guard.when
        for rule in self.route:
            yield rule.when
        for requirement in self.accept:
            for held in requirement.bars():
                yield held.require
        for early in self.early:
            yield early.require
        for abort in self.abort:
            for bar in abort.bars:
                yield bar.when
        if self.race is not None and self.race.doubt is not None:
            yield self.race.doubt.when

    def signals(self) -> frozenset[str]:
        """Names of the signals it has to know to decide."""
        found = {test.signal for p in self.predicates() for test in tests_in(p)}
        if any(held.near_budget for requirement in self.accept for held in requirement.bars()):
            found.add("world.budget_used")
        if any(requirement.until_certified for requirement in self.accept):
            found.add(CALIBRATED)
        if self.race is not None and self.race.over_s is not None:
            found |= {"device.end_s", "prompt.escalation_chance", "complexity.score"}
        if self.weighs or any(name.startswith(TIER_GAIN) for name in found):
            # All of them: what one adds to the answer of another is the difference.
            found |= {f"{TIER_GAIN}{tier}" for tier in self.tiers[1:]}
        return frozenset(found)

    @property
    def weighs(self) -> bool:
        """Whether a draft may be followed by one of several tiers, as they gain."""
        return self.gain is not None and len(self.tiers) > 2

    def early_on(self, tier: str) -> Early | None:
        """The early commit of that tier. None: its drafts are held until they are whole."""
        return next((early for early in self.early if tier in early.on), None)

    def abort_on(self, tier: str) -> Abort | None:
        """When a draft of that tier is given up. None: each is written to its end."""
        return next((abort for abort in self.abort if tier in abort.on), None)

    def opinions_on(self, tier: str) -> Opinions | None:
        """What may be asked about that tier's drafts. None: nothing."""
        return next((rule for rule in self.opinions if tier in rule.on), None)
