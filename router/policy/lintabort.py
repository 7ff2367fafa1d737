"""Bars of an abort that a policy probably does not mean. For `lint`."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Place
from .implied import never_true
from .lintparts import in_order
from .predicates import All, Predicate, tests_in
from .rules import Bar, Policy


def odd_aborts(policy: Policy) -> Iterator[tuple[str, Place]]:
    """Each oddity in words, and its place.

    A bar above what the tier's early commit or requirement asks of the same signal gives drafts up
    that stand well enough by the policy's own word.
    """
    last = policy.tiers[-1]
    for i, abort in enumerate(policy.abort):
        if abort.on == {last}:
            said = f"{last} is the last tier: its answer is shown, so it is never given up"
            yield said, ("abort", i, "on")
        for n, bar in enumerate(abort.bars):
            place: Place = ("abort", i, "bars", n, "when")
            for tier in in_order(policy, abort.on - {last}):
                yield from ((said, place) for said in _too_high(policy, tier, bar))


def _too_high(policy: Policy, tier: str, bar: Bar) -> Iterator[str]:
    """Where the bar takes drafts that something else would show or keep."""
    early = policy.early_on(tier)
    if early is not None and early.tokens >= bar.tokens and _both(early.require, bar.when):
        yield (
            f"at token {bar.tokens} it gives drafts of {tier} up that are sure enough to be shown "
            f"at token {early.tokens}"
        )
    for wanted in policy.accept:
        if tier in wanted.on and any(_both(held.require, bar.when) for held in wanted.bars()):
            yield f"it gives drafts of {tier} up that stand above the bar of {wanted.id}"


def _both(wanted: Predicate, bar: Predicate) -> bool:
    """Whether what is wanted of the bar's own signal can hold below the bar too."""
    names = {test.signal for test in tests_in(bar)}
    if not {test.signal for test in tests_in(wanted)} <= names:
        return False  # something else decides it too
    return not never_true(All((wanted, bar)), ranged=False)
