"""A trace with, under each rule, what would have had to be different for another decision.

Comes in: the entries of a trace and the policy that made them. Goes out: lines for people, or plain
values for machines. Every "had it been" is verified by deciding again; see
`policy.counterfactual`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..policy.counterfactual import (
    Flip,
    abort_flips,
    after_flips,
    before_flips,
    early_flips,
    line,
)
from ..policy.explain import PolicyTrace, plain
from ..policy.predicates import tests_in
from ..policy.rules import Policy
from ..policy.trace import Check, Ended, Entry, Taken

INDENT = " " * 8
_COMMITTED = {"kept": "not flagged", "not kept": "flagged"}
"""What a requirement decides of an answer that is shown in any case."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Rules that made one decision together.

    Attributes:
        about: ``"the start"``, or whose draft was judged.
        entries: In order; of a decision they are all checks.
        flips: What would have changed it, by signal. Empty for what is no decision.
    """

    about: str
    entries: tuple[Entry, ...]
    flips: tuple[Flip, ...]


def decisions(policy: Policy, entries: Sequence[Entry], tiers: Sequence[str]) -> Iterator[Decision]:
    """The trace cut into decisions; what lies between them comes as it is.

    Args:
        tiers: Of each hop.
    """
    group: list[Check] = []
    tier, commits = "", False
    for entry in entries:
        if group and not (isinstance(entry, Check) and _kind(entry) == _kind(group[0])):
            yield _decision(policy, tier, group, commits=commits)
            commits = commits or (group[0].kind == "early" and group[0].truth is True)
            group = []
        if isinstance(entry, Check) and _kind(entry):
            group.append(entry)
            continue
        if isinstance(entry, Taken):
            tier = tiers[entry.hop] if entry.hop < len(tiers) else ""
            commits = entry.commits
        if isinstance(entry, Ended):
            tier = tiers[entry.hop] if entry.hop < len(tiers) else ""
            commits = False
        yield Decision("", (entry,), ())
    if group:
        yield _decision(policy, tier, group, commits=commits)


def _kind(check: Check) -> str:
    """Rules of a kind decide together; each bar of an abort decides alone."""
    if check.kind == "abort":
        return f"abort {check.id}"
    kinds = {"guard": "start", "route": "start", "accept": "accept", "early": "early"}
    return kinds.get(check.kind, "")  # a race is no decision about an answer


def _decision(policy: Policy, tier: str, group: list[Check], *, commits: bool) -> Decision:
    signals = group[0].signals
    if _kind(group[0]) == "start":
        return Decision("the start", tuple(group), before_flips(policy, signals))
    if _kind(group[0]) == "early":
        flips = early_flips(policy, tier, signals)
        return Decision(f"the beginning of the draft of {tier}", tuple(group), flips)
    if group[0].kind == "abort":
        return Decision(f"the draft of {tier} so far", tuple(group), abort_flips(group[0]))
    flips = after_flips(policy, tier, signals)
    if commits:
        flips = tuple(replace(f, would=_COMMITTED.get(f.would, f.would)) for f in flips)
    return Decision(f"the draft of {tier}", tuple(group), flips)


def told(
    policy: Policy,
    entries: Sequence[Entry],
    tiers: Sequence[str],
    hop_lines: Callable[[Taken], list[str]],
) -> Iterator[str]:
    """The trace for people.

    Args:
        hop_lines: How a hop is shown.
    """
    for decision in decisions(policy, entries, tiers):
        left = {flip.signal: flip for flip in decision.flips}
        for entry in decision.entries:
            if isinstance(entry, Taken):
                yield from hop_lines(entry)
                if entry.because:
                    yield f"{INDENT}because {entry.because}"
                continue
            yield from PolicyTrace((entry,)).lines(())
            names = tests_in(entry.predicate) if isinstance(entry, Check) else ()
            for name in dict.fromkeys(test.signal for test in names):
                flip = left.pop(name, None)
                if flip is not None and _worth_telling(flip):
                    yield INDENT + line(flip)
        told_all = [flip for flip in left.values() if _worth_telling(flip)]
        yield from (INDENT + line(flip) for flip in told_all)
        if any(flip.value is None for flip in decision.flips):
            yield f"{INDENT}(nothing else alone changes this)"


def _worth_telling(flip: Flip) -> bool:
    """Whether it says more than its rule: that a flag, held to be false, must not be true, doesn't.

    The machine's version has them all.
    """
    if flip.value is None:
        return False
    return not (isinstance(flip.value, bool) and flip.would in ("not kept", "flagged"))


def counterfactuals(
    policy: Policy, entries: Sequence[Entry], tiers: Sequence[str]
) -> list[dict[str, Any]]:
    """The same for machines; a null value: no value of that signal alone changes the decision."""
    return [
        {
            "decision": decision.about,
            "signal": flip.signal,
            "now": plain(flip.now),
            "value": plain(flip.value),
            "would": flip.would or None,
        }
        for decision in decisions(policy, entries, tiers)
        for flip in decision.flips
    ]
