"""Policies, signals and walks as hypothesis makes them up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st

from router.cascade import Call, Rung, Seen, Verdict, walk
from router.policy import before, rules
from router.policy.rules import Guard, Limits, Op, Policy, Predicate, Requirement, Route, Signals
from router.signals.catalogue import CATALOGUE, AtMost, Signal, Value

T = TypeVar("T")

TIERS = ("device", "cloud-fast", "cloud-strong")
SPOKEN_OF = ("prompt.tokens", "request.label", "draft.mean_logprob", "draft.finish")
"""One signal of each kind: more of them only thin out the cases that matter."""

OF_ANY = [CATALOGUE[name] for name in SPOKEN_OF]
OF_REQUEST = [s for s in OF_ANY if s.known == "request"]

_COUNT_OPS: list[Op] = ["gt", "gte", "lt", "lte", "is", "is_not"]
_WORD_OPS: list[Op] = ["is", "is_not"]
_SET_OPS: list[Op] = ["in", "not_in"]


def values_of(signal: Signal) -> list[Value]:
    """Values a signal can have; unknown among them where the catalogue says it may be."""
    known: list[Value] = [None] if signal.may_be_unknown else []
    if signal.type == "word":
        return [*known, *signal.words]
    if signal.name == "prompt.tokens":
        return [*known, *range(1, 21), *(AtMost(n) for n in range(1, 21))]
    return [*known, *_grid(signal)]


def _grid(signal: Signal) -> list[float]:
    """A few numbers in the signal's range: equal ones have to be met often."""
    low = -3.0 if signal.low is None else signal.low
    high = 3.0 if signal.high is None else signal.high
    return [low + (high - low) * i / 6 for i in range(7)]


def _tests_of(signal: Signal) -> list[rules.Test]:
    """Every comparison of a signal with one of a few bounds."""
    if signal.type == "word":
        several: list[tuple[str, ...]] = list(zip(signal.words, signal.words[1:], strict=False))
        return [
            *(rules.Test(signal.name, op, word) for op in _WORD_OPS for word in signal.words),
            *(rules.Test(signal.name, op, words) for op in _SET_OPS for words in several),
        ]
    bounds = range(1, 21) if signal.unit == "tokens" else _grid(signal)
    return [rules.Test(signal.name, op, float(b)) for op in _COUNT_OPS for b in bounds]


_VALUES = {signal.name: values_of(signal) for signal in OF_ANY}
_TESTS = {signal.name: _tests_of(signal) for signal in OF_ANY}


class Dice:
    """Choices read from bytes, a byte each; past the end always the first choice.

    Hypothesis draws the bytes in one go: drawing each choice of a policy would take far longer
    than any check of it. It still makes failing examples small, for zeros are the simplest.
    """

    def __init__(self, thrown: bytes) -> None:
        self.thrown = iter(thrown)

    def below(self, count: int) -> int:
        return next(self.thrown, 0) % count

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def signals(self, catalogue: list[Signal]) -> dict[str, Value]:
        return {signal.name: self.pick(_VALUES[signal.name]) for signal in catalogue}

    def test(self, catalogue: list[Signal]) -> rules.Test:
        return self.pick(_TESTS[self.pick(catalogue).name])

    def predicate(self, catalogue: list[Signal]) -> Predicate:
        """One test, or up to three in an `all` or `any`, some of them under a `not`."""
        tests = [self.test(catalogue) for _ in range(1 + self.below(3))]
        parts: list[Predicate] = [rules.Not(t) if self.below(3) == 2 else t for t in tests]
        if len(parts) == 1:
            return parts[0]
        whole: Predicate = rules.AnyOf(tuple(parts))
        if self.below(2):
            whole = rules.All(tuple(parts))
        return rules.Not(whole) if self.below(3) == 2 else whole

    def tiers(self) -> frozenset[str]:
        chosen = frozenset(tier for tier in TIERS if self.below(2))
        return chosen or frozenset({TIERS[-1]})

    def limits(self) -> Limits:
        return Limits(
            hops=self.pick((None, None, None, 1, 2, 3)),
            deadline_s=self.pick((None, None, None, 2.5, 5.0)),
            cost_usd=self.pick((None, Decimal(self.below(20)) / 100)),
        )

    def policy(self) -> Policy:
        """Any policy over three tiers."""
        guards = [
            Guard(f"guard-{i}", self.predicate(OF_REQUEST), self.tiers())
            for i in range(self.pick((0, 1, 0, 2)))
        ]
        routes = [
            Route(f"route-{i}", self.predicate(OF_REQUEST), self.pick(TIERS))
            for i in range(self.below(3))
        ]
        accepts = [
            Requirement(f"accept-{i}", self.tiers(), self.predicate(OF_ANY))
            for i in range(self.pick((0, 1, 2, 3, 3)))
        ]
        return Policy(
            name="drawn",
            revision="0" * 12,
            summary="Made up.",
            tiers=TIERS,
            guards=tuple(guards),
            route=tuple(routes),
            accept=tuple(accepts),
            limits=self.limits(),
        )

    def ladder(self) -> dict[str, tuple[Rung, ...]]:
        """Up to two targets a tier; some tiers have none, some targets no known price."""
        found: dict[str, tuple[Rung, ...]] = {}
        for tier in TIERS:
            worsts = [
                self.pick((Decimal(0), *(Decimal(cents) / 100 for cents in range(9)), None))
                for _ in range(self.pick((1, 2, 2, 1, 0)))
            ]
            if worsts:
                found[tier] = tuple(Rung(f"{tier}-{i}", tier, w) for i, w in enumerate(worsts))
        return found

    def seen(self) -> Seen:
        """Of one call alone; its dollars are a share of its worst case."""
        failed = self.below(3) == 2
        return Seen(
            signals=None if failed else self.signals(OF_ANY),
            returnable=self.below(4) != 3,
            failure="unavailable" if failed else None,
            committed=self.below(2) == 1,
            elapsed_s=self.below(9) / 2,
            spent_usd=Decimal(self.below(11)) / 10,
        )

    def replies(self) -> Callable[[Call, Rung], Seen]:
        """What each target does; the same whenever it is asked."""
        rolled = {f"{tier}-{i}": self.seen() for tier in TIERS for i in range(2)}

        def reply(call: Call, rung: Rung) -> Seen:
            seen = rolled[call.target]
            worst = Decimal("0.08") if rung.worst_case_usd is None else rung.worst_case_usd
            committed, spent_usd = seen.committed and call.commits, seen.spent_usd * worst
            return replace(seen, committed=committed, spent_usd=spent_usd)

        return reply


