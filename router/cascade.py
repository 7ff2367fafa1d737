"""The walk: which target is asked next, and what of its answer is kept.

A generator without input or output of its own: it yields a `Call`, is sent what was `Seen`, and
returns a `Verdict`. The orchestrator drives it with real targets, tests drive it with lists.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal

from .hops import Cause, Status
from .ladder import Ladder, Rung, Rungs
from .money import EXACT
from .policy.decide import Before, after
from .policy.predicates import Signals
from .policy.rules import Early, Limits, Policy
from .policy.trace import Check, Entry, Note, Taken

__all__ = ["Call", "Rung", "Seen", "Verdict", "Walk", "walk"]

UNRETURNABLE = "the answer says nothing, or a filter cut it"
UNPRESENTABLE = "its draft is a refusal or breaks the form asked for, so it is not given back"


@dataclass(frozen=True, slots=True)
class Call:
    """Ask this target now.

    Attributes:
        commits: The answer goes to the caller from its first token on, because nothing stronger
            could replace it. Otherwise it is a draft that nobody sees until it is kept.
        because: Why, in words.
        early: When a draft is accepted before its end. None: it is held until it is whole.
        draft: Index of the hop whose draft goes along. None: only the conversation does.
    """

    target: str
    tier: str
    cause: Cause
    because: str
    commits: bool
    early: Early | None = None
    draft: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a call.

    Attributes:
        signals: Of the draft, together with the request's. None: there was no whole answer.
        returnable: The draft could be shown: it says something, and no filter cut it.
        presentable: It could be shown although it was not kept: it is no refusal either, and
            does not break the form that was asked for.
        early: What was said of the beginning of the draft; empty when nothing was asked.
        failure: A `HopError.kind`. None: it ended well.
        committed: Bytes of it have reached the caller.
        elapsed_s: Seconds since the request arrived; at least the deadline when that is what
            ended the call, however early its timer fired.
        spent_usd: Dollars the request has cost; unknown costs counted at their worst case.
        day_left_usd: Dollars left of the day, over all requests. None: the day has no limit.
    """

    signals: Signals | None = None
    returnable: bool = False
    presentable: bool = True
    early: tuple[Check, ...] = ()
    failure: str | None = None
    committed: bool = False
    elapsed_s: float = 0.0
    spent_usd: Decimal = Decimal(0)
    day_left_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the walk ended.

    Attributes:
        answered_by: Index of the hop whose answer the caller gets. None: none.
        flags: What the reader of the answer should know.
        limit: The limit but for which there might be another answer. None: no limit did it.
        entries: Everything that was decided, in order.
    """

    status: Status
    answered_by: int | None
    flags: tuple[str, ...]
    limit: str | None
    entries: tuple[Entry, ...]


Walk = Generator[Call, Seen, Verdict]
_Step = Generator[Call, Seen, Verdict | None]
"""Part of a walk. None: it goes on."""


def walk(
    policy: Policy,
    first: Before,
    rungs: Rungs,
    limits: Limits,
    *,
    asked: str | None = None,
    stay: str | None = None,
    elapsed_s: float = 0.0,
    day_left_usd: Decimal | None = None,
    trace: list[Entry] | None = None,
) -> Walk:
    """Walk the tiers of `policy` from where `first` says until an answer is kept.

    Args:
        policy: Whose requirements hold.
        first: What the policy said of the request.
        rungs: Targets of each tier, in the order to try them.
        limits: The policy's, tightened by the caller's.
        asked: Ask this target and no other, whatever the route says; guards still hold.
        stay: The target whose tool call this request answers. It is asked first and keeps the
            loop, unless a guard forbids it now or it fails.
        elapsed_s: Seconds since the request arrived.
        day_left_usd: Dollars left of the day. None: the day has no limit.
        trace: Every decision is appended here as it is made, for who has to stop half-way.

    Yields a call at a time; has to be sent what was seen of it.
    """
    entries = [] if trace is None else trace
    entries.extend(first.checks)
    if first.race is not None:
        entries.append(Note(f"race: {first.race.because}"))
    ladder = Ladder(policy, first, rungs, entries)
    seen = Seen(elapsed_s=elapsed_s, day_left_usd=day_left_usd)
    return (yield from _Walker(policy, ladder, limits, entries, seen).run(asked, stay))


class _Walker:
    """State of one walk."""

    def __init__(
        self, policy: Policy, ladder: Ladder, limits: Limits, entries: list[Entry], seen: Seen
    ) -> None:
        self.policy = policy
        self.ladder = ladder
        self.limits = limits
        self.entries = entries
        self.seen = seen
        self.hops = 0
        self.best: int | None = None
        self.drafted: int | None = None
        self.stopped_by: str | None = None
        self.because = ladder.because
        self.cause: Cause = "start"

    def run(self, asked: str | None, stay: str | None) -> Walk:
        if asked is not None:
            return (yield from self.run_one(asked))
        if stay is not None:
            verdict = yield from self.stay(stay)
            if verdict is not None:
                return verdict
        if self.ladder.start is None:
            return self.nobody(None)
        chosen: tuple[str, str] | None = (self.ladder.start, "")
        while chosen is not None:
            tier, why = chosen
            if why:
                self.because = f"{self.because}; {tier}: {why}"
            verdict = yield from self.tier(tier)
            if verdict is not None:
                return verdict
            if self.is_over():
                break
            chosen = self.ladder.next()
        return self.fall_back()

    def run_one(self, asked: str) -> Walk:
        """Only the target the caller named."""
        self.cause, self.because = "asked", "the caller named it"
        rung = self.ladder.named(asked)
        if rung is None:
            return self.nobody(asked)
        verdict = yield from self.ask(rung, commits=True)
        return self.fall_back() if verdict is None else verdict

    def stay(self, target: str) -> _Step:
        """Inside a tool loop, who made the call is asked again. None: it can't be, or it failed."""
        rung = self.ladder.named(target)
        if rung is None:
            self.note(f"the tool loop leaves {target}")
            return None
        before = self.because
        self.cause, self.because = "loop", f"{target} made the tool call"
        verdict = yield from self.ask(rung, commits=True)
        self.ladder.use_up(target)
        if verdict is None and self.hops == 0:  # a limit kept it from being asked
            self.cause, self.because = "start", before
        return verdict

    def nobody(self, asked: str | None) -> Verdict:
        if self.ladder.bars(asked) and not self.hops:
            return self.verdict("forbidden", None)
        return self.fall_back()

    def tier(self, tier: str) -> _Step:
        """Ask the tier's targets until one answers."""
        rungs = self.ladder.take(tier)
        commits = self.ladder.is_last(tier)
        for rung in rungs:
            hops = self.hops
            verdict = yield from self.ask(rung, commits=commits)
            if verdict is not None or self.is_over():
                return verdict
            if self.hops > hops and self.seen.signals is not None:
                return None  # it answered, and its draft was not kept
        return None

    def ask(self, rung: Rung, *, commits: bool) -> _Step:
        """One hop, if the limits leave room for it."""
        if not self.fits(rung):
            return None
        index = self.hops
        self.hops += 1
        self.entries.append(Taken(index, self.cause, self.because))
        early = None if commits else self.policy.early_on(rung.tier)
        draft = self.drafted if self.policy.attach_draft else None
        self.seen = yield Call(
            rung.name, rung.tier, self.cause, self.because, commits, early, draft
        )
        self.entries.extend(self.seen.early)
        if self.seen.signals is None:
            return self.failed(rung)
        return self.judge(index, rung.tier, commits=commits or self.seen.committed)

    def failed(self, rung: Rung) -> Verdict | None:
        self.note(f"{rung.name} failed: {self.seen.failure}")
        if self.seen.committed:
            return self.verdict("no_answer", None, "cut")
        self.cause, self.because = "fallback", f"{rung.name} failed: {self.seen.failure}"
        return None

    def judge(self, index: int, tier: str, *, commits: bool) -> Verdict | None:
        """Keep an answer, or say why not. Once it is committed requirements only flag."""
        assert self.seen.signals is not None
        found = after(self.policy, tier, self.seen.signals)
        kept = found.accepted and self.seen.returnable
        checks = found.checks
        if commits:
            flagged = "flagged; it was accepted early" if self.seen.early else _FLAGGED
            checks = tuple(c._replace(effect=flagged) if c.effect else c for c in checks)
        self.entries.extend(checks)
        because = found.because
        if not self.seen.returnable:
            because = because or UNRETURNABLE
            self.note(f"hop {index + 1}: {UNRETURNABLE}")
        # Nothing was committed of an answer that says nothing: an earlier draft is better.
        instead = not self.seen.committed and not self.seen.returnable and self.best is not None
        if kept or (commits and not instead):
            return self.verdict("answered", index, *([] if kept else ["uncertain"]))
        if self.seen.returnable:
            self.drafted = index
            if self.seen.presentable:
                self.best = index
            else:
                self.note(f"hop {index + 1}: {UNPRESENTABLE}")
        self.cause, self.because = "escalation", because
        return None

    def fits(self, rung: Rung) -> bool:
        """Whether the limits leave room for a call of this target."""
        return self.hops_left() and self.in_time() and self.arrives(rung) and self.affords(rung)

    def is_over(self) -> bool:
        """Whether no further call of anybody could be made."""
        if self.stopped_by == "hops":
            return True
        allowed = self.limits.deadline_s
        late = allowed is not None and self.seen.elapsed_s >= allowed
        return late and self.stopped_by == "deadline_s"

    def hops_left(self) -> bool:
        allowed = self.limits.hops
        if allowed is None or self.hops < allowed:
            return True
        return self.stop("hops", f"{self.hops} hops taken, {allowed} allowed")

    def in_time(self) -> bool:
        """Whether the deadline leaves anything worth starting."""
        allowed, gone = self.limits.deadline_s, self.seen.elapsed_s
        if allowed is None or gone < allowed:
            return True
        return self.stop("deadline_s", f"{gone:.2f} s gone, {allowed:g} s allowed")

    def arrives(self, rung: Rung) -> bool:
        """Whether its answer could still come in time. Where the walk starts is the route's say."""
        allowed, gone = self.limits.deadline_s, self.seen.elapsed_s
        if allowed is None or self.cause not in ("escalation", "fallback"):
            return True
        if rung.expected_s is None:
            self.note(f"{rung.name}: its speed is not known yet, so the deadline lets it pass")
            return True
        if gone + rung.expected_s <= allowed:
            return True
        needs = f"{rung.name} needs about {rung.expected_s:.2f} s"
        return self.stop("deadline_s", f"{needs}, {allowed - gone:.2f} s of {allowed:g} s are left")

    def affords(self, rung: Rung) -> bool:
        limit, spent, day = self.limits.cost_usd, self.seen.spent_usd, self.seen.day_left_usd
        worst = rung.worst_case_usd
        if limit is None and day is None:
            return True
        if worst is None:
            which = "day_usd" if limit is None else "cost_usd"
            return self.stop(which, f"{rung.name} has no known price")
        if limit is not None and EXACT.add(spent, worst) > limit:
            left = EXACT.subtract(limit, spent)
            why = f"{rung.name} may cost ${worst}, ${left} of ${limit} is left"
            return self.stop("cost_usd", why)
        if day is not None and worst > day:
            return self.stop(
                "day_usd",
                f"{rung.name} may cost ${worst}, ${max(day, Decimal(0))} of the day's "
                f"${self.limits.day_usd} is left",
            )
        return True

    def stop(self, limit: str, why: str) -> bool:
        self.stopped_by = limit
        self.note(f"limit {limit}: {why}")
        return False

    def fall_back(self) -> Verdict:
        """No tier is left: the best draft there is, flagged, or nothing."""
        if self.stopped_by is None:
            self.in_time()  # if the last target ran out of time, that is why there is no answer
        limit = self.stopped_by
        flags = [] if limit is None else [f"limit:{limit}"]
        if self.best is not None and (limit is None or self.limits.at_limit == "draft"):
            self.note(f"hop {self.best + 1}'s draft is returned, flagged: nothing better came")
            return self.verdict("answered", self.best, "uncertain", *flags, limit=limit)
        if self.best is not None:
            self.note("limits.at_limit is refuse, so no draft is given back")
        status: Status = "no_answer" if limit is None else "limit_reached"
        return self.verdict(status, None, *flags, limit=limit)

    def note(self, text: str) -> None:
        self.entries.append(Note(text))

    def verdict(
        self, status: Status, hop: int | None, *flags: str, limit: str | None = None
    ) -> Verdict:
        return Verdict(status, hop, flags, limit, tuple(self.entries))


_FLAGGED = "flagged; no stronger tier is left"
