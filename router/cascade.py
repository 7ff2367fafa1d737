"""The walk: which target is asked next, and what of its answer is kept.

A generator without input or output of its own: it yields a `Call`, is sent what was `Seen`, and
returns a `Verdict`. The orchestrator drives it with real targets, tests drive it with lists.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from .hops import Cause, Status
from .policy.decide import Before, after
from .policy.rules import Limits, Policy, Signals
from .policy.trace import Entry, Note, Taken

UNRETURNABLE = "the answer has no text, or a filter cut it"


@dataclass(frozen=True, slots=True)
class Rung:
    """What the walk knows of a target.

    Attributes:
        name: The target's name.
        tier: The tier it serves.
        worst_case_usd: Most one call of this request may cost; a retry is another call.
            None: its price is not known.
    """

    name: str
    tier: str
    worst_case_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Call:
    """Ask this target now.

    Attributes:
        commits: The answer goes to the caller from its first token on, because nothing stronger
            could replace it. Otherwise it is a draft that nobody sees until it is kept.
        because: Why, in words.
    """

    target: str
    tier: str
    cause: Cause
    because: str
    commits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a call.

    Attributes:
        signals: Of the draft, together with the request's. None: there was no whole answer.
        returnable: The draft could be shown: it has text, and no filter cut it.
        failure: A `HopError.kind`. None: it ended well.
        committed: Bytes of it have reached the caller.
        elapsed_s: Seconds since the request arrived; at least the deadline when that is what
            ended the call, however early its timer fired.
        spent_usd: Dollars the request has cost; unknown costs counted at their worst case.
    """

    signals: Signals | None = None
    returnable: bool = False
    failure: str | None = None
    committed: bool = False
    elapsed_s: float = 0.0
    spent_usd: Decimal = Decimal(0)


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


def walk(
    policy: Policy,
    first: Before,
    rungs: Mapping[str, tuple[Rung, ...]],
    limits: Limits,
    *,
    asked: str | None = None,
    elapsed_s: float = 0.0,
    trace: list[Entry] | None = None,
) -> Walk:
    """Walk the tiers of `policy` from where `first` says until an answer is kept.

    Args:
        policy: Whose requirements hold.
        first: What the policy said of the request.
        rungs: Targets of each tier, in the order to try them.
        limits: The policy's, tightened by the caller's.
        asked: Ask this target and no other, whatever the route says; guards still hold.
        elapsed_s: Seconds since the request arrived.
        trace: Every decision is appended here as it is made, for who has to stop half-way.

    Yields a call at a time; has to be sent what was seen of it.
    """
    entries = [] if trace is None else trace
    entries.extend(first.checks)
    return (yield from _Walker(policy, rungs, limits, entries, elapsed_s).run(first, asked))


