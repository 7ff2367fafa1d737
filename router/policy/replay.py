"""One recorded request under a policy: where it would have gone, as far as that can be told. Pure.

Comes in: a `Recorded` request and a policy. Goes out: the path, or what would have to be known for
it. Nothing is guessed: a signal that was not recorded may have had any value, and a tier that was
not called may have answered anything.

What a recording does not hold is left out of the walk and has to be told to the reader: dollar
limits (worst-case prices are not recorded), races, circuit breakers, a caller's own limits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from ..cascade import Call, Seen, Verdict, walk
from ..hops import total_cost
from ..ladder import Rung
from ..recorded import Recorded, RecordedHop
from ..signals.catalogue import Value
from .decide import Before, before, open_opinions, pace
from .opinions import asked_only
from .predicates import Predicate, Signals, between, tests_in
from .rebase import rebased
from .rules import CALIBRATED, Policy, Requirement, Starter

_FORM = ("draft.refusal", "draft.json_valid", "draft.tool_calls_valid")
_STOPPED = (None, "aborted", "cancelled")
_GOOD: Mapping[str, Value] = dict(zip(_FORM, (False, True, True), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Where a request would have gone.

    Attributes:
        path: Tiers in the order they would have been called.
        end: What came of it, in words: ``"answered by device"``, ``"forbidden"``. Empty while
            that is not known.
        unrecorded: The tier whose answer would be needed to go on. It is the last of `path`.
        why: What would have to be known, in words, where that is no signal.
        missing: Signals that were not recorded and would have decided.
        usd: What the recorded hops of `path` cost. None: not known.
        estimated: Tiers of `path` whose cost was not recorded.
    """

    path: tuple[str, ...] = ()
    end: str = ""
    unrecorded: str | None = None
    why: str = ""
    missing: frozenset[str] = frozenset()
    usd: Decimal | None = Decimal(0)
    estimated: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether not even the path is known."""
        return bool(self.why or self.missing)


def replay(
    policy: Policy,
    request: Recorded,
    served: Collection[str] | None = None,
    *,
    by: Policy | None = None,
) -> Replay:
    """Decide a recorded request again.

    Args:
        served: Tiers that some target serves. None: all of the policy's.
        by: The policy that decided the request then. None: it is not at hand.
    """
    policy = replace(policy, race=None)  # what a race would have brought was not recorded
    signals = rebased(policy, request, by)
    first = before(policy, signals)
    missing = _open_before(policy, first)
    if missing:
        return Replay(missing=missing)
    return _Walked(policy, request, signals, served).run(first)


def _not_recorded(predicate: Predicate, signals: Signals) -> frozenset[str]:
    """Signals without which the predicate is open. Empty: it is decided, whatever they were."""
    if predicate.truth(signals) is not None:
        return frozenset()
    return frozenset(t.signal for t in tests_in(predicate) if t.signal not in signals)


def _open_before(policy: Policy, first: Before) -> frozenset[str]:
    """Signals without which the start is open."""
    guards = {guard.id: guard for guard in policy.guards}
    routes = {rule.id: rule for rule in policy.route}
    opened = {
        (check.kind, check.id): names
        for check in first.checks
        if (names := _not_recorded(check.predicate, check.signals))
    }
    forbidden = {
        tier
        for check in first.checks
        if check.kind == "guard" and check.truth is not False and ("guard", check.id) not in opened
        for tier in guards[check.id].forbid
    }
    found: set[str] = set()
    for (kind, name), names in opened.items():
        matters = (
            not guards[name].forbid <= forbidden
            if kind == "guard"
            else routes[name].start != first.start and not forbidden >= set(policy.tiers)
        )
        if matters:
            found |= names
    return frozenset(found)


def _open_after(policy: Policy, tier: str, signals: Signals) -> frozenset[str] | None:
    """Signals without which it is open whether a draft is kept. Empty: kept. None: not kept."""
    found: set[str] = set()
    for requirement in policy.accept:
        if tier not in requirement.on:
            continue
        missing = _open_bar(policy, requirement, signals)
        if missing is None:
            return None
        found |= missing
    return frozenset(found)


def _open_bar(policy: Policy, requirement: Requirement, signals: Signals) -> frozenset[str] | None:
    """The same for one requirement, whichever of its bars held."""
    if requirement.until_certified is None or CALIBRATED in signals:
        return _open_held(policy, requirement.held(signals), signals)
    one, other = (_open_held(policy, held, signals) for held in requirement.bars())
    return one if one == other else (one or frozenset()) | (other or frozenset()) | {CALIBRATED}


def _open_held(
    policy: Policy, held: Requirement | Starter, signals: Signals
) -> frozenset[str] | None:
    strict, loose = held.require, held.near_budget
    if loose is None or "world.budget_used" in signals:
        bar = strict if loose is None else between(strict, loose, pace(policy, signals))
        missing = _not_recorded(bar, signals)
        return missing if missing or bar.truth(signals) is True else None
    missing = _not_recorded(loose, signals)
    if missing or strict.truth(signals) is True:
        return missing
    return frozenset({"world.budget_used"}) if loose.truth(signals) is True else None


def _opinions(request: Recorded) -> dict[str, list[RecordedHop]]:
    """Hops that were taken for opinions, by the target whose draft they are about."""
    found: dict[str, list[RecordedHop]] = {}
    about = ""
    for hop in request.hops:
        if hop.cause == "opinion":
            found.setdefault(about, []).append(hop)
        else:
            about = hop.target
    return found


class _Walked:
    """One walk over recorded hops."""

    def __init__(
        self,
        policy: Policy,
        request: Recorded,
        signals: Signals,
        served: Collection[str] | None,
    ) -> None:
        self.policy = policy
        self.signals = signals
        self.hops = {hop.target: hop for hop in request.hops if hop.cause != "opinion"}
        self.aside = _opinions(request)
        self.served = policy.tiers if served is None else served
        self.first_hop = request.hops[0] if request.hops else None
        self.calls: list[Call] = []
        self.costs: list[Decimal | None] = []
        self.doubtful: set[int] = set()
        self.elapsed_s = 0.0

    def rungs(self) -> dict[str, tuple[Rung, ...]]:
        """The targets that were called; one that stands for the tier where none was."""
        found: dict[str, tuple[Rung, ...]] = {}
        for hop in self.hops.values():
            if hop.tier is not None:
                rung = Rung(hop.target, hop.tier, None)
                found[hop.tier] = (*found.get(hop.tier, ()), rung)
        for tier in self.policy.tiers:
            if tier not in found and tier in self.served:
                found[tier] = (Rung(f"{tier}?", tier, None),)
        return found

    def run(self, first: Before) -> Replay:
        cause = self.first_hop.cause if self.first_hop else None
        target = self.first_hop.target if self.first_hop else None
        rungs = self.rungs()
        # Worst-case prices are not recorded, so no dollar limit can be held here.
        limits = replace(self.policy.limits, cost_usd=None, day_usd=None)
        steps = walk(
            self.policy,
            first,
            rungs,
            limits,
            asked=target if cause == "asked" else None,
            stay=target if cause == "loop" else None,
        )
        seen: Seen | None = None
        while True:
            try:
                call = next(steps) if seen is None else steps.send(seen)
            except StopIteration as stop:
                return self.ended(stop.value)
            if self.is_weighed(call, first, rungs):
                return self.so_far(why="best_gain weighs worst-case prices: they are not recorded")
            self.calls.append(call)
            hop = self.hops.get(call.target)
            if hop is not None and hop.error_kind == "aborted" and not call.commits:
                return self.so_far(why=f"the draft of {call.tier} was given up before its end")
            told = hop is not None and (hop.answered or hop.error_kind not in _STOPPED)
            if hop is None or hop.seconds is None or not told:
                return self.unanswered(call)
            self.elapsed_s += hop.seconds
            self.costs.append(hop.cost_usd)
            self.hear(call, hop)
            found = self.seen(call, hop)
            if isinstance(found, Replay):
                return found
            seen = found

    def hear(self, call: Call, hop: RecordedHop) -> None:
        """The dollars and seconds of opinions that were bought then, and would be now."""
        bought = self.aside.get(call.target, ())
        signals = {**self.signals, **hop.signals}
        if bought and call.opinions and open_opinions(self.policy, call.tier, signals):
            self.elapsed_s += max(one.seconds or 0.0 for one in bought)
            self.costs.extend(one.cost_usd for one in bought)

    def is_weighed(self, call: Call, first: Before, rungs: Mapping[str, object]) -> bool:
        """Whether this tier was chosen among several by what they cost."""
        if self.policy.gain is None or call.cause not in ("escalation", "fallback"):
            return False
        gone = {earlier.tier for earlier in self.calls}
        order = self.policy.tiers
        start = order.index(first.start or order[0])
        left = [t for t in first.permitted if order.index(t) >= start and t in rungs]
        return call.tier not in gone and len([t for t in left if t not in gone]) > 1

    def seen(self, call: Call, hop: RecordedHop) -> Seen | Replay:
        """What the walk would have seen, or why it can't go on."""
        if not hop.answered:
            blocked = hop.error_kind == "filtered"
            return Seen(failure=hop.error_kind, filtered=blocked, elapsed_s=self.elapsed_s)
        signals = {**self.signals, **asked_only(hop.signals, call.opinions)}
        if not call.commits:
            missing = _open_after(self.policy, call.tier, signals)
            if call.early is not None and (missing is None or missing):
                many = call.early.tokens
                return self.so_far(why=f"the first {many} tokens of {call.tier} are not recorded")
            if missing:
                return self.so_far(missing=missing)
            if self.may_be_given_up(call, hop) and missing is not None:
                many = call.abort.bars[0].tokens if call.abort else 0
                return self.so_far(why=f"the first {many} tokens of {call.tier} are not recorded")
        if hop.status != "answered" and any(name not in signals for name in _FORM):
            self.doubtful.add(len(self.calls) - 1)
        return Seen(
            signals=signals,
            returnable=hop.finish != "content_filter" and hop.output_tokens != 0,
            filtered=hop.finish == "content_filter",
            presentable=all(signals.get(name, good) is good for name, good in _GOOD.items()),
            elapsed_s=self.elapsed_s,
        )

    def may_be_given_up(self, call: Call, hop: RecordedHop) -> bool:
        """Whether the draft was long enough for the first bar. One that is not kept goes on with
        and without it; only sooner, and how much was not recorded."""
        written = hop.output_tokens
        return call.abort is not None and (written is None or written >= call.abort.bars[0].tokens)

    def unanswered(self, call: Call) -> Replay:
        """The path is known up to here; what the tier would have cost was not recorded either."""
        end = f"answered by {call.tier}" if call.commits else ""
        return replace(self.so_far(), end=end, unrecorded=call.tier, estimated=(call.tier,))

    def ended(self, verdict: Verdict) -> Replay:
        answered = verdict.answered_by
        if answered is None:
            limit = f" ({verdict.limit})" if verdict.limit else ""
            return replace(self.so_far(), end=verdict.status.replace("_", " ") + limit)
        call = self.calls[answered]
        if answered in self.doubtful and "uncertain" in verdict.flags and not call.commits:
            hop = self.hops[call.target]
            return self.so_far(missing=frozenset(n for n in _FORM if n not in hop.signals))
        return replace(self.so_far(), end=f"answered by {call.tier}")

    def so_far(self, *, why: str = "", missing: frozenset[str] = frozenset()) -> Replay:
        path = tuple(call.tier for call in self.calls)
        return Replay(path=path, why=why, missing=missing, usd=total_cost(tuple(self.costs)))
