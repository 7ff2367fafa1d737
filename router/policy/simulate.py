"""A request played through without models: given signals and replies in, path and answer out. Pure.

It drives the same `before` and `walk` that decide real requests, with one target for each tier,
called like the tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ..cascade import Call, Rung, Seen, Verdict, walk
from ..hops import Status, total_cost
from ..money import EXACT
from ..signals.catalogue import Value, find_signal
from .decide import Before, after, before, early
from .predicates import Signals
from .race import Finish, run_race
from .rules import Policy
from .trace import Check, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one tier would answer.

    Attributes:
        signals: Of the whole draft.
        beginning: Of the draft when an early commit looks at it; where empty, those of the whole
            draft, less what can be known of a whole one only.
        fails: A `HopError.kind`. None: it answers.
        returnable: It says something, and no filter cut it.
        presentable: It could be shown although it was not kept: it is no refusal and does not
            break the form asked for.
        seconds: Until it is whole, or has failed. None: not known; the deadline then counts none.
        usd: What it costs. None: not known; limits then count its price at worst.
    """

    signals: Mapping[str, Value] = field(default_factory=dict)
    beginning: Mapping[str, Value] = field(default_factory=dict)
    fails: str | None = None
    returnable: bool = True
    presentable: bool = True
    seconds: float | None = None
    usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Everything a request would meet.

    Attributes:
        signals: Of the request. What is not there is unknown.
        replies: By tier.
        prices: By tier, most dollars a call costs. A tier that is not there has no known price.
        seconds: By tier, expected seconds of an answer. Not there: not known.
        unserved: Tiers without a target.
        stay: The tier that made the tool call this request answers. None: no tool loop.
        asked: The tier whose target the caller named. None: the policy decides.
    """

    signals: Mapping[str, Value] = field(default_factory=dict)
    replies: Mapping[str, Reply] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    unserved: frozenset[str] = frozenset()
    stay: str | None = None
    asked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it.

    Attributes:
        path: Tiers asked, in order.
        answer: The tier whose answer is returned. None: none is, or `missing` is asked.
        status: How it ended. None: not known, for the reply of `missing` is not.
        flags: What the reader of the answer should know.
        limit: The limit but for which there might be another answer.
        race: The tier that would start beside the first. None: nobody.
        finish: How that race would end. None: there is none, or its seconds are not known.
        missing: The tier that was asked and has no reply: the last of `path`. What would have
            followed is not known.
        entries: Everything that was decided, in order.
        seconds: Seconds of all replies. None: those of one are not known.
        usd: Dollars of all replies. None: those of one are not known.
        first: What the policy said before any model had run.
    """

    path: tuple[str, ...]
    answer: str | None
    status: Status | None
    flags: tuple[str, ...]
    limit: str | None
    race: str | None
    finish: Finish | None
    missing: str | None
    entries: tuple[Entry, ...]
    seconds: float | None
    usd: Decimal | None
    first: Before


def simulate(policy: Policy, given: Given) -> Played:
    """Play one request through `policy`. Stops where a tier is asked whose reply is not given."""
    first = before(policy, given.signals)
    entries: list[Entry] = []
    steps = walk(
        policy,
        first,
        _rungs(policy, given),
        policy.limits,
        asked=given.asked,
        stay=given.stay,
        day_left_usd=day_left_usd(policy, given.signals),
        trace=entries,
    )
    path: list[str] = []
    seen = Seen(day_left_usd=day_left_usd(policy, given.signals))
    verdict: Verdict | None = None
    try:
        call = next(steps)
        while True:
            path.append(call.tier)
            reply = given.replies.get(call.tier)
            if reply is None:
                steps.close()
                break
            seen = _seen(policy, given, call, reply, seen)
            call = steps.send(seen)
    except StopIteration as stop:
        verdict = stop.value
    return _played(policy, given, first, tuple(path), tuple(entries), verdict)


