"""Who is asked beside a target: the next tier in a race, another of the tier as a hedge. Pure.

Either is a second hop, held against the limits as such before it is promised.
"""

from __future__ import annotations

from decimal import Decimal

from .bounds import Bounds
from .ladder import Ladder, Rung
from .policy.decide import Before
from .policy.rules import Policy
from .policy.trace import Entry, Note
from .steps import Rival, Seen


class Rivals:
    """The rivals of one walk."""

    def __init__(
        self, policy: Policy, first: Before, ladder: Ladder, bounds: Bounds, trace: list[Entry]
    ) -> None:
        self._policy = policy
        self._first = first
        self._ladder = ladder
        self._bounds = bounds
        self._trace = trace

    def beside(self, rung: Rung, *, commits: bool, seen: Seen) -> Rival | None:
        """Who is asked beside `rung`, which is about to be asked. None: nobody; why is noted.

        Args:
            commits: Whether what `rung` says goes to the caller from its first token on.
            seen: What came of the last call.
        """
        if self._policy.race is None and self._policy.hedge is None:
            return None
        if self._first.race is not None and self._bounds.hops == 0:
            found = self._race(rung, seen)
            if isinstance(found, Rival):
                self._note(f"race: {found.target}: {found.because}")
                return found
            self._note(f"race: {found}")
        found = self._hedge(rung, commits, seen)
        if isinstance(found, Rival):
            return found
        if found:
            self._note(f"hedge: none for {rung.name}: {found}")
        return None

    def _race(self, rung: Rung, seen: Seen) -> Rival | str:
        """The rival of the first draft, or why there is none."""
        rule, raced = self._policy.race, self._first.race
        assert rule is not None
        assert raced is not None
        if raced.tier is None:
            return raced.because
        if rung.tier != self._first.start:
            return f"no race: {rung.tier} is asked first"
        rivals = self._ladder.open(raced.tier)
        if not rivals:
            return f"no race: no target serves {raced.tier}"
        soonest_s = 0.0 if rule.at_once or rule.doubt is not None else rule.after_s or 0.0
        against = self._against(rivals[0], rung, rule.cost_usd, soonest_s, seen)
        if against:
            return f"no race: {against}"
        return Rival(
            rivals[0].name,
            rivals[0].tier,
            "race",
            raced.because,
            commits=False,
            after_s=0.0 if rule.at_once else rule.after_s,
            unless="end",
            most_usd=rule.cost_usd,
            doubt=rule.doubt,
        )

    def _hedge(self, rung: Rung, commits: bool, seen: Seen) -> Rival | str:
        """The second target of a tier, or why there is none; empty where nobody asked for one."""
        rule = self._policy.hedge
        if rule is None or rung.tier not in rule.on:
            return ""
        others = [r for r in self._ladder.open(rung.tier) if r.name != rung.name]
        if not others:
            return ""
        late_s = rung.first_token_p95_s
        if late_s is None:
            return "not enough of its first tokens were seen to know when one is late"
        against = self._against(others[0], rung, rule.cost_usd, late_s, seen)
        if against:
            return against
        return Rival(
            others[0].name,
            rung.tier,
            "hedge",
            f"{rung.name} said nothing for {late_s:.3g} s; 19 of 20 first tokens come sooner",
            commits=commits,
            after_s=late_s,
            unless="first_token",
            most_usd=rule.cost_usd,
        )

    def _against(self, rival: Rung, rung: Rung, most: Decimal, after_s: float, seen: Seen) -> str:
        """What keeps `rival` from being asked beside `rung`. Empty: nothing."""
        worst = rival.worst_case_usd
        if worst is None:
            return f"{rival.name} has no known price"
        if worst > most:
            return f"{rival.name} may cost ${worst}, ${most} is allowed"
        return self._bounds.against_both(rung, rival, after_s, seen)

    def _note(self, text: str) -> None:
        self._trace.append(Note(text))
