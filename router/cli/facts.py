"""What is known of a target before anybody is asked: its price line, and when its model ends.

Comes in: a target of the config and the price list. Goes out: `Facts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from .. import providers
from ..catalogue.target import address
from ..config import Bound
from ..ledger.pricing import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Price and life of one target.

    Attributes:
        price: Id of the price line. None: none is known.
        price_says: The line in words.
        ends: The day the service or its model ends, or ended. None: no such day is known.
        ends_says: Who says so.
        successors: What to use instead, in words.
    """

    price: str | None = None
    price_says: str = ""
    ends: date | None = None
    ends_says: str = ""
    successors: str | None = None


def facts_of(bound: Bound, prices: PriceBook, on: date) -> Facts:
    """What the provider's own module and the price list say."""
    target = bound.target
    line = prices.find(target.provider, bound.price or target.model, on, address(target))
    dialect = providers.dialect(target.provider)
    says = ""
    if line is not None:
        paid = f"${line.input_usd_per_1m} in, ${line.output_usd_per_1m} out per million tokens"
        says = f"free: {line.basis}" if line.basis else paid
    facts = Facts(price=line.id if line else None, price_says=says)
    if dialect is not None and dialect.retired:
        return Facts(
            price=facts.price,
            price_says=says,
            ends=date.fromisoformat(dialect.retired),
            ends_says=f"the service {target.provider}",
            successors=dialect.successors,
        )
    if line is not None and line.retires is not None:
        return Facts(
            price=facts.price,
            price_says=says,
            ends=line.retires,
            ends_says=f"model {line.model}, by {line.source}",
        )
    return facts
