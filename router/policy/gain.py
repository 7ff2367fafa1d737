"""Which stronger tier is worth its dollars and seconds most. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..money import EXACT
from .rules import Gain


@dataclass(frozen=True, slots=True)
class Offer:
    """What one tier would cost.

    Attributes:
        usd: At the worst case. None: not known.
        seconds: Until its answer is whole. None: not known.
    """

    tier: str
    usd: Decimal | None
    seconds: float | None


def ranked(gain: Gain, offers: Sequence[Offer]) -> list[tuple[str, str]]:
    """The tiers, best first, each with its reason in words.

    The score is the tier's `gain` divided by dollars plus seconds times what a second is worth. A
    tier whose price is not known can't be scored and comes last. Where the seconds of one are not
    known, seconds are left out for all: otherwise the unmeasured one would win. A tier that gains
    nothing is worth nothing, however cheap; among free ones the gain decides. Ties go to the weaker
    tier, which is the one given first.
    """
    timed = bool(gain.second_usd) and all(offer.seconds is not None for offer in offers)
    found: list[tuple[bool, Decimal, Decimal, int, str, str]] = []
    for place, offer in enumerate(offers):
        share = Decimal(str(gain.share[offer.tier]))
        if offer.usd is None:
            unknown = "its price is not known"
            found.append((True, Decimal(0), EXACT.minus(share), place, offer.tier, unknown))
            continue
        price = offer.usd
        words = f"gain {share} for ${offer.usd:f}"
        if timed:
            waiting = EXACT.multiply(Decimal(str(offer.seconds)), gain.second_usd)
            price = EXACT.add(price, waiting)
            words += f" and {offer.seconds:.3g} s"
        elif gain.second_usd:
            words += ", seconds not known for all"
        score = Decimal(0)
        if share:
            score = EXACT.divide(share, price) if price else Decimal("Infinity")
        key = EXACT.minus(score), EXACT.minus(share)
        found.append((False, *key, place, offer.tier, words))
    found.sort(key=lambda line: line[:4])
    return [(tier, words) for *_, tier, words in found]
