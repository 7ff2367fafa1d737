"""What the hops of one request share: whose it is, how long it may take, what has happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from ..clock import Deadline
from ..money import EXACT
from ..policy.rules import Limits, Policy
from ..policy.trace import Entry
from ..signals.catalogue import Value
from ..types import Label, Need, Request
from .happened import Happened
from .home import Home
from .wanted import Wanted


@dataclass(slots=True)
class Context:
    """What the hops of one request share.

    Attributes:
        limits: The policy's, tightened by the caller's.
        needs: The request's: they are looked for in each message, so once for all hops.
        label: The caller's, or what the policy says where the caller said nothing.
        arrived: When the request came, on the clock.
        wanted: The signals that are measured.
        signals: Of the request.
        worst_usd: Most dollars one call of each target can cost. None: not known.
        out_of_time: A timer for the deadline has fired, however early by the clock.
    """

    home: Home
    request: Request
    policy: Policy
    decision_id: str
    limits: Limits
    needs: frozenset[Need]
    label: Label
    arrived: float
    deadline: Deadline
    wanted: Wanted
    so_far: Happened
    trace: list[Entry]
    signals: dict[str, Value] = field(default_factory=dict)
    worst_usd: dict[str, Decimal | None] = field(default_factory=dict)
    out_of_time: bool = False

    def elapsed_s(self) -> float:
        """Seconds since arrival; at least the deadline once its timer has fired."""
        gone = self.home.clock.now() - self.arrived
        return max(gone, self.limits.deadline_s or 0.0) if self.out_of_time else gone

    def arrives(self, target: str) -> bool:
        """Whether an answer of `target`, asked now, would come in time, as far as is known."""
        deadline_s = self.limits.deadline_s
        usual_s = self.home.senses.speeds.end_s(target, None)
        return deadline_s is None or usual_s is None or self.elapsed_s() + usual_s <= deadline_s

    def day_left(self) -> Decimal | None:
        """Dollars left of the day. None: the day has no limit."""
        day = self.limits.day_usd
        if day is None:
            return None
        return EXACT.subtract(day, self.home.senses.purse.spent_usd())
