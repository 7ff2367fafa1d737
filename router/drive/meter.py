"""What one target costs: a price line a day, or the knowledge that there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from ..clock import Clock
from ..ledger.pricing import PriceLine, cost, worst_case
from ..types import Usage

_FIRST_DAY = date(1970, 1, 1)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class PriceMeter:
    """By one line, whatever the day; see `live.Meter`.

    Attributes:
        line: None: the target's price is not known, so its cost never is.
        free: Declared to cost nothing, with a basis.
    """

    line: PriceLine | None
    free: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.line is not None and self.line.free)

    @property
    def price(self) -> str | None:
        return None if self.line is None else self.line.id

    def cost(self, usage: Usage) -> Decimal | None:
        if self.free:
            return Decimal(0)
        return None if self.line is None else cost(self.line, usage)

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        if self.line is None:
            return None
        if self.free:
            return Decimal(0)
        return worst_case(self.line, input_tokens, max_output_tokens)

    def at(self, wall_s: float) -> PriceMeter:
        return self


class DatedMeter:
    """By the line that holds on the day, in UTC; see `live.Meter`. Looks it up once a day."""

    __slots__ = ("_clock", "_found", "_line_on")

    def __init__(self, line_on: Callable[[date], PriceLine | None], clock: Clock) -> None:
        """`line_on`: the line that holds on a day. None: the price is not known on it."""
        self._line_on = line_on
        self._clock = clock
        self._found: tuple[int, PriceMeter] | None = None

    @property
    def price(self) -> str | None:
        return self.at(self._clock.wall()).price

    @property
    def free(self) -> bool:
        return self.at(self._clock.wall()).free

    def cost(self, usage: Usage) -> Decimal | None:
        return self.at(self._clock.wall()).cost(usage)

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars a call that starts now can cost. None: not known."""
        return self.at(self._clock.wall()).worst_case(input_tokens, max_output_tokens)

    def at(self, wall_s: float) -> PriceMeter:
        """What holds on the day of that second (since 1970-01-01 UTC)."""
        day = int(wall_s // _DAY_S)
        found = self._found
        if found is None or found[0] != day:
            meter = PriceMeter(self._line_on(_FIRST_DAY + timedelta(days=day)))
            self._found = found = (day, meter)
        return found[1]
