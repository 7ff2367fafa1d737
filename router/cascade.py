"""The walk: which target is asked next, and what of its answer is kept.

A generator without input or output of its own: it yields a `Call`, is sent what was `Seen`, and
returns a `Verdict`. The orchestrator drives it with real targets, tests drive it with lists.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal

from .bounds import Bounds
from .hops import Cause, Status
from .ladder import Ladder, Rung, Rungs
from .policy.decide import Before, after
from .policy.predicates import Signals
from .policy.rules import Limits, Policy
from .policy.trace import Ended, Entry, Note, Taken
from .quick import maker
from .rivals import Rivals
from .steps import UNPRESENTABLE, UNRETURNABLE, Call, Seen, Verdict

__all__ = ["Call", "Rung", "Seen", "Verdict", "Walk", "walk"]

Walk = Generator[Call, Seen, Verdict]
_Step = Generator[Call, Seen, Verdict | None]
"""Part of a walk. None: it goes on."""
_seen = maker(Seen)


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

    Returns: a generator that yields a call at a time and has to be sent what was seen of it.
    """
    entries = [] if trace is None else trace
    entries.extend(first.checks)
    ladder = Ladder(policy, first, rungs, entries)
    seen = _seen(elapsed_s=elapsed_s, day_left_usd=day_left_usd)
    bounds = Bounds(limits, entries)
    rivals = Rivals(policy, first, ladder, bounds, entries)
    return _Walker(policy, ladder, bounds, rivals, entries, seen).run(asked, stay)


