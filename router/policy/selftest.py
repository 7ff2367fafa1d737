"""A policy held against its cases: what came out otherwise, and which rules no case has touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cases import Case, load_cases
from .explain import PolicyTrace
from .load import cases_beside, load
from .rules import Policy
from .simulate import Played, simulate
from .trace import Check, Entry, Taken

_WORDS = {
    "guard": ("forbidding", "not forbidding"),
    "route": ("matching", "not matching"),
    "accept": ("holding", "failing"),
    "early": ("committing", "holding back"),
    "abort": ("giving up", "letting pass"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that came out otherwise.

    Attributes:
        field: What of it; ``"draft"`` when a tier was asked that the case gives no draft of.
        expected: In words.
        came: In words.
        lines: The trace, with a line for each hop.
    """

    case: Case
    field: str
    expected: str
    came: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        where = "" if self.case.line is None else f", line {self.case.line}"
        return f"{self.case.name}{where}: {self.field} is {self.came}, not {self.expected}"


@dataclass(frozen=True, slots=True)
class Cover:
    """How often all cases together saw one rule.

    Attributes:
        kind: Which part of the policy it stands in.
        id: Its id; of an early commit its tier, of an abort's bar its tier and length.
        fired: Times its condition was true: it forbade, matched, held, committed, or gave up.
        rested: Times it was not. Unknown is not, except in a guard: there it forbids, so it
            counts as neither.
    """

    kind: str
    id: str
    fired: int
    rested: int

    @property
    def unseen(self) -> tuple[str, ...]:
        """What no case showed, in words."""
        fires, rests = _WORDS[self.kind]
        return (*([] if self.fired else [fires]), *([] if self.rested else [rests]))


@dataclass(frozen=True, slots=True)
class Report:
    """What the cases showed.

    Attributes:
        cases: How many there were.
    """

    policy: str
    revision: str
    cases: int
    failures: tuple[Failure, ...]
    coverage: tuple[Cover, ...]

    @property
    def uncovered(self) -> tuple[str, ...]:
        """What was never seen: ``"guard private-stays-home was never seen forbidding"``."""
        return tuple(
            f"{cover.kind} {cover.id} was never seen {what}"
            for cover in self.coverage
            for what in cover.unseen
        )

    @property
    def ok(self) -> bool:
        """Every case came out as expected, and every rule was seen both ways."""
        return not self.failures and not self.uncovered


def selftest(policy: Policy, cases: Sequence[Case]) -> Report:
    """Play every case through the policy. A route rule behind the one that decides is not seen."""
    failures: list[Failure] = []
    seen: list[Check] = []
    for case in cases:
        played = simulate(policy, case.given)
        failures += _failures(case, played)
        seen += [entry for entry in played.entries if isinstance(entry, Check)]
    return Report(
        policy=policy.name,
        revision=policy.revision,
        cases=len(cases),
        failures=tuple(failures),
        coverage=_coverage(policy, seen),
    )


def selftest_beside(path: Path, policy: Policy | None = None) -> Report | None:
    """Hold the policy of that file against the cases beside it. None: there are none.

    Args:
        policy: What was read from `path`. None: it is read here.

    Raises:
        PolicyError: the policy, or its file of cases, can't be read or is wrong.
    """
    beside = cases_beside(path)
    if not beside.is_file():
        return None
    policy = load(path) if policy is None else policy
    return selftest(policy, load_cases(beside, policy, of=path))


def _failures(case: Case, played: Played) -> Iterable[Failure]:
    lines = tuple(trace_lines(played))
    if played.missing is not None:
        asked = f"one of {played.missing}, which is asked"
        yield Failure(case, "draft", asked, "missing", lines)
        return
    for field, expected in case.expect.items():
        came: object = getattr(played, field)
        if isinstance(came, tuple) and isinstance(expected, tuple) and field == "flags":
            same = sorted(came) == sorted(expected)
        else:
            same = came == expected
        if not same:
            yield Failure(case, field, _said(expected), _said(came), lines)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)


def trace_lines(played: Played) -> list[str]:
    """What was decided, a line a step; hops that were only played have a line of their own."""
    found: list[str] = []
    entry: Entry
    for entry in played.entries:
        if isinstance(entry, Taken):
            tier = played.path[entry.hop]
            found.append(f" hop {entry.hop + 1:<2} {tier:<24} {entry.cause:<10} {entry.because}")
        else:
            found += PolicyTrace((entry,)).lines(())
    return found


def _coverage(policy: Policy, seen: Sequence[Check]) -> tuple[Cover, ...]:
    names = [
        *(("guard", guard.id) for guard in policy.guards),
        *(("route", rule.id) for rule in policy.route),
        *(("accept", requirement.id) for requirement in policy.accept),
        *(("early", tier) for tier in policy.tiers if policy.early_on(tier) is not None),
        *(
            ("abort", f"{tier}@{bar.tokens}")
            for tier in policy.tiers
            if (abort := policy.abort_on(tier)) is not None
            for bar in abort.bars
        ),
    ]
    found = []
    for kind, name in names:
        truths = [check.truth for check in seen if (check.kind, check.id) == (kind, name)]
        unknown = 0 if kind == "guard" else truths.count(None)
        found.append(Cover(kind, name, truths.count(True), truths.count(False) + unknown))
    return tuple(found)
