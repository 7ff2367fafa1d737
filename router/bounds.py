"""What the limits leave room for: hops, seconds and dollars of one walk. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .hops import Cause
from .ladder import Rung
from .money import EXACT
from .policy.rules import Limits
from .policy.trace import Entry, Note
from .steps import Seen


@dataclass(slots=True)
class Bounds:
    """The limits of one walk, and which of them stopped it.

    Attributes:
        hops: Targets tried so far.
        aside: Hops taken for opinions of drafts. They have an index, and count for no limit.
        stopped_by: The limit that last kept a target from being asked. None: none has.
    """

    limits: Limits
    trace: list[Entry]
    hops: int = 0
    aside: int = 0
    stopped_by: str | None = None

    @property
    def index(self) -> int:
        """Of the next hop."""
        return self.hops + self.aside

    def end_with(self, more: int) -> bool:
        """Whether so many more hops are all that may be taken."""
        return self.limits.hops is not None and self.hops + more >= self.limits.hops

    def leave_room(self, rung: Rung, cause: Cause, seen: Seen) -> bool:
        """Whether there is room for a call of this target; if not, why not is noted.

        Args:
            seen: What came of the last call; before the first, how things stand at the start.
        """
        return (
            self.hops_left()
            and self.in_time(seen)
            and self.arrives(rung, cause, seen)
            and self.affords(rung, seen)
        )

    def are_over(self, seen: Seen) -> bool:
        """Whether no further call of anybody could be made."""
        if self.stopped_by == "hops":
            return True
        allowed = self.limits.deadline_s
        late = allowed is not None and seen.elapsed_s >= allowed
        return late and self.stopped_by == "deadline_s"

    def hops_left(self) -> bool:
        """Whether another target may be tried."""
        allowed = self.limits.hops
        if allowed is None or self.hops < allowed:
            return True
        return self._stop("hops", f"{self.hops} hops taken, {allowed} allowed")

    def in_time(self, seen: Seen) -> bool:
        """Whether the deadline leaves anything worth starting."""
        allowed, gone = self.limits.deadline_s, seen.elapsed_s
        if allowed is None or gone < allowed:
            return True
        return self._stop("deadline_s", f"{gone:.2f} s gone, {allowed:g} s allowed")

    def arrives(self, rung: Rung, cause: Cause, seen: Seen) -> bool:
        """Whether its answer could still come in time. Where the walk starts is the route's say."""
        allowed, gone = self.limits.deadline_s, seen.elapsed_s
        if allowed is None or cause not in ("escalation", "fallback"):
            return True
        if rung.expected_s is None:
            self._note(f"{rung.name}: its speed is not known yet, so the deadline lets it pass")
            return True
        if gone + rung.expected_s <= allowed:
            return True
        needs = f"{rung.name} needs about {rung.expected_s:.2f} s"
        return self._stop(
            "deadline_s", f"{needs}, {allowed - gone:.2f} s of {allowed:g} s are left"
        )

    def affords(self, rung: Rung, seen: Seen) -> bool:
        """Whether its worst case fits the dollars that are left, of the request and the day."""
        limit, spent, day = self.limits.cost_usd, seen.spent_usd, seen.day_left_usd
        worst = rung.worst_case_usd
        if limit is None and day is None:
            return True
        if worst is None and rung.unpriced:
            self._note(f"{rung.name}: its price is not known, and the config lets it pass")
            return True
        if worst is None:
            which = "day_usd" if limit is None else "cost_usd"
            return self._stop(which, f"{rung.name} has no known price")
        if limit is not None and EXACT.add(spent, worst) > limit:
            left = EXACT.subtract(limit, spent)
            why = f"{rung.name} may cost ${worst}, ${left} of ${limit} is left"
            return self._stop("cost_usd", why)
        if day is not None and worst > day:
            return self._stop(
                "day_usd",
                f"{rung.name} may cost ${worst}, ${max(day, Decimal(0))} of the day's "
                f"${self.limits.day_usd} is left",
            )
        return True

    def against_both(self, rung: Rung, rival: Rung, after_s: float, seen: Seen) -> str:
        """Why `rung` and beside it `rival` don't fit the limits; empty: they do. Stops nothing.

        Args:
            after_s: Seconds after the first's start in which the rival starts at the soonest.
        """
        limits, worst = self.limits, rung.worst_case_usd
        if limits.hops is not None and self.hops + 2 > limits.hops:
            return f"it would be a second hop, {limits.hops} allowed"
        if limits.deadline_s is not None and rival.expected_s is not None:
            ends_s = seen.elapsed_s + after_s + rival.expected_s
            if ends_s > limits.deadline_s:
                return f"{rival.name} would end after {ends_s:.1f} s, {limits.deadline_s:g} allowed"
        left = [] if limits.cost_usd is None else [EXACT.subtract(limits.cost_usd, seen.spent_usd)]
        left += [] if seen.day_left_usd is None else [seen.day_left_usd]
        if not left:
            return ""
        if worst is None or rival.worst_case_usd is None:
            return "what both may cost is not known"
        # The first may be called again while the rival is under way.
        both = EXACT.add(EXACT.multiply(worst, rung.attempts), rival.worst_case_usd)
        return f"both may cost ${both}, ${min(left)} is left" if both > min(left) else ""

    def _stop(self, limit: str, why: str) -> bool:
        self.stopped_by = limit
        self._note(f"limit {limit}: {why}")
        return False

    def _note(self, text: str) -> None:
        self.trace.append(Note(text))