class _Walker:
    """State of one walk."""

    def __init__(
        self,
        policy: Policy,
        rungs: Mapping[str, tuple[Rung, ...]],
        limits: Limits,
        entries: list[Entry],
        elapsed_s: float,
    ) -> None:
        self.policy = policy
        self.rungs = rungs
        self.limits = limits
        self.entries = entries
        self.hops = 0
        self.seen = Seen(elapsed_s=elapsed_s)
        self.best: int | None = None
        self.stopped_by: str | None = None
        self.because = ""
        self.cause: Cause = "start"

    def run(self, first: Before, asked: str | None) -> Walk:
        self.because = first.because
        ladder = self.ladder(first) if asked is None else self.ladder_of_one(first, asked)
        if not ladder and self.forbidden(first, asked):
            return self.verdict("forbidden", None)
        for step, tier in enumerate(ladder):
            last = step == len(ladder) - 1
            verdict = yield from self.tier(tier, commits=last, asked=asked)
            if verdict is not None:
                return verdict
            if self.stopped_by in ("hops", "deadline_s"):
                break
        return self.fall_back()

    def ladder(self, first: Before) -> list[str]:
        """Permitted tiers from the start up that have a target; the rest is noted.

        Where none of them has, the strongest weaker one that has: as where the start is forbidden.
        """
        if first.start is None:
            return []
        start = first.permitted.index(first.start)
        for tier in first.permitted[start:]:
            if not self.rungs.get(tier):
                self.note(f"tier {tier} skipped: no target serves it")
        found = [tier for tier in first.permitted[start:] if self.rungs.get(tier)]
        weaker = [tier for tier in first.permitted[:start] if self.rungs.get(tier)]
        if not found and weaker:
            self.because += f"; no target serves {first.start} or a stronger tier"
            return weaker[-1:]
        return found

    def ladder_of_one(self, first: Before, asked: str) -> list[str]:
        self.cause, self.because = "asked", "the caller named it"
        for tier, rungs in self.rungs.items():
            if any(rung.name == asked for rung in rungs):
                if tier in first.permitted:
                    return [tier]
                why = "is forbidden" if tier in self.policy.tiers else "is not in the policy"
                self.note(f"target {asked} was asked for, and its tier {tier} {why}")
        return []

    def forbidden(self, first: Before, asked: str | None) -> bool:
        """Whether it is the policy that left nobody to ask, and not the want of a target."""
        if asked is not None:
            return any(rung.name == asked for rungs in self.rungs.values() for rung in rungs)
        barred = [tier for tier in self.policy.tiers if tier not in first.permitted]
        return first.start is None or any(self.rungs.get(tier) for tier in barred)

    def tier(
        self, tier: str, *, commits: bool, asked: str | None
    ) -> Generator[Call, Seen, Verdict | None]:
        """Ask the tier's targets until one answers. None: go on with the next tier."""
        for rung in self.rungs[tier]:
            if asked is not None and rung.name != asked:
                continue
            if not self.fits(rung):
                if self.stopped_by in ("hops", "deadline_s"):
                    return None
                continue
            index = self.hops
            self.hops += 1
            self.entries.append(Taken(index, self.cause, self.because))
            self.seen = yield Call(rung.name, tier, self.cause, self.because, commits)
            if self.seen.signals is None:
                failed = self.failed(rung)
                if failed is not None:
                    return failed
                continue
            return self.judge(index, tier, commits=commits)
        return None

    def failed(self, rung: Rung) -> Verdict | None:
        self.note(f"{rung.name} failed: {self.seen.failure}")
        if self.seen.committed:
            return self.verdict("no_answer", None, "cut")
        self.cause, self.because = "fallback", f"{rung.name} failed: {self.seen.failure}"
        return None

    def judge(self, index: int, tier: str, *, commits: bool) -> Verdict | None:
        """Keep an answer, or say why not. On the last tier requirements only flag."""
        assert self.seen.signals is not None
        found = after(self.policy, tier, self.seen.signals)
        kept = found.accepted and self.seen.returnable
        checks = found.checks
        if commits:
            checks = tuple(
                c._replace(effect="flagged; no stronger tier is left") if c.effect else c
                for c in checks
            )
        self.entries.extend(checks)
        because = found.because
        if not self.seen.returnable:
            because = because or UNRETURNABLE
            self.note(f"hop {index + 1}: {UNRETURNABLE}")
        # Nothing was committed of an answer without text: an earlier draft is better than that.
        instead = not self.seen.committed and not self.seen.returnable and self.best is not None
        if kept or (commits and not instead):
            return self.verdict("answered", index, *([] if kept else ["uncertain"]))
        if self.seen.returnable:
            self.best = index
        self.cause, self.because = "escalation", because
        return None

    def fits(self, rung: Rung) -> bool:
        """Whether the limits leave room for a call of this target."""
        limits = self.limits
        if limits.hops is not None and self.hops >= limits.hops:
            return self.stop("hops", f"{self.hops} hops taken, {limits.hops} allowed")
        if not self.in_time():
            return False
        if limits.cost_usd is None:
            return True
        if rung.worst_case_usd is None:
            return self.stop("cost_usd", f"{rung.name} has no known price")
        if self.seen.spent_usd + rung.worst_case_usd > limits.cost_usd:
            return self.stop(
                "cost_usd",
                f"{rung.name} may cost ${rung.worst_case_usd}, "
                f"${limits.cost_usd - self.seen.spent_usd} of ${limits.cost_usd} is left",
            )
        return True

    def in_time(self) -> bool:
        """Whether the deadline leaves anything worth starting."""
        allowed, gone = self.limits.deadline_s, self.seen.elapsed_s
        if allowed is None or gone < allowed:
            return True
        return self.stop("deadline_s", f"{gone:.2f} s gone, {allowed:g} s allowed")

    def stop(self, limit: str, why: str) -> bool:
        self.stopped_by = limit
        self.note(f"limit {limit}: {why}")
        return False

    def fall_back(self) -> Verdict:
        """No tier is left: the best draft there is, flagged, or nothing."""
        if self.stopped_by is None:
            self.in_time()  # if the last target ran out of time, that is why there is no answer
        flags = [] if self.stopped_by is None else [f"limit:{self.stopped_by}"]
        if self.best is not None:
            self.note(f"hop {self.best + 1}'s draft is returned, flagged: nothing better came")
            return self.verdict("answered", self.best, "uncertain", *flags, limit=self.stopped_by)
        status: Status = "no_answer" if self.stopped_by is None else "limit_reached"
        return self.verdict(status, None, *flags, limit=self.stopped_by)

    def note(self, text: str) -> None:
        self.entries.append(Note(text))

    def verdict(
        self, status: Status, hop: int | None, *flags: str, limit: str | None = None
    ) -> Verdict:
        return Verdict(status, hop, flags, limit, tuple(self.entries))
