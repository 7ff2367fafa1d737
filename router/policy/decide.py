"""Signals become a choice, with every reason kept. Pure: same in, same out."""

from __future__ import annotations

from typing import NamedTuple

from .opinions import OPINIONS, can_be
from .predicates import Predicate, Signals, between, demands, tests_in
from .race import Raced, race
from .rules import CERTIFIED, Bar, Policy, Requirement, Starter
from .trace import Check

UNCERTIFIED = "uncertified"
"""What follows when an `until_certified` holds: the draft may be kept, with no promise."""


class Before(NamedTuple):
    """What the policy says before any model has run.

    Attributes:
        permitted: Tiers no guard forbids, weak to strong.
        forbidden_by: Ids of the guards that forbade something.
        start: Where the walk begins. None: nothing is permitted.
        because: Why there, in words.
        checks: Every rule that was looked at.
        race: Whether another tier starts beside it. None: the policy races nobody.
    """

    permitted: tuple[str, ...]
    forbidden_by: tuple[str, ...]
    start: str | None
    because: str
    checks: tuple[Check, ...]
    race: Raced | None = None


class After(NamedTuple):
    """What the policy says of a draft.

    Attributes:
        accepted: Every requirement on its tier holds.
        failed: Ids of those that don't, unknown included.
        because: The first of them in words; empty when accepted.
        checks: Every requirement that was looked at.
        certified: Accepted, and one of them demands that it is certified.
    """

    accepted: bool
    failed: tuple[str, ...]
    because: str
    checks: tuple[Check, ...]
    certified: bool = False


def before(policy: Policy, signals: Signals) -> Before:
    """Apply guards and route.

    A guard that matches, or can't tell, forbids its tiers. The first route rule that matches
    chooses the start; one that can't tell does not match. Where the chosen tier is forbidden the
    walk begins at the next stronger permitted one, or, if there is none, at the strongest.
    """
    checks: list[Check] = []
    forbidden: set[str] = set()
    guards: list[str] = []
    for guard in policy.guards:
        truth = guard.when.truth(signals)
        effect = ""
        if truth is not False:
            forbidden |= guard.forbid
            guards.append(guard.id)
            effect = "forbids " + ", ".join(t for t in policy.tiers if t in guard.forbid)
        checks.append(Check("guard", guard.id, truth, effect, guard.when, signals))
    permitted = policy.tiers
    if forbidden:
        permitted = tuple([tier for tier in policy.tiers if tier not in forbidden])
    wanted, because = policy.tiers[0], "the first tier"
    for rule in policy.route:
        truth = rule.when.truth(signals)
        effect = f"starts at {rule.start}" if truth is True else ""
        checks.append(Check("route", rule.id, truth, effect, rule.when, signals))
        if truth is True:
            wanted, because = rule.start, f"route {rule.id}"
            break
    start = _permitted_start(policy.tiers, permitted, wanted)
    if start is not None and start != wanted:
        because = f"{because}, {wanted} is forbidden"
    raced = None if policy.race is None else race(policy, permitted, start, signals)
    return Before(permitted, tuple(guards), start, because, tuple(checks), raced)


def _permitted_start(tiers: tuple[str, ...], permitted: tuple[str, ...], wanted: str) -> str | None:
    for tier in tiers[tiers.index(wanted) :]:
        if tier in permitted:
            return tier
    return permitted[-1] if permitted else None


def after(policy: Policy, tier: str, signals: Signals) -> After:
    """Hold a draft of `tier` against every requirement on it. Unknown does not hold.

    Near the day's budget the bars that have a `near_budget` stand lower, so that more is kept.
    While no calibration is configured an `until_certified` is held in its requirement's place.
    """
    checks: list[Check] = []
    failed: list[str] = []
    sure = signals.get(CERTIFIED.signal) is True
    certified = False
    for requirement in policy.accept:
        if tier not in requirement.on:
            continue
        held = requirement if requirement.until_certified is None else requirement.held(signals)
        bar = held.require
        if held.near_budget is not None:
            bar = _paced(policy, held, held.near_budget, signals)
        truth = bar.truth(signals)
        if truth is not True:
            failed.append(requirement.id)
        effect = "not kept"
        if truth is True:
            effect = "" if held is requirement else UNCERTIFIED
            certified = certified or (sure and demands(bar, CERTIFIED))
        checks.append(Check("accept", requirement.id, truth, effect, bar, signals))
    because = f"{failed[0]} does not hold" if failed else ""
    return After(not failed, tuple(failed), because, tuple(checks), certified and not failed)


def open_opinions(policy: Policy, tier: str, signals: Signals) -> frozenset[str]:
    """Opinions without which it is open whether a draft of `tier` is kept.

    Empty: it is kept without any, or is not kept whatever they say. Those among `signals` count as
    not known yet.
    """
    signals = {name: value for name, value in signals.items() if name not in OPINIONS}
    found: set[str] = set()
    for requirement in policy.accept:
        if tier not in requirement.on:
            continue
        held = requirement.held(signals)
        bar = held.require
        if held.near_budget is not None:
            bar = _paced(policy, held, held.near_budget, signals)
        if not can_be(bar, True, signals):
            return frozenset()
        if bar.truth(signals) is not True:
            found.update(test.signal for test in tests_in(bar))
    return OPINIONS.intersection(found)


def early(policy: Policy, tier: str, signals: Signals) -> Check | None:
    """Hold the beginning of a draft of `tier` against its early commit. None: it has none.

    `signals` are of the draft so far. Only a check that is true commits.
    """
    rule = policy.early_on(tier)
    if rule is None:
        return None
    truth = rule.require.truth(signals)
    effect = f"shown from token {rule.tokens} on" if truth is True else "held to its end"
    return Check("early", tier, truth, effect, rule.require, signals)


def given_up(tier: str, bar: Bar, signals: Signals) -> Check:
    """Hold the draft of `tier` so far against the bar for its length.

    Only a check that is true gives it up: of a draft whose confidence is unknown nothing is known
    that would be a reason to.
    """
    truth = bar.when.truth(signals)
    effect = f"given up at token {bar.tokens}" if truth is True else ""
    return Check("abort", f"{tier}@{bar.tokens}", truth, effect, bar.when, signals)


def doubt(policy: Policy, signals: Signals) -> Check | None:
    """Hold the beginning of the first draft against what starts a race. None: nothing does.

    Only a check that is true starts one: a race is a convenience, not a safeguard.
    """
    rule = None if policy.race is None else policy.race.doubt
    if rule is None:
        return None
    truth = rule.when.truth(signals)
    effect = "the race starts" if truth is True else ""
    return Check("race", "doubt", truth, effect, rule.when, signals)


def pace(policy: Policy, signals: Signals) -> float:
    """How far the bars have moved from their own place (0) to `near_budget` (1).

    They begin to move when `limits.pace_from` of the day's dollars is spent; unknown moves nothing.
    """
    used = signals.get("world.budget_used")
    start = policy.limits.pace_from
    if not isinstance(used, int | float) or used <= start:
        return 0.0
    return min(1.0, (used - start) / (1 - start))


def _paced(
    policy: Policy, held: Requirement | Starter, near_budget: Predicate, signals: Signals
) -> Predicate:
    share = pace(policy, signals)
    return between(held.require, near_budget, share) if share > 0 else held.require
