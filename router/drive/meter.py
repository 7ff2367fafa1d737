"""What one target costs: a price line, or the knowledge that there is none."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..ledger.pricing import PriceLine, cost, worst_case
from ..types import Usage


@dataclass(frozen=True, slots=True)
class PriceMeter:
    """See `attempt.Meter`.

    Attributes:
        line: None: the target's price is not known, so its cost never is.
    """

    line: PriceLine | None

    @property
    def price(self) -> str | None:
        return None if self.line is None else self.line.id

    @property
    def free(self) -> bool:
        """Declared to cost nothing, with a basis."""
        return self.line is not None and self.line.free

    def cost(self, usage: Usage) -> Decimal | None:
        if self.free:
            return Decimal(0)
        return None if self.line is None else cost(self.line, usage)

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        if self.line is None:
            return None
        return worst_case(self.line, input_tokens, max_output_tokens)