def day_left_usd(policy: Policy, signals: Signals) -> Decimal | None:
    """Dollars left of the day by the signals that speak of it. None: the day has no limit.

    Where they contradict each other the least is taken; where all are unknown, the whole day.
    """
    day = policy.limits.day_usd
    if day is None:
        return None
    left = [day]
    used, spent, rest = (
        signals.get(f"world.{name}")
        for name in ("budget_used", "spent_today_usd", "left_today_usd")
    )
    if isinstance(used, int | float):
        left.append(EXACT.subtract(day, EXACT.multiply(day, Decimal(str(used)))))
    if isinstance(spent, int | float):
        left.append(EXACT.subtract(day, Decimal(str(spent))))
    if isinstance(rest, int | float):
        left.append(Decimal(str(rest)))
    return max(Decimal(0), min(left))


def _rungs(policy: Policy, given: Given) -> dict[str, tuple[Rung, ...]]:
    return {
        tier: (Rung(tier, tier, given.prices.get(tier), given.seconds.get(tier)),)
        for tier in policy.tiers
        if tier not in given.unserved
    }


def _seen(policy: Policy, given: Given, call: Call, reply: Reply, last: Seen) -> Seen:
    """What the walk is told of a reply; seconds and dollars add up."""
    usd = reply.usd if reply.usd is not None else given.prices.get(call.tier, Decimal(0))
    day = last.day_left_usd
    looked = _beginning(policy, given, call, reply)
    shown = call.commits or (looked is not None and looked.truth is True)
    failed = reply.fails is not None
    return Seen(
        signals=None if failed else {**given.signals, **reply.signals},
        returnable=reply.returnable and not failed,
        presentable=reply.presentable,
        early=() if looked is None else (looked,),
        failure=reply.fails,
        committed=shown and reply.returnable and not failed,
        elapsed_s=last.elapsed_s + (reply.seconds or 0.0),
        spent_usd=EXACT.add(last.spent_usd, usd),
        day_left_usd=None if day is None else EXACT.subtract(day, usd),
    )


def _beginning(policy: Policy, given: Given, call: Call, reply: Reply) -> Check | None:
    """The look at a draft's beginning. None: nobody looks, or it ends or fails before that."""
    if call.early is None or reply.fails is not None:
        return None
    tokens = reply.signals.get("draft.tokens")
    if isinstance(tokens, int | float) and tokens < call.early.tokens:
        return None
    signals = reply.beginning or {
        name: value
        for name, value in reply.signals.items()
        if (signal := find_signal(name)) is None or not signal.whole_draft
    }
    return early(policy, call.tier, {**given.signals, **signals})


def _played(
    policy: Policy,
    given: Given,
    first: Before,
    path: tuple[str, ...],
    entries: tuple[Entry, ...],
    verdict: Verdict | None,
) -> Played:
    answered = None if verdict is None else verdict.answered_by
    replies = [given.replies.get(tier) for tier in path]
    seconds = [None if reply is None else reply.seconds for reply in replies]
    usd = [None if reply is None else reply.usd for reply in replies]
    return Played(
        path=path,
        answer=None if answered is None else path[answered],
        status=None if verdict is None else verdict.status,
        flags=() if verdict is None else verdict.flags,
        limit=None if verdict is None else verdict.limit,
        race=None if first.race is None else first.race.tier,
        finish=_finish(policy, given, first),
        missing=path[-1] if verdict is None else None,
        entries=entries,
        seconds=None if None in seconds else sum(s for s in seconds if s is not None),
        usd=total_cost(tuple(usd)),
        first=first,
    )


def _finish(policy: Policy, given: Given, first: Before) -> Finish | None:
    """How the race ends that the policy would start. None: there is none, or it is not known."""
    if first.race is None or first.race.tier is None or first.start is None:
        return None
    draft, rival = given.replies.get(first.start), given.replies.get(first.race.tier)
    if draft is None or rival is None:
        return None
    if any(reply.seconds is None and reply.fails is None for reply in (draft, rival)):
        return None
    last = first.race.tier == first.permitted[-1]
    return run_race(
        draft_s=None if draft.fails else draft.seconds,
        kept=_kept(policy, given, first.start, draft),
        rival_s=None if rival.fails else rival.seconds,
        rival_kept=last or _kept(policy, given, first.race.tier, rival),
    )


def _kept(policy: Policy, given: Given, tier: str, reply: Reply) -> bool:
    return reply.returnable and after(policy, tier, {**given.signals, **reply.signals}).accepted
