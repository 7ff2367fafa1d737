"""What escalating buys: how likely a stronger tier is right, and what it adds to the draft.

A draft that is wrong is worth escalating only as far as the stronger tier gets that kind of thing
right, so two chances are multiplied: that the draft is wrong, and that the tier then rescues it.
Counted for the strong tier alone (`gains`), and for each tier that labels name (`tier_gains`).
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
    """How a stronger tier fares where the draft fails, and where it doesn't.

    Attributes:
        rescue: P(tier right | draft wrong).
        slip: P(tier wrong | draft right).
    """

    rescue: float
    slip: float

    def gain(self, good: float) -> float:
        """Share of right answers that asking the tier is expected to add; below zero it spoils.

        Args:
            good: P(draft right).
        """
        return (1 - good) * self.rescue - good * self.slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What is said of one tier beside one draft.

    Attributes:
        good: P(tier right), 0 to 1.
        gain: That, less P(draft right): share of right answers that asking it is expected to add.
    """

    good: float
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """What asking one stronger tier is expected to add, by task.

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
        return self.odds(task).gain(good)

    def chance(self, good: float, task: str | None) -> Chance:
        """How likely the tier is right, and what it adds.

        Args:
            good: P(draft right).
        """
        gain = self.odds(task).gain(good)
        right = min(1.0, max(0.0, good + gain))  # a sum may end beside what is exact
        return Chance(good=right, gain=gain)

    def odds(self, task: str | None) -> Odds:
        """Of that task; of one that no label has, those of all."""
        return self.tasks.get(task or "", self.overall)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierWorth:
    """One tier on labels, and at the usual draft.

    Attributes:
        labels: That say how it fared; `right` is the share of them in which it was.
        odds: Of all tasks together.
        draft: P(right) of that draft; `gain` what asking the tier adds to it.
        usd: Mean dollars of its answer. None: no label tells.
    """

    tier: str
    labels: int
    right: float
    odds: Odds
    draft: float
    gain: float
    usd: float | None

    @property
    def per_usd(self) -> float | None:
        """Right answers a dollar buys there. None: not known, or it costs nothing."""
        return self.gain / self.usd if self.usd else None


def tier_gains(
    good: Sequence[bool], tiers: Sequence[Mapping[str, bool]], tasks: Sequence[str]
) -> dict[str, Gains]:
    """The same for each tier that is named, on the labels that name it.

    Args:
        good: Whether each draft is.
        tiers: By tier, whether its answer to the same question is; a tier that was not asked is
            left out.

    Returns: Only tiers that enough labels tell of: of the others nothing is known.
    """
    found: dict[str, Gains] = {}
    for name in sorted({name for one in tiers for name in one}):
        told = [at for at, one in enumerate(tiers) if name in one]
        counted = gains(
            [good[at] for at in told],
            [tiers[at][name] for at in told],
            [tasks[at] for at in told],
        )
        if counted is not None:
            found[name] = counted
    return found


def gains(good: Sequence[bool], strong: Sequence[bool], tasks: Sequence[str]) -> Gains | None:
    """Counted on labels that say of both. None: too few do.

    Args:
        good: Whether each draft is; `strong` the same of the stronger tier's answer.
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