def _rolled(bytes_: int) -> st.SearchStrategy[Dice]:
    return st.binary(min_size=bytes_, max_size=bytes_).map(Dice)


def signal_sets(catalogue: list[Signal] = OF_ANY) -> st.SearchStrategy[dict[str, Value]]:
    """A value for each signal."""
    return _rolled(len(catalogue)).map(lambda dice: dice.signals(catalogue))


def single_tests(catalogue: list[Signal] = OF_ANY) -> st.SearchStrategy[rules.Test]:
    """One signal against one bound."""
    return st.sampled_from([test for signal in catalogue for test in _TESTS[signal.name]])


def predicates(catalogue: list[Signal] = OF_ANY) -> st.SearchStrategy[Predicate]:
    """See `Dice.predicate`."""
    return _rolled(12).map(lambda dice: dice.predicate(catalogue))


def policies() -> st.SearchStrategy[Policy]:
    """See `Dice.policy`."""
    return _rolled(96).map(Dice.policy)


def ladders() -> st.SearchStrategy[dict[str, tuple[Rung, ...]]]:
    """See `Dice.ladder`."""
    return _rolled(9).map(Dice.ladder)


def replies() -> st.SearchStrategy[Callable[[Call, Rung], Seen]]:
    """See `Dice.replies`."""
    return _rolled(54).map(Dice.replies)


some_tiers = _rolled(3).map(Dice.tiers)


class Walked:
    """A walk from its start to its end, with every call and what had been seen before it."""

    def __init__(
        self,
        policy: Policy,
        signals: Signals,
        rungs: Mapping[str, tuple[Rung, ...]],
        reply: Callable[[Call, Rung], Seen],
        *,
        asked: str | None = None,
        most_calls: int = 50,
    ) -> None:
        self.first = before(policy, signals)
        self.calls: list[Call] = []
        self.seen: list[Seen] = [Seen()]
        by_name = {rung.name: rung for of_tier in rungs.values() for rung in of_tier}
        steps = walk(policy, self.first, rungs, policy.limits, asked=asked)
        try:
            call = next(steps)
            while True:
                self.calls.append(call)
                assert len(self.calls) <= most_calls, "the walk does not end"
                one, total = reply(call, by_name[call.target]), self.seen[-1]
                self.seen.append(
                    Seen(
                        signals=None if one.signals is None else {**signals, **one.signals},
                        returnable=one.returnable,
                        failure=one.failure,
                        committed=one.committed,
                        elapsed_s=total.elapsed_s + one.elapsed_s,
                        spent_usd=total.spent_usd + one.spent_usd,
                    )
                )
                call = steps.send(self.seen[-1])
        except StopIteration as stop:
            self.verdict: Verdict = stop.value

    @property
    def spent_usd(self) -> Decimal:
        return self.seen[-1].spent_usd

    @property
    def kept(self) -> bool:
        """Whether a draft was kept because the policy accepted it, not for want of better."""
        found = self.verdict
        return (
            found.status == "answered"
            and "uncertain" not in found.flags
            and not self.calls[-1].commits
        )
