"""Who may still be asked: the tiers that are permitted, served, and not tried yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .policy.decide import Before
from .policy.gain import Offer, ranked, told
from .policy.predicates import Signals
from .policy.rules import Policy
from .policy.trace import Entry, Note, Skipped
from .quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Rung:
    """What the walk knows of a target.

    Attributes:
        name: The target's name.
        tier: The tier it serves.
        worst_case_usd: Most one call of this request may cost; a retry is another call.
            None: its price is not known.
        expected_s: Seconds until its answer would be whole, by its own measured speed.
            None: not known.
        attempts: Most calls of one hop.
        first_token_p95_s: Seconds in which 19 of 20 of its first tokens come. None: not known.
        unpriced: Its price is not known, and limits of dollars let it pass all the same.
        unable: Why it can't be asked this at all, such as ``"it takes no images"``. Empty: it can.
    """

    name: str
    tier: str
    worst_case_usd: Decimal | None
    expected_s: float | None = None
    first_token_p95_s: float | None = None
    attempts: int = 1
    unable: str = ""
    unpriced: bool = False


Rungs = Mapping[str, tuple[Rung, ...]]
"""Targets of each tier, in the order to try them."""


class Ladder:
    """The rungs of one walk.

    Attributes:
        start: The tier the walk begins at. None: nobody can be asked.
        because: Why there, in words.
    """

    def __init__(self, policy: Policy, first: Before, rungs: Rungs, trace: list[Entry]) -> None:
        """Find out who can be asked; what is skipped is noted in `trace`."""
        self._policy = policy
        self._first = first
        self._rungs = rungs
        self._trace = trace
        self._open: dict[str, list[Rung]] = {}
        self._left: list[str] = []
        self._below: list[str] = []
        self.because = first.because
        self.start = self._start()

    def _start(self) -> str | None:
        """The first permitted tier from the policy's start up that can be asked.

        Where none can, the strongest weaker one that can: as where the start is forbidden.
        """
        for tier, rungs in self._rungs.items():
            self._open[tier] = [rung for rung in rungs if not rung.unable]
        first = self._first
        if first.start is None:
            return None
        place = first.permitted.index(first.start)
        for tier in first.permitted[place:]:
            able = self._open.get(tier, ())
            if not able or len(able) < len(self._rungs[tier]):
                self._note(tier)
            if able:
                self._left.append(tier)
        self._below = [tier for tier in first.permitted[:place] if self._open.get(tier)]
        if self._left:
            return self._left[0]
        if self._below:
            self.because += f"; no target serves {first.start} or a stronger tier"
            self._left = [self._below.pop()]
            return self._left[0]
        return None

    def _note(self, tier: str) -> None:
        """Say who of that tier can't be asked."""
        rungs = self._rungs.get(tier, ())
        if not rungs:
            self._trace.append(Note(f"tier {tier} skipped: no target serves it"))
        for rung in rungs:
            if rung.unable:
                self._trace.append(Skipped(f"{rung.name} skipped: {rung.unable}"))

    def take(self, tier: str) -> tuple[Rung, ...]:
        """The targets to try of that tier, which is gone from the ladder with it."""
        if tier in self._left:
            self._left.remove(tier)
        return self.open(tier)

    def open(self, tier: str) -> tuple[Rung, ...]:
        """The targets of a tier that can be asked and were not used up, in the order to try."""
        return tuple(self._open.get(tier, ()))

    def offers(self, rung: Rung) -> bool:
        """Whether it is among the `open` of its tier."""
        return rung in self._open[rung.tier]

    def use_up(self, target: str, tier: str) -> None:
        """Never offer that target again, nor its tier if that has no other left."""
        self._drop(tier, [rung for rung in self._open[tier] if rung.name != target])

    def only_below(self, tier: str) -> None:
        """Never offer a target of `tier` or of a stronger one again."""
        order = self._policy.tiers
        for other in order[order.index(tier) :]:
            self._drop(other, [])

    def _drop(self, tier: str, but: list[Rung]) -> None:
        """Offer of a tier only these from now on."""
        self._open[tier] = but
        if not but:
            self._left = [one for one in self._left if one != tier]
            self._below = [one for one in self._below if one != tier]

    def is_last(self, tier: str) -> bool:
        """Whether nothing stronger than `tier` is left, so that it commits at its first token."""
        order = self._policy.tiers
        return not self._left or order.index(self._left[-1]) <= order.index(tier)

    def next(self, doubted: Signals | None = None) -> tuple[str, str] | None:
        """The tier to go on with, and why that one; None: nobody is left.

        Args:
            doubted: Signals of the last draft that was not kept. None: there was none.
        """
        if not self._left:
            return None
        gain = self._policy.gain
        if self._policy.escalate == "next" or gain is None:
            return self._left[0], ""
        found = ranked(gain, [self._offer(tier, doubted) for tier in self._left])
        if len(found) > 1:
            same = len({why for _, why in found}) == 1
            weighed = found[0][1] if same else "; ".join(f"{tier} {why}" for tier, why in found)
            self._trace.append(Note(f"best_gain: {weighed}"))
        return found[0]

    def down(self) -> str | None:
        """The strongest tier below the start that can be asked, once; None: there is none left.

        For when nobody from the start up gave an answer at all: better a weak one than none.
        """
        return self._below.pop() if self._below else None

    def _offer(self, tier: str, doubted: Signals | None) -> Offer:
        rung = self.open(tier)[0]
        return Offer(tier, rung.worst_case_usd, rung.expected_s, told(doubted, tier))

    def named(self, target: str) -> Rung | None:
        """That target, if its tier is permitted and it can be asked; else why not is noted."""
        for tier, rungs in self._rungs.items():
            for rung in rungs:
                if rung.name == target:
                    return self._allowed(rung, tier)
        return None

    def _allowed(self, rung: Rung, tier: str) -> Rung | None:
        if tier not in self._first.permitted:
            why = "is forbidden" if tier in self._policy.tiers else "is not in the policy"
            self._trace.append(Note(f"target {rung.name} was asked for, and its tier {tier} {why}"))
            return None
        if rung.unable:
            self._trace.append(Skipped(f"{rung.name} skipped: {rung.unable}"))
            return None
        return rung

    def bars(self, target: str | None) -> bool:
        """Whether it is the policy that left nobody to ask, and not the want of a target.

        Args:
            target: The one the caller named. None: the policy chose.
        """
        if target is not None:
            found = [r for rungs in self._rungs.values() for r in rungs if r.name == target]
            return any(rung.tier not in self._first.permitted for rung in found)
        permitted = self._first.permitted
        if any(self._rungs.get(tier) for tier in permitted):
            return False
        barred = [tier for tier in self._policy.tiers if tier not in permitted]
        return not permitted or any(self._rungs.get(tier) for tier in barred)
