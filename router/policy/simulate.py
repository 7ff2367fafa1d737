"""A request played through without models: given signals and replies in, path and answer out. Pure.

It drives the same `before` and `walk` as real requests do, with one target a tier, called like it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ..cascade import Call, Rung, Seen, Verdict, walk
from ..hops import Status, total_cost
from ..money import EXACT
from ..signals.catalogue import Value, find_signal
from .decide import Before, before, doubt, early, given_up, open_opinions
from .opinions import asked_only
from .predicates import Signals
from .rules import Bar, Policy
from .trace import Check, Entry, Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one tier would answer.

    Attributes:
        signals: Of the whole draft.
        beginning: Of the draft when an early commit or an abort looks at it; where empty, those of
            the whole draft, less what can be known of a whole one only.
        fails: A `HopError.kind`. None: it answers.
        returnable: It says something, and no filter cut it.
        cut: A content filter cut it after it had said something.
        presentable: It could be shown although it was not kept: it is no refusal and does not
            break the form asked for.
        seconds: Until it is whole, or has failed; one that is given up counts as if it were whole,
            for how much sooner that is, is not known. None: not known; the deadline then counts
            none, and in a race the draft comes first.
        usd: What it costs. None: not known; limits then count its price at worst.
    """

    signals: Mapping[str, Value] = field(default_factory=dict)
    beginning: Mapping[str, Value] = field(default_factory=dict)
    fails: str | None = None
    returnable: bool = True
    cut: bool = False
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
        unpriced: Tiers whose price is not known, and that limits of dollars let pass all the same.
        unserved: Tiers without a target.
        stay: The tier that made the tool call this request answers. None: no tool loop.
        asked: The tier whose target the caller named. None: the policy decides.
    """

    signals: Mapping[str, Value] = field(default_factory=dict)
    replies: Mapping[str, Reply] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    unpriced: frozenset[str] = frozenset()
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
        race: The tier that starts beside the first. None: nobody.
        missing: The tier that was asked and has no reply. What would have followed is not known.
        entries: Everything that was decided, in order.
        seconds: From the start to the end. None: those of a reply are not known.
        usd: Dollars of all replies. None: those of one are not known, or it was stopped half-way.
        first: What the policy said before any model had run.
        certified: As of an `Outcome`.
    """

    path: tuple[str, ...]
    answer: str | None
    status: Status | None
    flags: tuple[str, ...]
    limit: str | None
    race: str | None
    missing: str | None
    entries: tuple[Entry, ...]
    seconds: float | None
    usd: Decimal | None
    first: Before
    certified: bool | None = None


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
    play = _Play(policy, given)
    verdict: Verdict | None = None
    try:
        call = next(steps)
        while (seen := play.ended(call)) is not None:
            entries.extend(_opinions(policy, call, seen))
            call = steps.send(seen)
        steps.close()
    except StopIteration as stop:
        verdict = stop.value
    return _played(policy, given, first, play, tuple(entries), verdict)