class _Walker:
    """State of one walk.

    Attributes:
        best: Index of the hop whose draft is given back when nothing better comes.
        drafted: Index of the hop whose draft goes along.
        answered: Somebody gave a whole answer, kept or not, when asked last.
        filtered: A content filter has stopped a hop.
        given_up: The target whose draft was given up last. None: none was.
        certified: As of the `Verdict`.
        doubted: Signals of the draft that was not kept last. None: none was.
    """

    def __init__(
        self,
        policy: Policy,
        ladder: Ladder,
        bounds: Bounds,
        rivals: Rivals,
        entries: list[Entry],
        seen: Seen,
    ) -> None:
        self.policy = policy
        self.ladder = ladder
        self.bounds = bounds
        self.rivals = rivals
        self.entries = entries
        self.seen = seen
        self.best: int | None = None
        self.drafted: int | None = None
        self.answered = self.filtered = False
        self.given_up: str | None = None
        self.certified: bool | None = None
        self.doubted: Signals | None = None
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
            if self.bounds.are_over(self.seen):
                break
            chosen = self.ladder.next(self.doubted)
            if chosen is None:
                verdict = yield from self.again()
                if verdict is not None:
                    return verdict
                chosen = self.down()
        return self.fall_back()

    def again(self) -> _Step:
        """The target whose draft was given up, when nobody since gave one: now to its end.

        Better a whole weak answer than none, as with a draft that was not kept.
        """
        target, self.given_up = self.given_up, None
        if target is None or self.best is not None or self.policy.on_failure == "refuse":
            return None
        rung = self.ladder.named(target)
        assert rung is not None
        self.cause = "fallback"
        self.because = f"nobody else answered, and {target}'s draft had been given up"
        return (yield from self.ask(rung, commits=True))

    def down(self) -> tuple[str, str] | None:
        """Where to go when nobody from the start up has given anything: below it, if anywhere."""
        if self.best is not None or self.drafted is not None:
            return None
        tier = self.ladder.down()
        if tier is None:
            return None
        if self.bounds.hops:
            self.cause = "fallback"
        return tier, "nobody from the start up answered"

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
        self.ladder.use_up(target, rung.tier)
        if verdict is None and self.bounds.hops == 0:  # a limit kept it from being asked
            self.cause, self.because = "start", before
        return verdict

    def nobody(self, asked: str | None) -> Verdict:
        if self.ladder.bars(asked) and not self.bounds.hops:
            return self.verdict("forbidden", None)
        return self.fall_back()

    def tier(self, tier: str) -> _Step:
        """Ask the tier's targets until one answers."""
        rungs = self.ladder.take(tier)
        commits = self.ladder.is_last(tier)
        for rung in rungs:
            if not self.ladder.offers(rung):  # it was the rival of another
                continue
            verdict = yield from self.ask(rung, commits=commits)
            if verdict is not None or self.bounds.are_over(self.seen):
                return verdict
            if self.answered:
                return None  # its draft was not kept
        return None

    def ask(self, rung: Rung, *, commits: bool) -> _Step:
        """One hop, if the limits leave room for it, and whoever is asked beside it."""
        self.answered = False
        if not self.bounds.leave_room(rung, self.cause, self.seen):
            return None
        loose = self.cause not in ("asked", "loop")
        rival = self.rivals.beside(rung, commits=commits, seen=self.seen) if loose else None
        policy, index, tier = self.policy, self.bounds.index, rung.tier
        early = None if commits else policy.early_on(tier)
        # What is given up is not given back, so somebody has to be left to ask.
        alone = commits or self.bounds.end_with(1 if rival is None else 2)
        draft = self.drafted if policy.attach_draft else None
        abort = None if alone else policy.abort_on(tier)
        asks = policy.opinions_on(tier) if policy.opinions and not commits else None
        why = self.cause, self.because
        call = Call(rung.name, tier, *why, commits, early, draft, index, rival, abort, asks)
        self.taken(call)
        self.seen = yield call
        self.bounds.aside += self.seen.aside
        self.entries.extend(self.seen.early)
        if not self.seen.rivaled:
            return self.ended(call, shown=commits)
        return (yield from self.both(call))

    def both(self, call: Call) -> _Step:
        """Two hops beside each other, one of which has ended: until one is kept or both are over.

        A hop that is under way and not resumed is stopped by whoever drives the walk.
        """
        beside = call.of_rival()
        self.taken(beside)
        first, other = (beside, call) if self.seen.by_rival else (call, beside)
        stronger = first is beside and self.may_show(beside)  # than any that could still come
        self.entries.append(Ended(f"{first.target} ended first", first.hop))
        verdict = self.ended(first, shown=self.seen.returnable and (first.commits or stronger))
        if verdict is not None:
            return verdict
        if beside.cause == "hedge" and (self.seen.returnable or self.seen.aborted):
            return None  # another answer of the tier is not what is wanted now
        commits = self.may_show(other)
        self.seen = yield replace(other, commits=commits, resumed=True, rival=None)
        self.entries.append(Ended(f"{other.target} ended too", other.hop))
        self.entries.extend(self.seen.early)
        return self.ended(other, shown=commits)

    def may_show(self, call: Call) -> bool:
        """Whether its answer goes to the caller whatever is said of it."""
        return call.commits or self.ladder.is_last(call.tier)

    def taken(self, call: Call) -> None:
        self.bounds.hops += 1
        self.ladder.use_up(call.target, call.tier)  # nor is it ever asked beside another
        self.entries.append(Taken(call.hop, call.cause, call.because, call.commits))

    def ended(self, call: Call, *, shown: bool) -> Verdict | None:
        """What follows from the end of a hop. `shown`: its answer is given whatever it is like."""
        if self.seen.filtered and (verdict := self.blocked(call.tier)) is not None:
            return verdict
        if self.seen.aborted:
            self.answered, self.given_up = True, call.target
            self.cause, self.because = "escalation", self.seen.given_up_because()
            return None
        if self.seen.signals is None:
            return self.failed(call.target)
        self.answered = True
        if call.cause == "race":
            self.ladder.take(call.tier)
        return self.judge(call.hop, call.tier, shown=shown)

    def blocked(self, tier: str) -> Verdict | None:
        """What `on_filtered` makes of a content filter's stop. None: the walk goes on.

        What has reached the caller stays with every rule.
        """
        self.filtered = True
        rule = self.policy.on_filtered
        if rule == "next" or self.seen.committed:
            return None
        if rule == "refuse":
            self.note("a content filter stopped it, and on_filtered is refuse")
            return self.verdict("no_answer", None)
        self.note(f"a content filter stopped it, so nobody from {tier} up is asked any more")
        self.ladder.only_below(tier)
        if self.best is None:
            return None
        self.note(f"hop {self.best + 1}'s draft is returned, flagged: on_filtered is draft")
        return self.verdict("answered", self.best, "uncertain")

    def failed(self, target: str) -> Verdict | None:
        self.note(f"{target} failed: {self.seen.failure}")
        if self.seen.committed:
            return self.verdict("no_answer", None, "cut")
        self.cause, self.because = "fallback", f"{target} failed: {self.seen.failure}"
        return None

    def judge(self, index: int, tier: str, *, shown: bool) -> Verdict | None:
        """Keep an answer, or say why not. Once it is committed requirements only flag."""
        assert self.seen.signals is not None
        commits = shown or self.seen.committed
        found = after(self.policy, tier, self.seen.signals)
        kept = found.accepted and self.seen.returnable
        for check in found.checks:
            only_flags = commits and check.effect
            self.entries.append(self.seen.flagged(check, self.cause) if only_flags else check)
        because = found.because
        if not self.seen.returnable:
            because = because or UNRETURNABLE
            self.note(f"hop {index + 1}: {UNRETURNABLE}")
        # Nothing was committed of an answer that says nothing: an earlier draft is better.
        weaker = self.seen.filtered and self.policy.on_filtered == "draft"
        instead = not (self.seen.committed or self.seen.returnable) and (
            weaker or self.best is not None
        )
        if kept or (commits and not instead):
            self.certified = None if shown else found.certified and not commits
            return self.verdict("answered", index, *([] if kept else ["uncertain"]))
        self.doubted = self.seen.signals
        if self.seen.returnable:
            self.drafted = max(index, self.drafted or 0)
            if self.seen.presentable:
                self.best = max(index, self.best or 0)
            else:
                self.note(f"hop {index + 1}: {UNPRESENTABLE}")
        self.cause, self.because = "escalation", because
        return None

    def fall_back(self) -> Verdict:
        """No tier is left: the best draft there is, flagged, or nothing."""
        if self.bounds.stopped_by is None:
            # If the last target ran out of time, that is why there is no answer.
            self.bounds.in_time(self.seen)
        limit = self.bounds.stopped_by
        flags = [] if limit is None else [f"limit:{limit}"]
        rule, name = self.policy.on_failure, "on_failure"
        if limit is not None:
            rule, name = self.bounds.limits.at_limit, "limits.at_limit"
        if self.best is not None and rule == "draft":
            self.note(f"hop {self.best + 1}'s draft is returned, flagged: nothing better came")
            return self.verdict("answered", self.best, "uncertain", *flags, limit=limit)
        if self.best is not None:
            self.note(f"{name} is refuse, so no draft is given back")
        status: Status = "no_answer" if limit is None else "limit_reached"
        return self.verdict(status, None, *flags, limit=limit)

    def note(self, text: str) -> None:
        self.entries.append(Note(text))

    def verdict(
        self, status: Status, hop: int | None, *flags: str, limit: str | None = None
    ) -> Verdict:
        if self.filtered and (flags or status != "answered"):  # it was not kept as it is
            flags = (*flags, "filtered")
        return Verdict(status, hop, flags, limit, tuple(self.entries), self.certified)
