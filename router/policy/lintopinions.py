"""Opinions that a policy asks for in vain, or waits for in vain. For `lint`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ..document import Place
from .implied import never_false
from .lintparts import in_order, may_be_unknown
from .opinions import LEAST_PARAMETERS, OPINIONS, P_TRUE, Opinions
from .predicates import tests_in
from .rules import Policy


class Served(Protocol):
    """What is needed of `lint.Served`."""

    @property
    def tiers(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def small(self) -> frozenset[str]: ...


def odd_opinions(policy: Policy, served: Served | None) -> Iterator[tuple[str, Place]]:
    """Each oddity in words, and its place.

    Args:
        served: What the config's targets can do. None: not known, so nothing is said of it.
    """
    last = policy.tiers[-1]
    for i, requirement in enumerate(policy.accept):
        asked_all = {t.signal for bar in requirement.bars() for t in tests_in(bar.require)}
        if "draft.same_as_before" in asked_all:
            for tier in in_order(policy, requirement.on):
                if not _weaker(policy, tier, served):
                    yield (
                        f"draft.same_as_before stays unknown for {tier}: no draft of a weaker tier "
                        "comes before its own",
                        ("accept", i, "require"),
                    )
        asked = asked_all & OPINIONS
        for tier in in_order(policy, requirement.on - {last}):
            rule = policy.opinions_on(tier)
            for name in sorted(asked - (rule.gives if rule is not None else frozenset())):
                yield (
                    f"{name} stays unknown: `opinions` don't ask for it of drafts of {tier}",
                    ("accept", i, "require"),
                )
    for i, rule in enumerate(policy.opinions):
        yield from ((said, ("opinions", i, key)) for said, key in _in_vain(policy, rule))
        if served is not None:
            yield from ((said, ("opinions", i, key)) for said, key in _unable(policy, rule, served))


def _weaker(policy: Policy, tier: str, served: Served | None) -> list[str]:
    """The weaker tiers that may have answered before that one."""
    tiers = policy.tiers
    starts = [0]
    for rule in policy.route:
        starts.append(tiers.index(rule.start))
        if never_false(rule.when) and not any(map(may_be_unknown, tests_in(rule.when))):
            starts.remove(0)  # it always decides, and no walk begins without a route
            break
    asked = tiers[min(starts) : tiers.index(tier)]
    return [weaker for weaker in asked if served is None or served.tiers.get(weaker)]


def _in_vain(policy: Policy, rule: Opinions) -> Iterator[tuple[str, str]]:
    last = policy.tiers[-1]
    if rule.on == {last}:
        yield f"{last} is the last tier: its answer is shown, so nobody is asked about it", "on"
    for tier in in_order(policy, rule.on - {last}):
        asked = {
            test.signal
            for requirement in policy.accept
            if tier in requirement.on
            for bar in requirement.bars()
            for test in tests_in(bar.require)
        }
        if not asked & rule.gives:
            yield f"no requirement on {tier} asks for an opinion, so none is ever bought", "on"
        elif rule.p_true and P_TRUE not in asked:
            yield f"no requirement on {tier} asks for {P_TRUE}", "p_true"


def _unable(policy: Policy, rule: Opinions, served: Served) -> Iterator[tuple[str, str]]:
    """What the configured targets can't give."""
    for tier in in_order(policy, rule.on - {policy.tiers[-1]}):
        names = served.tiers.get(tier, ())
        if rule.second and len(names) == 1:
            yield f"tier {tier} has one target, so there is no second to ask", "second"
        if rule.p_true is not True:
            continue
        for name in names:
            if name in served.small:
                least = f"{LEAST_PARAMETERS / 1e9:g} billion"
                yield (
                    f"is off for {name}: its model is not known to have {least} parameters; "
                    "`always` asks it all the same",
                    "p_true",
                )
