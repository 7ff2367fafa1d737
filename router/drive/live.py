"""What a hop is made with: a target that can be called, what it may cost, where it is booked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from ..hops import Attempt
from ..money import EXACT
from ..providers.base import Provider, Target
from ..quick import quick
from ..types import Need, Usage, served_by
from .way import Way


class Meter(Protocol):
    """Turns usage into dollars for one target."""

    @property
    def price(self) -> str | None:
        """Id of the price line. None: there is none."""
        ...

    @property
    def free(self) -> bool:
        """Whether a call costs nothing whatever is asked, so that nobody has to count it first."""
        ...

    def cost(self, usage: Usage) -> Decimal | None:
        """Dollars. None: not known."""
        ...

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        ...

    def at(self, wall_s: float) -> Meter:
        """The same, of the day in which that second is (since 1970-01-01 UTC)."""
        ...


class Booking(Protocol):
    """Where the attempts of one hop are written down."""

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        """Before the call. Raising means that the call isn't made."""
        ...

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        """After it, however it ended.

        Args:
            shown: What it said has gone on to the caller as it came.
            says: It said something.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A target that can be called now.

    Attributes:
        attempts: Most calls of one hop.
        image_tokens: Most input tokens that one frame of a picture takes. None: not known, so what
            a request with pictures costs at worst isn't either, unless the target is free.
        here: It runs on this device, so nothing leaves for it.
        unknown_price: Should its price not be known, limits of dollars let it pass.
        max_input_tokens: Most tokens its model takes as a prompt. None: not known.
        way: Who is on the way to it, and whether it may be taken now.
    """

    target: Target
    provider: Provider
    meter: Meter
    attempts: int = 2
    image_tokens: int | None = None
    here: bool = False
    unknown_price: bool = False
    max_input_tokens: int | None = None
    way: Way = field(default_factory=Way)

    @property
    def cold(self) -> bool:
        """Whether a call would have to wait for the device's start."""
        up: Callable[[], bool] | None = getattr(self.provider, "up", None)
        return self.here and up is not None and not up()

    @property
    def unpriced(self) -> bool:
        """Whether its price is unknown, and limits of dollars let it pass."""
        return self.unknown_price and self.meter.price is None

    @property
    def abilities(self) -> frozenset[Need]:
        """What it can do beside text."""
        found: frozenset[Need] = getattr(self.provider, "abilities", frozenset())
        return served_by(found)


@quick
@dataclass(frozen=True, slots=True)
class Allowance:
    """Dollars a hop may spend. A call is made only while its worst case fits what is left.

    Attributes:
        left_usd: None: there is no limit.
        worst_case_usd: Most one call can cost; an attempt of unknown cost counts as this much.
            None: not known, and then no limit can be kept.
    """

    left_usd: Decimal | None = None
    worst_case_usd: Decimal | None = None

    def spent(self, attempts: list[Attempt]) -> Decimal:
        """Dollars these attempts cost, unknown ones at their worst."""
        spent, worst = Decimal(0), self.worst_case_usd or Decimal(0)
        for attempt in attempts:
            spent = EXACT.add(spent, worst if attempt.cost_usd is None else attempt.cost_usd)
        return spent

    def booked(self, attempts: list[Attempt]) -> Decimal | None:
        """The same, but None where a call's cost is not known, not even at the worst."""
        if self.worst_case_usd is None and any(a.cost_usd is None for a in attempts):
            return None
        return self.spent(attempts)

    def covers_one_more(self, attempts: list[Attempt]) -> bool:
        """Whether one more call after `attempts` can be paid for."""
        if self.left_usd is None:
            return True
        if self.worst_case_usd is None:
            return False
        return EXACT.add(self.spent(attempts), self.worst_case_usd) <= self.left_usd