class _Play:
    """The replies of one request as they come, by their seconds.

    Attributes:
        path: Tiers asked, by the index of their hop.
        replied: Indexes of the hops that came to their end.
        missing: A tier whose reply is wanted and not given. None: none was.
        raced: The tier that was asked beside the first. None: none was.
    """

    def __init__(self, policy: Policy, given: Given) -> None:
        self._policy = policy
        self._given = given
        self._last = Seen(day_left_usd=day_left_usd(policy, given.signals))
        self._under_way: dict[int, tuple[Call, float]] = {}
        self.path: dict[int, str] = {}
        self.replied: set[int] = set()
        self.missing: str | None = None
        self._doubted: Check | None = None
        self.raced: str | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds until the last reply that was waited for."""
        return self._last.elapsed_s

    def ended(self, call: Call) -> Seen | None:
        """What comes of a call. None: its reply is not given."""
        now = self._last.elapsed_s
        if call.resumed:
            self._under_way[call.hop] = (call, self._under_way[call.hop][1])
        else:
            self._under_way = {}
            self._begin(call, now)
        starts_s = self._rival_starts_s(call)
        if call.rival is not None and self._under_way[call.hop][1] >= now + starts_s:
            self._begin(call.of_rival(), now + starts_s)
            self.raced = call.rival.tier
        rivaled = len(self._under_way) > 1
        hop = min(self._under_way, key=lambda hop: (self._under_way[hop][1], hop))
        of, at = self._under_way.pop(hop)
        reply = self._given.replies.get(of.tier)
        if reply is None:
            self.missing = of.tier
            return None
        self.replied.add(hop)
        seen = _seen(self._policy, self._given, of, reply, self._last)
        if self._doubted is not None and hop == call.hop:
            seen = replace(seen, early=(*seen.early, self._doubted))
        at = now if at == math.inf else at
        self._last = replace(seen, elapsed_s=at, rivaled=rivaled, by_rival=hop != call.hop)
        return self._last

    def _rival_starts_s(self, call: Call) -> float:
        """Seconds after the first's start; infinity: it doesn't.

        How many seconds into the draft it is looked at is not known; it counts as at once.
        """
        rival, reply = call.rival, self._given.replies.get(call.tier)
        self._doubted = None
        if rival is None:
            return math.inf
        if rival.doubt is not None and reply is not None and reply.fails is None:
            signals = _so_far(self._given, reply, rival.doubt.tokens)
            self._doubted = None if signals is None else doubt(self._policy, signals)
            if self._doubted is not None and self._doubted.truth is True:
                return 0.0
        return math.inf if rival.after_s is None else rival.after_s

    def _begin(self, call: Call, at: float) -> None:
        """Put it under way. Where seconds are not known, the rival's end is after the first's."""
        self.path[call.hop] = call.tier
        reply = self._given.replies.get(call.tier)
        if reply is not None and reply.seconds is not None:
            ends = at + reply.seconds
        else:
            ends = math.inf if call.cause == "race" else at
        self._under_way[call.hop] = (call, ends)


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
        tier: (
            Rung(
                tier,
                tier,
                given.prices.get(tier),
                given.seconds.get(tier),
                unpriced=tier in given.unpriced,
            ),
        )
        for tier in policy.tiers
        if tier not in given.unserved
    }


def _seen(policy: Policy, given: Given, call: Call, reply: Reply, last: Seen) -> Seen:
    """What the walk is told of a reply; dollars add up."""
    usd = reply.usd if reply.usd is not None else given.prices.get(call.tier, Decimal(0))
    day = last.day_left_usd
    looked = _beginning(policy, given, call, reply)
    said = looked[-1].kind if looked and looked[-1].truth is True else ""
    shown = call.commits or said == "early"
    failed = reply.fails is not None or said == "abort"
    return Seen(
        signals=None if failed else {**given.signals, **asked_only(reply.signals, call.opinions)},
        returnable=reply.returnable and not failed,
        presentable=reply.presentable,
        filtered=reply.fails == "filtered" or reply.signals.get("draft.finish") == "content_filter",
        early=looked,
        aborted=said == "abort",
        failure=reply.fails,
        committed=shown and (reply.returnable or reply.cut) and not failed,
        spent_usd=EXACT.add(last.spent_usd, usd),
        day_left_usd=None if day is None else EXACT.subtract(day, usd),
    )


def _beginning(policy: Policy, given: Given, call: Call, reply: Reply) -> tuple[Check, ...]:
    """The looks at a draft's beginning, until one shows it or gives it up."""
    if reply.fails is not None:
        return ()
    bars = () if call.abort is None else call.abort.bars
    shows = () if call.early is None else (call.early,)
    found: list[Check] = []
    for look in sorted((*shows, *bars), key=lambda look: look.tokens):  # a show before a bar
        signals = _so_far(given, reply, look.tokens)
        if signals is None:
            break
        if isinstance(look, Bar):
            check: Check | None = given_up(call.tier, look, signals)
        else:
            check = early(policy, call.tier, signals)
        assert check is not None
        found.append(check)
        if check.truth is True:
            break
    return tuple(found)


def _opinions(policy: Policy, call: Call, seen: Seen) -> list[Note]:
    """What would be asked about a draft; what comes of it stands among its signals."""
    if call.opinions is None or seen.signals is None or seen.rivaled or not seen.askable:
        return []
    wanted = sorted(open_opinions(policy, call.tier, seen.signals) & call.opinions.gives)
    return [Note(f"opinions: asked for {', '.join(wanted)}")] if wanted else []


def _so_far(given: Given, reply: Reply, needed: int) -> dict[str, Value] | None:
    """Signals when that many tokens are there. None: the draft ends before."""
    tokens = reply.signals.get("draft.tokens")
    if isinstance(tokens, int | float) and tokens < needed:
        return None
    beginning = reply.beginning or {
        name: value
        for name, value in reply.signals.items()
        if (signal := find_signal(name)) is None or not signal.whole_draft
    }
    return {**given.signals, **beginning}


def _played(
    policy: Policy,
    given: Given,
    first: Before,
    play: _Play,
    entries: tuple[Entry, ...],
    verdict: Verdict | None,
) -> Played:
    path = tuple(tier for _, tier in sorted(play.path.items()))
    answered = None if verdict is None else verdict.answered_by
    replies = {hop: given.replies.get(tier) for hop, tier in play.path.items()}
    known = all(reply is not None and reply.seconds is not None for reply in replies.values())
    usd = [
        reply.usd if reply is not None and hop in play.replied else None
        for hop, reply in replies.items()
    ]
    return Played(
        path=path,
        answer=None if answered is None else path[answered],
        status=None if verdict is None else verdict.status,
        flags=() if verdict is None else verdict.flags,
        limit=None if verdict is None else verdict.limit,
        race=play.raced,
        missing=play.missing,
        entries=entries,
        seconds=play.elapsed_s if known else None,
        usd=total_cost(tuple(usd)),
        first=first,
        certified=None if verdict is None else verdict.certified,
    )
