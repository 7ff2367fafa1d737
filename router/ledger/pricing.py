"""Usage times a dated price line is dollars, exactly; or None when a part is not known.

Comes in: `configs/prices.yaml` (read by `prices_file.py`), a `Usage`, a day. Goes out: `Decimal`
dollars with at most 12 decimals. There is no float on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, localcontext
from pathlib import Path
from urllib.parse import urlsplit

from ..types import Usage

PER = 6
"""Prices are for ten to this many tokens."""

_EXACT = Context(prec=60)
"""Whatever precision the app has set for its own decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTier:
    """What every token of a call costs once its prompt is longer than a length.

    Attributes:
        above_input_tokens: It holds for prompts of more tokens than this.
        input_usd_per_1m: As on the line; so are the others.
    """

    above_input_tokens: int
    input_usd_per_1m: Decimal
    output_usd_per_1m: Decimal
    cached_input_usd_per_1m: Decimal | None = None
    cache_write_input_usd_per_1m: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """What one model cost at one provider from one day on.

    Attributes:
        id: Unique in its book; a ledger row names the line by it.
        provider: Module in `router.providers`.
        model: As the provider calls it; ``"*"`` stands for any model of that provider.
        host: The host it is about, where a provider can be anybody's server. None: any host.
        input_usd_per_1m: Dollars per million prompt tokens.
        cached_input_usd_per_1m: The same for prompt tokens read from a cache.
            None: they cost what others do.
        cache_write_input_usd_per_1m: The same for prompt tokens that are written into one.
            None: they cost what others do.
        output_usd_per_1m: Dollars per million answer tokens, reasoning ones included.
        source: Where the figures were read.
        checked: The day that source was last looked at. None: it does not say itself.
        valid_from: First day the figures may be used for.
        tiers: What calls with long prompts cost instead, shortest first.
        retires: The day the provider means to end the model. For people: a price stays known.
        basis: Why a price of zero is one: ``"trial"``, ``"own box"``, ``"stand-in"``, ``"own
            device"``. None: tokens are paid for.
    """

    id: str
    provider: str
    model: str
    input_usd_per_1m: Decimal
    output_usd_per_1m: Decimal
    source: str
    checked: date | None
    valid_from: date
    host: str | None = None
    cached_input_usd_per_1m: Decimal | None = None
    cache_write_input_usd_per_1m: Decimal | None = None
    tiers: tuple[PriceTier, ...] = ()
    retires: date | None = None
    basis: str | None = None

    @property
    def free(self) -> bool:
        """Whether nothing is charged, however long the prompt."""
        all_rates: tuple[PriceLine | PriceTier, ...] = (self, *self.tiers)
        return not any(any(_amounts(rates)) for rates in all_rates)


class PriceBook:
    """Price lines, to be looked up by day. Immutable."""

    __slots__ = ("_by_id", "_by_model")

    def __init__(self, lines: Iterable[PriceLine] = ()) -> None:
        """Index the lines; of two with the same id, or model and day, the later one counts."""
        self._by_id: dict[str, PriceLine] = {}
        self._by_model: dict[tuple[str, str], list[PriceLine]] = {}
        for line in lines:
            self._by_id[line.id] = line
            self._by_model.setdefault((line.provider, line.model.casefold()), []).append(line)
        for dated in self._by_model.values():
            dated.sort(key=lambda line: (line.host is not None, line.valid_from))

    @classmethod
    def load(cls, path: Path, *, known: bool = False) -> PriceBook:
        """Read a price file.

        Args:
            known: It comes with this version; see `read_prices`.

        Raises: ConfigError with file, line and field.
        """
        from .prices_file import read_prices

        return cls(read_prices(path, known=known))

    @property
    def lines(self) -> tuple[PriceLine, ...]:
        """Every line, in the order of the file."""
        return tuple(self._by_id.values())

    def find(self, provider: str, name: str, on: date, url: str | None = None) -> PriceLine | None:
        """The line that holds on a day.

        Args:
            provider: Module in `router.providers`.
            name: A line's id, which pins that line whatever the provider; or a model, upper or
                lower case, of which the latest line counts that is valid by then. A model the
                book does not know falls to the provider's ``"*"`` line.
            url: Where it is asked. A line that names a host counts for that host alone, and there
                before one that names none.

        Returns: None when no line is valid by then. The cost is then unknown, not zero.
        """
        pinned = self._by_id.get(name)
        if pinned is not None:
            return pinned if pinned.valid_from <= on else None
        host = host_of(url)
        for model in (name.casefold(), "*"):
            of_model = self._by_model.get((provider, model), [])
            dated = [line for line in of_model if line.host is None or line.host.lower() == host]
            valid = [line for line in dated if line.valid_from <= on]
            if dated:
                return valid[-1] if valid else None
        return None


def host_of(url: str | None) -> str | None:
    """The host of an address, in lower case. None: it has none."""
    try:
        return urlsplit(url or "").hostname
    except ValueError:  # a provider says what is wrong with its address
        return None


def cost(line: PriceLine, usage: Usage) -> Decimal | None:
    """What a call cost, in dollars.

    Tokens read from a cache and tokens written into one are two parts of the input, each priced
    apart; reasoning tokens are a part of the output and priced with it. More of the two than there
    is input make no sense, so the cost is then unknown. A target that doesn't tell such a part is
    taken to have had none of it.

    Returns: None when the target did not say how many tokens it read or wrote, unless the price is
    zero whatever the count.
    """
    if line.free:
        return Decimal(0)
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    plain = usage.input_tokens - cached - written
    if min(cached, written, plain, usage.output_tokens) < 0:
        return None
    rates = _reached(line, usage.input_tokens)[-1]
    _, cached_price, written_price, _ = _amounts(rates)
    with localcontext(_EXACT):
        per_million = (
            plain * rates.input_usd_per_1m
            + cached * (rates.input_usd_per_1m if cached_price is None else cached_price)
            + written * (rates.input_usd_per_1m if written_price is None else written_price)
            + usage.output_tokens * rates.output_usd_per_1m
        )
        return per_million.scaleb(-PER)


def worst_case(line: PriceLine, input_tokens_bound: int, max_output_tokens: int) -> Decimal:
    """The most a call can cost, in dollars: nothing cached unless that is dearer, all output used.

    Args:
        input_tokens_bound: Upper bound of the prompt's tokens.
        max_output_tokens: Cap on the answer's tokens.
    """
    reached = _reached(line, input_tokens_bound)
    dearest_input = max(
        amount for rates in reached for amount in _amounts(rates)[:-1] if amount is not None
    )
    dearest_output = max(rates.output_usd_per_1m for rates in reached)
    with localcontext(_EXACT):
        per_million = input_tokens_bound * dearest_input + max_output_tokens * dearest_output
        return per_million.scaleb(-PER)


def _reached(line: PriceLine, input_tokens: int) -> tuple[PriceLine | PriceTier, ...]:
    """What a prompt of up to that many tokens may be priced by; the last is for exactly as many."""
    return (line, *(tier for tier in line.tiers if input_tokens > tier.above_input_tokens))


def _amounts(rates: PriceLine | PriceTier) -> tuple[Decimal | None, ...]:
    """Dollars per million tokens: three of the prompt's, and last the answer's."""
    return (
        rates.input_usd_per_1m,
        rates.cached_input_usd_per_1m,
        rates.cache_write_input_usd_per_1m,
        rates.output_usd_per_1m,
    )
