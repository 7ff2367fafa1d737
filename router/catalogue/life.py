"""When a model or a service ends, as its sources say: dates in, a state and a sentence out.

Sources disagree. All dates are kept: a warning comes by the earliest, and a thing counts as ended
only when the last of them has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

State = Literal["alive", "ending", "disputed", "ended"]

WARN_DAYS = 60
"""Days before an end from which on it is worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One source's word on when a thing ends.

    Attributes:
        on: First day that it is not to be counted on.
        source: Who says so.
        checked: The day that was last looked at. None: not told.
    """

    on: date
    source: str
    checked: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Everything that is said of the end of one thing.

    Attributes:
        what: The thing, such as ``"model gpt-4o of azure_ai"``.
        ends: Earliest first. Empty: nobody has named a day, which is no promise.
        successors: What to use instead, in words. Empty: nothing is known.
    """

    what: str
    ends: tuple[End, ...] = ()
    successors: str = ""

    @property
    def conflict(self) -> bool:
        """Whether its sources name different days."""
        return len({end.on for end in self.ends}) > 1

    def state(self, on: date) -> State:
        """How things stand on a day.

        Returns: ``"ending"`` from `WARN_DAYS` before the earliest day named; ``"disputed"`` when
            one has passed and another has not; ``"ended"`` when all have.
        """
        if not self.ends:
            return "alive"
        if self.ends[-1].on <= on:
            return "ended"
        if self.ends[0].on <= on:
            return "disputed"
        return "ending" if (self.ends[0].on - on).days <= WARN_DAYS else "alive"

    def says(self, on: date) -> str:
        """A sentence for people: what ends or ended when, by whose word, and what to use instead.

        Empty where nobody has named a day.
        """
        if not self.ends:
            return ""
        dates = "; ".join(f"{end.on} ({end.source})" for end in self.ends)
        state = self.state(on)
        if state == "ended":
            text = f"{self.what} was retired on {dates}"
        elif self.conflict:
            text = f"{self.what} retires on different days by different sources: {dates}"
        else:
            left = (self.ends[0].on - on).days
            text = f"{self.what} retires on {dates}, in {left} day{'' if left == 1 else 's'}"
        return f"{text}; use {self.successors}" if self.successors else text
