"""What escalating buys: quality expected above the draft's, and what it costs to get it.

A draft that is wrong is worth escalating only as far as the stronger tier gets that kind of thing
right, so two chances are multiplied: that the draft is wrong, and that the tier then rescues it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .arrays import FloatArray

LEAST = 10
"""Drafts of each kind, good and not, below which nothing is said."""
_PRIOR = 20.0
"""Drafts of all tasks that a task's own are weighed against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How the strong tier fares where the draft fails, and where it doesn't.

    Attributes:
        rescue: P(strong tier right | draft wrong).
        slip: P(strong tier wrong | draft right).
    """

    rescue: float
    slip: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """What asking the strong tier is expected to add, by task.

    Attributes:
        overall: Of all tasks, and of one that no label has.
        tasks: Of each, drawn towards all where it has few labels.
    """

    overall: Odds
    tasks: Mapping[str, Odds]

    def expected(self, good: float, task: str | None) -> float:
        """Share of right answers that escalating is expected to add; below zero it spoils.

        Args:
            good: P(draft right).
        """
        odds = self.tasks.get(task or "", self.overall)
        return (1 - good) * odds.rescue - good * odds.slip


def gains(good: Sequence[bool], strong: Sequence[bool], tasks: Sequence[str]) -> Gains | None:
    """Counted on labels that say of both. None: too few do.

    Args:
        good: Whether each draft is; `strong` the same of the strong tier's answer.
    """
    wrong = sum(not one for one in good)
    if min(wrong, len(good) - wrong) < LEAST:
        return None
    rows = list(zip(good, strong, tasks, strict=True))
    all_of_them = _odds(rows, None)
    return Gains(
        overall=all_of_them,
        tasks={
            name: _odds([row for row in rows if row[2] == name], all_of_them)
            for name in sorted(set(tasks))
        },
    )


def _odds(rows: Sequence[tuple[bool, bool, str]], prior: Odds | None) -> Odds:
    rescued = [strong for good, strong, _ in rows if not good]
    slipped = [not strong for good, strong, _ in rows if good]
    return Odds(
        rescue=_drawn(rescued, None if prior is None else prior.rescue),
        slip=_drawn(slipped, None if prior is None else prior.slip),
    )


def _drawn(seen: Sequence[bool], towards: float | None) -> float:
    if towards is None:
        return sum(seen) / len(seen)
    return (sum(seen) + _PRIOR * towards) / (len(seen) + _PRIOR)


def expected_gain(good: FloatArray, rescue: FloatArray, slip: FloatArray) -> FloatArray:
    """Quality that the stronger tier is expected to add.

    Args:
        good: P(draft right).
        rescue: P(tier right | draft wrong).
        slip: P(tier wrong | draft right).
    """
    return (1 - good) * rescue - good * slip
