"""Policies, signals and walks as hypothesis makes them up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st

from router.cascade import Call, Rung, Seen, Verdict, walk
from router.policy import before
from router.policy.decide import early
from router.policy.predicates import All, AnyOf, Not, Op, Predicate, Signals
from router.policy.predicates import Test as OneTest
from router.policy.rules import Early, Gain, Guard, Limits, Policy, Requirement, Route
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


def _tests_of(signal: Signal) -> list[OneTest]:
    """Every comparison of a signal with one of a few bounds."""
    if signal.type == "word":
        several: list[tuple[str, ...]] = list(zip(signal.words, signal.words[1:], strict=False))
        return [
            *(OneTest(signal.name, op, word) for op in _WORD_OPS for word in signal.words),
            *(OneTest(signal.name, op, words) for op in _SET_OPS for words in several),
        ]
    bounds = range(1, 21) if signal.unit == "tokens" else _grid(signal)
    return [OneTest(signal.name, op, float(b)) for op in _COUNT_OPS for b in bounds]


_VALUES = {signal.name: values_of(signal) for signal in OF_ANY}
_TESTS = {signal.name: _tests_of(signal) for signal in OF_ANY}


_LOOSER: Mapping[str, int] = {"gt": -1, "gte": -1, "lt": 1, "lte": 1}


def _bar(bound: float) -> OneTest:
    return OneTest("draft.mean_logprob", "gte", bound)


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

    def test(self, catalogue: list[Signal]) -> OneTest:
        return self.pick(_TESTS[self.pick(catalogue).name])

    def predicate(self, catalogue: list[Signal]) -> Predicate:
        """One test, or up to three in an `all` or `any`, some of them under a `not`."""
        tests = [self.test(catalogue) for _ in range(1 + self.below(3))]
        parts: list[Predicate] = [Not(t) if self.below(3) == 2 else t for t in tests]
        if len(parts) == 1:
            return parts[0]
        whole: Predicate = AnyOf(tuple(parts))
        if self.below(2):
            whole = All(tuple(parts))
        return Not(whole) if self.below(3) == 2 else whole

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

    def rich_policy(self) -> Policy:
        """The same with everything else that a policy may say and this version acts on."""
        plain = self.policy()
        accepts = [replace(a, near_budget=self.loosened(a)) for a in plain.accept]
        paced = [
            Requirement(f"paced-{i}", self.tiers(), _bar(strict), _bar(strict - self.below(5) / 2))
            for i, strict in enumerate(self.pick(((), (-0.5,), (-0.5, -1.0))))
        ]
        shares = {tier: self.below(11) / 10 for tier in TIERS}
        gain = self.pick((None, Gain(share=shares), Gain(share=shares, second_usd=Decimal("0.1"))))
        early_on = self.tiers()
        return replace(
            plain,
            accept=(*accepts, *paced),
            early=self.pick(((), (Early(early_on, 8, self.predicate(OF_ANY)),))),
            limits=replace(
                plain.limits,
                day_usd=Decimal(1),
                pace_from=self.pick((0.7, 0.0, 0.5, 0.99)),
                at_limit=self.pick(("draft", "refuse")),
            ),
            escalate="next" if gain is None else "best_gain",
            gain=gain,
            attach_draft=self.below(2) == 1,
        )

    def loosened(self, requirement: Requirement) -> Predicate | None:
        """A bar for `near_budget` under a single downward test; None for anything else."""
        test = requirement.require
        if not isinstance(test, OneTest) or test.op not in _LOOSER:
            return None
        return OneTest(
            test.signal, test.op, float(test.bound) + _LOOSER[test.op] * self.below(4) / 2
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

    def rich_ladder(self) -> dict[str, tuple[Rung, ...]]:
        """The same with expected seconds, known or not, and targets that are not able to."""
        return {
            tier: tuple(
                replace(
                    rung,
                    expected_s=self.pick((None, 0.5, 2.0, 4.0)),
                    unable=self.pick(("", "", "", "it takes no images")),
                )
                for rung in rungs
            )
            for tier, rungs in self.ladder().items()
        }

    def seen(self) -> Seen:
        """Of one call alone; its dollars are a share of its worst case."""
        failed = self.below(3) == 2
        return Seen(
            signals=None if failed else self.signals(OF_ANY),
            returnable=self.below(4) != 3,
            presentable=self.below(4) != 3,
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


def single_tests(catalogue: list[Signal] = OF_ANY) -> st.SearchStrategy[OneTest]:
    """One signal against one bound."""
    return st.sampled_from([test for signal in catalogue for test in _TESTS[signal.name]])


def predicates(catalogue: list[Signal] = OF_ANY) -> st.SearchStrategy[Predicate]:
    """See `Dice.predicate`."""
    return _rolled(12).map(lambda dice: dice.predicate(catalogue))


def policies() -> st.SearchStrategy[Policy]:
    """See `Dice.policy`."""
    return _rolled(96).map(Dice.policy)


def rich_policies() -> st.SearchStrategy[Policy]:
    """See `Dice.rich_policy`."""
    return _rolled(128).map(Dice.rich_policy)


def rich_ladders() -> st.SearchStrategy[dict[str, tuple[Rung, ...]]]:
    """See `Dice.rich_ladder`."""
    return _rolled(24).map(Dice.rich_ladder)


used_shares = st.sampled_from([None, 0.0, 0.5, 0.7, 0.75, 0.9, 0.99, 1.0])
"""Values of ``world.budget_used``."""


def ladders() -> st.SearchStrategy[dict[str, tuple[Rung, ...]]]:
    """See `Dice.ladder`."""
    return _rolled(9).map(Dice.ladder)


def replies() -> st.SearchStrategy[Callable[[Call, Rung], Seen]]:
    """See `Dice.replies`."""
    return _rolled(66).map(Dice.replies)


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
        stay: str | None = None,
        day_left_usd: Decimal | None = None,
        most_calls: int = 50,
    ) -> None:
        self.first = before(policy, signals)
        self.calls: list[Call] = []
        self.seen: list[Seen] = [Seen(day_left_usd=day_left_usd)]
        by_name = {rung.name: rung for of_tier in rungs.values() for rung in of_tier}
        steps = walk(
            policy,
            self.first,
            rungs,
            policy.limits,
            asked=asked,
            stay=stay,
            day_left_usd=day_left_usd,
        )
        try:
            call = next(steps)
            while True:
                self.calls.append(call)
                assert len(self.calls) <= most_calls, "the walk does not end"
                one, total = reply(call, by_name[call.target]), self.seen[-1]
                day = total.day_left_usd
                of_draft = None if one.signals is None else {**signals, **one.signals}
                looked = None
                if call.early is not None and of_draft is not None:
                    looked = early(policy, call.tier, of_draft)
                self.seen.append(
                    replace(
                        one,
                        signals=of_draft,
                        early=one.early if looked is None else (looked,),
                        committed=one.committed or (looked is not None and looked.truth is True),
                        elapsed_s=total.elapsed_s + one.elapsed_s,
                        spent_usd=total.spent_usd + one.spent_usd,
                        day_left_usd=None if day is None else day - one.spent_usd,
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
