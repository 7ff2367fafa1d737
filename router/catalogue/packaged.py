"""Prices out of the package `genai-prices`: its data become our price lines. Touches no network.

The one file that imports it, and only when somebody asks for a price that our own lists don't have,
or for what others say. What it says in a way that a line can't hold (a price by the time of day, or
by the request) is no price here, and neither is a zero it gives no reason for.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..ledger.pricing import PriceLine, PriceTier, host_of

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider

PREFIX = "genai-prices/"
"""How the ids of its lines begin."""

_SERVICES = {"azure_ai": "azure"}
"""Our providers by their name for them."""
_BY_ADDRESS = frozenset(("openai_compatible",))
"""Providers that can be anybody's server, so that the address has to tell whose prices hold."""
_LOOPBACK = re.compile(r"https?://(localhost|127\.|\[::1\])")
_RESELLS = {"azure": ("openai",)}
"""Whose own prices a service takes over. The package borrows from others too, and is then wrong:
DeepSeek's own price is about a third of what Azure asks for its models."""
_NOT_ITS_OWN = ("gpt-oss",)
"""Names of models that OpenAI publishes but doesn't sell, so its page gives no one's price."""
_AMOUNTS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_PER_CALL = ("requests_kcount",)
_DECIMALS = 6


def packaged(
    provider: str, name: str, on: datetime.date, url: str | None = None, *, any_vendor: bool = False
) -> PriceLine | None:
    """The line of a model on a day.

    Args:
        provider: Module in `router.providers`.
        name: A model's own name, exactly but for upper or lower case: what is only like a known
            name is another model. Or a line's id, with or without its day, which pins the model
            whoever serves it.
        url: Where it is asked.
        any_vendor: Also what the package borrows from another vendor's list; to be shown, not used.

    Returns: None when the package is not installed, doesn't know the model, or says something that
        a line can't hold.
    """
    found = _find(provider, name, url, any_vendor=any_vendor)
    if found is None:
        return None
    service, model = found
    return _line(provider, service, model, on)


def _find(
    provider: str, name: str, url: str | None, *, any_vendor: bool
) -> tuple[Provider, ModelInfo] | None:
    if name.startswith(PREFIX):
        service_id, _, model = name.removeprefix(PREFIX).partition("@")[0].partition("/")
        return _named(_services().get(service_id), model)
    service = _service(provider, url)
    if service is None:
        return None
    own = _named(service, name)
    if own is not None or (name.casefold().startswith(_NOT_ITS_OWN) and not any_vendor):
        return own
    others = service.fallback_model_providers if any_vendor else _RESELLS.get(service.id)
    lent = (_named(_services().get(other), name) for other in others or ())
    return next((found for found in lent if found is not None), None)


def _service(provider: str, url: str | None) -> Provider | None:
    if provider in _SERVICES:
        return _services().get(_SERVICES[provider])
    if provider not in _BY_ADDRESS or not url or _LOOPBACK.match(url):
        return None
    host = host_of(url)
    if host is None:
        return None
    parts = urlsplit(url)
    server = f"{parts.scheme}://{host}"
    # Its patterns tell how an address begins, so `api.openai.com.evil.example` would fit, and by
    # those with `.*` also a name in the path. A name ends where the host does, or it isn't that
    # service's; and what stands after the host has no dots that a name could be made of.
    whole = server + parts.path.replace(".", "%2E")
    for service in _services().values():
        fits = re.match(service.api_pattern, whole)
        if fits is not None and fits.end() >= len(server):
            return service
    return None


def _named(service: Provider | None, name: str) -> tuple[Provider, ModelInfo] | None:
    if service is None:
        return None
    wanted = name.casefold()
    for model in service.models:
        if wanted == model.id.casefold() or wanted in _names(model.match):
            return service, model
    return None


def _names(match: MatchLogic) -> frozenset[str]:
    """The names that a rule lists one by one."""
    from genai_prices.types import ClauseEquals, ClauseOr

    if isinstance(match, ClauseEquals):
        return frozenset((match.equals.casefold(),))
    if isinstance(match, ClauseOr):
        return frozenset().union(*(_names(one) for one in match.or_))
    return frozenset()


def _line(
    provider: str, service: Provider, model: ModelInfo, on: datetime.date
) -> PriceLine | None:
    since, prices = _on(model, on)
    if prices is None:
        return None
    amounts = {key: prices.__dict__.get(key) for key in _AMOUNTS}
    steps = sorted(
        {tier.start for price in amounts.values() for tier in getattr(price, "tiers", ())}
    )
    tiers = [_rates({key: _at(price, s) for key, price in amounts.items()}, s) for s in (0, *steps)]
    known = [tier for tier in tiers if tier is not None]
    if len(known) < len(tiers) or any(prices.__dict__.get(key) for key in _PER_CALL):
        return None
    base = known[0]
    line = PriceLine(
        id=f"{PREFIX}{service.id}/{model.id}" + (f"@{since}" if since else ""),
        provider=provider,
        model=model.id,
        input_usd_per_1m=base.input_usd_per_1m,
        output_usd_per_1m=base.output_usd_per_1m,
        cached_input_usd_per_1m=base.cached_input_usd_per_1m,
        cache_write_input_usd_per_1m=base.cache_write_input_usd_per_1m,
        tiers=tuple(known[1:]),
        source=f"genai-prices {_version()}",
        checked=None,
        valid_from=since or datetime.date.min,
    )
    return None if line.free else line


def _on(model: ModelInfo, on: datetime.date) -> tuple[datetime.date | None, ModelPrice | None]:
    """The prices of a day and since when they hold. No prices: they change within the day."""
    from genai_prices.types import ModelPrice, StartDateConstraint

    if isinstance(model.prices, ModelPrice):
        return None, model.prices
    since: datetime.date | None = None
    chosen: ModelPrice | None = None
    for priced in model.prices:  # the last that holds counts
        if priced.constraint is None:
            since, chosen = None, priced.prices
        elif not isinstance(priced.constraint, StartDateConstraint):
            return None, None
        elif priced.constraint.start_date <= on:
            since, chosen = priced.constraint.start_date, priced.prices
    return since, chosen


def _at(price: object, input_tokens: int) -> Decimal | None:
    """A price for prompts longer than that. None: there is none."""
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= input_tokens]
        return reached[-1] if reached else price.base
    return price if isinstance(price, Decimal) else None


def _rates(amounts: dict[str, Decimal | None], above: int) -> PriceTier | None:
    """What prompts longer than that cost. None: it isn't all told, or finer than we book."""
    if any(a is not None and a != round(a, _DECIMALS) for a in amounts.values()):
        return None
    input_usd, output_usd = amounts["input_mtok"], amounts["output_mtok"]
    if input_usd is None or output_usd is None:
        return None
    return PriceTier(
        above_input_tokens=above,
        input_usd_per_1m=input_usd,
        output_usd_per_1m=output_usd,
        cached_input_usd_per_1m=amounts["cache_read_mtok"],
        cache_write_input_usd_per_1m=amounts["cache_write_mtok"],
    )


def _services() -> dict[str, Provider]:
    """Its data by service; empty when it is not installed."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return {}
    return {service.id: service for service in get_snapshot().providers}


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("genai-prices")
    except PackageNotFoundError:
        return ""
