"""What every walk with races and hedges keeps to, whatever ends first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from support.policies import (
    OF_REQUEST,
    replies,
    rich_ladders,
    rich_policies,
    signal_sets,
)

from router.cascade import Call, Rung, Seen, Verdict, walk
from router.policy import before, predicates
from router.policy.rules import Doubt, Hedge, Policy, Race
from router.policy.trace import Entry, Taken
from router.signals.catalogue import Value

Ladder = Mapping[str, tuple[Rung, ...]]
Reply = Callable[[Call, Rung], Seen]

LOW = predicates.Test("draft.mean_logprob", "lt", -0.5)
RACES = (
    None,
    Race(cost_usd=Decimal(1), after_s=0.5),
    Race(cost_usd=Decimal("0.1"), after_s=2.0),
    Race(cost_usd=Decimal(1), over_s=0.1),
    Race(cost_usd=Decimal(1), doubt=Doubt(4, LOW)),
    Race(cost_usd=Decimal(1), doubt=Doubt(4, LOW), after_s=1.0),
)
ALL = frozenset({"device", "cloud-fast", "cloud-strong"})
HEDGES = (None, Hedge(on=ALL, cost_usd=Decimal(1)), Hedge(on=ALL, cost_usd=Decimal("0.1")))
requests = signal_sets(OF_REQUEST)


def policies() -> st.SearchStrategy[Policy]:
    return st.builds(
        lambda policy, race, hedge: replace(policy, race=race, hedge=hedge),
        rich_policies(),
        st.sampled_from(RACES),
        st.sampled_from(HEDGES),
    )


def ladders() -> st.SearchStrategy[Ladder]:
    def timed(ladder: Ladder, late: float) -> Ladder:
        return {
            tier: tuple(replace(rung, first_token_p95_s=late) for rung in rungs)
            for tier, rungs in ladder.items()
        }

    return st.builds(timed, rich_ladders(), st.sampled_from((0.5, 1.0, 3.0)))


class Driven:
    """A walk whose hops end in the order of their seconds.

    Attributes:
        begun: Calls by the index of their hop.
        over: Hops that came to their end.
        committed: Hops of which something was shown.
        spent_usd: What all cost; a hop that was stopped at its worst case.
        day_usd: The same of the day.
    """

    def __init__(
        self, policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
    ) -> None:
        self.first = before(policy, signals)
        self.begun: dict[int, Call] = {}
        self.over: list[int] = []
        self.committed: set[int] = set()
        self.spent_usd = Decimal(0)
        self.trace: list[Entry] = []
        self._policy, self._signals, self._reply = policy, signals, reply
        self._rungs = {rung.name: rung for of_tier in rungs.values() for rung in of_tier}
        self._under_way: dict[int, float] = {}
        self._now, self._day = 0.0, Decimal(1)
        steps = walk(
            policy, self.first, rungs, policy.limits, day_left_usd=self._day, trace=self.trace
        )
        self.verdict: Verdict
        try:
            call = next(steps)
            while True:
                assert len(self.begun) < 50, "the walk does not end"
                call = steps.send(self._ended(call))
        except StopIteration as stop:
            self.verdict = stop.value
        self._stop()

    def _stop(self) -> None:
        for hop in self._under_way:
            self._spend(self._rungs[self.begun[hop].target].worst_case_usd or Decimal(0))
        self._under_way = {}

    def _spend(self, usd: Decimal) -> None:
        self.spent_usd += usd
        self._day -= usd

    def _begin(self, call: Call, at: float) -> None:
        assert call.hop == len(self.begun), "hops are counted one by one"
        self.begun[call.hop] = call
        self._under_way[call.hop] = at + self._reply(call, self._rungs[call.target]).elapsed_s

    def _ended(self, call: Call) -> Seen:
        if call.resumed:
            assert call.hop in self._under_way
            assert len(self._under_way) == 1
            self.begun[call.hop] = call
        else:
            self._stop()
            self._begin(call, self._now)
            rival = call.rival
            starts = None if rival is None else rival.after_s
            if rival is not None and rival.doubt is not None:
                said = self._reply(call, self._rungs[call.target]).signals or {}
                if rival.doubt.when.truth({**self._signals, **said}) is True:
                    starts = 0.0
            if starts is not None and self._under_way[call.hop] >= self._now + starts:
                self._begin(call.of_rival(), self._now + starts)
        rivaled = len(self._under_way) > 1
        hop = min(self._under_way, key=lambda hop: (self._under_way[hop], hop))
        self._now = max(self._now, self._under_way.pop(hop))
        self.over.append(hop)
        of = self.begun[hop]
        seen = self._reply(of, self._rungs[of.target])
        self._spend(seen.spent_usd)
        if seen.committed and of.commits:
            self.committed.add(hop)
        return replace(
            seen,
            signals=None if seen.signals is None else {**self._signals, **seen.signals},
            committed=seen.committed and of.commits,
            elapsed_s=self._now,
            spent_usd=self.spent_usd,
            day_left_usd=self._day,
            rivaled=rivaled,
            by_rival=hop != call.hop,
        )


drawn = given(policies(), requests, ladders(), replies())


@drawn
def test_no_target_is_asked_twice_and_none_that_is_forbidden(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)
    names = [call.target for call in driven.begun.values()]

    assert len(names) == len(set(names))
    assert {call.tier for call in driven.begun.values()} <= set(driven.first.permitted)


@drawn
def test_hops_and_dollars_keep_to_the_limits_whoever_loses(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)
    limits = policy.limits

    assert limits.hops is None or len(driven.begun) <= limits.hops
    assert limits.cost_usd is None or driven.spent_usd <= limits.cost_usd
    assert limits.day_usd is None or driven.spent_usd <= limits.day_usd


@drawn
def test_the_answer_is_of_a_hop_that_came_to_its_end_and_nothing_else_was_shown(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)
    answered = driven.verdict.answered_by

    assert answered is None or answered in driven.over
    assert len(driven.committed) <= 1
    if driven.committed:
        assert driven.over[-1] in driven.committed
        assert answered in (None, *driven.committed)
    assert (answered is not None) == (driven.verdict.status == "answered")


@drawn
def test_every_hop_is_in_the_trace_once_and_in_order(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)
    taken = [entry.hop for entry in driven.trace if isinstance(entry, Taken)]

    assert taken == list(driven.begun)


@drawn
def test_a_rival_never_costs_more_than_the_policy_gives_it(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)
    worst = {r.name: r.worst_case_usd for of_tier in rungs.values() for r in of_tier}

    for call in driven.begun.values():
        rule = {"race": policy.race, "hedge": policy.hedge}.get(call.cause)
        usd = worst[call.target]
        assert rule is None or (usd is not None and usd <= rule.cost_usd)


@given(rich_policies(), requests, rich_ladders(), replies())
def test_who_has_no_rivals_walks_as_before(
    policy: Policy, signals: dict[str, Value], rungs: Ladder, reply: Reply
) -> None:
    driven = Driven(policy, signals, rungs, reply)

    assert all(c.rival is None and not c.resumed for c in driven.begun.values())
