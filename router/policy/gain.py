"""Which stronger tier is worth its dollars and seconds most. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..money import EXACT
from .confided import TIER_GAIN
from .predicates import Signals
from .rules import Gain

_FIRST = Decimal("-Infinity")
_LAST = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Offer:
    """What one tier would cost, and bring.

    Attributes:
        usd: At the worst case. None: not known.
        seconds: Until its answer is whole. None: not known.
        gain: What the calibration estimates that it adds to the draft, -1 to 1. None: not known.
    """

    tier: str
    usd: Decimal | None
    seconds: float | None
    gain: float | None = None


def told(signals: Signals | None, tier: str) -> float | None:
    """What the calibration said of that tier beside the draft. None: nothing."""
    found = None if signals is None else signals.get(f"{TIER_GAIN}{tier}")
    return float(found) if isinstance(found, int | float) else None


def ranked(gain: Gain, offers: Sequence[Offer]) -> list[tuple[str, str]]:
    """The tiers, best first, each with its reason in words.

    The score is what a tier gains divided by dollars plus seconds times what a second is worth.
    What it gains is the calibration's estimate where that tells of all of them; else the policy's
    `share`, for all of them too, as the two are different things: an estimate is of this draft, a
    share of any that was not kept. With neither nobody can be weighed, and the order stays.

    A tier whose price is not known can't be scored and comes last. Where the seconds of one are not
    known, seconds are left out for all: otherwise the unmeasured one would win. A tier that gains
    nothing, or spoils, is worth nothing, however cheap; among such, as among free ones, the gain
    decides. Ties go to the weaker tier, which is the one given first.
    """
    gains, source = _gains(gain, offers)
    if gains is None:
        return [(offer.tier, f"{source}, so the next tier is asked") for offer in offers]
    timed = bool(gain.second_usd) and all(offer.seconds is not None for offer in offers)
    found: list[tuple[Decimal, Decimal, int, str, str]] = []
    for place, (offer, gained) in enumerate(zip(offers, gains, strict=True)):
        score, words = _score(gain, offer, gained, timed=timed)
        said = f"gain {float(gained):.3g} {source}{words}"
        found.append((EXACT.minus(score), EXACT.minus(gained), place, offer.tier, said))
    found.sort(key=lambda line: line[:3])
    return [(tier, words) for *_, tier, words in found]


def _gains(gain: Gain, offers: Sequence[Offer]) -> tuple[list[Decimal] | None, str]:
    """What each gains, and who says so. None: nobody tells of all."""
    estimates = [offer.gain for offer in offers if offer.gain is not None]
    if len(estimates) == len(offers):
        return [Decimal(str(estimate)) for estimate in estimates], "by labels"
    silent = ", ".join(offer.tier for offer in offers if offer.gain is None)
    if gain.share is None:
        return None, f"no labels tell what {silent} gains"
    shares = [Decimal(str(gain.share[offer.tier])) for offer in offers]
    # Said only where somebody might think otherwise: labels tell of some of them.
    return shares, f"by share, as no labels tell of {silent}," if estimates else "by share"


def _score(gain: Gain, offer: Offer, gained: Decimal, *, timed: bool) -> tuple[Decimal, str]:
    if offer.usd is None:
        return _FIRST, ", its price is not known"
    price = offer.usd
    words = f" for ${offer.usd:f}"
    if timed:
        waiting = EXACT.multiply(Decimal(str(offer.seconds)), gain.second_usd)
        price = EXACT.add(price, waiting)
        words += f" and {offer.seconds:.3g} s"
    elif gain.second_usd:
        words += ", seconds not known for all"
    if gained <= 0:
        return Decimal(0), words
    return (EXACT.divide(gained, price) if price else _LAST), words
