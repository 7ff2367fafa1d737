"""The price of `firsthop init`'s cloud: as said, by its name, by who answered, or asked for.

Comes in: a `Hop` and the call that was made. Goes out: the `Hop` with what its config says of the
price. Looked up in the lists that the config will be read with.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from .. import config as configs
from ..catalogue.prices import Prices
from ..catalogue.target import TargetFacts, facts_of
from ..clock import SystemClock
from ..document import nearest
from ..errors import ConfigError
from . import init_ask as ask
from .init_plan import OWN_BOX, Hop, dollars
from .onecall import Called

if TYPE_CHECKING:
    from .init_steps import Wishes

_DATED = re.compile(r"-20\d\d-?\d\d-?\d\d\Z")


def known_of(hop: Hop, price: str | None) -> TargetFacts:
    """What the catalogue and the price lists know of a target to be, with `price` in its config."""
    return facts_of(hop.target(), price, _lists(), _today())


def priced(wishes: Wishes, hop: Hop, called: Called | None, *, limited: bool) -> Hop:
    """With a price: as said, by its name, by who answered, or asked for.

    Args:
        called: The call that was made, for who answered.
        limited: The policy has a limit in dollars, which can't be kept over an unknown price.

    Raises: ConfigError when none is known and nobody can be asked.
    """
    if wishes.usd_per_1m:
        return replace(hop, own_usd_per_1m=dollars(wishes.usd_per_1m, "--usd-per-1m"))
    if wishes.price:
        return replace(hop, price=_named(hop, wishes.price))
    if known_of(hop, None).line is not None:
        return hop
    same = _priced_like(hop, called.model if called else None)
    if same is not None:
        typer.echo(f"  its price is taken to be that of {same}, which is what answered")
        return replace(hop, price=same)
    if not limited:
        typer.echo("  no price is known, so its cost stays unknown")
        return hop
    if not wishes.asking:
        raise ConfigError(
            f"is needed: no price is known for {hop.model}, and the policy has a limit in dollars",
            field="--price",
            hint="or --usd-per-1m IN/OUT; own-box for a server that nobody bills",
        )
    host = urlsplit(hop.base_url or "").hostname
    own = host in ("localhost", "127.0.0.1", "::1")
    if own and typer.confirm("\nIs it a server of your own, that nobody bills?", default=True):
        return replace(hop, price=OWN_BOX)
    while True:
        try:
            return replace(hop, own_usd_per_1m=dollars(ask.dollars(hop.model), "price"))
        except ConfigError as error:
            typer.echo(f"  {error.message} ({error.hint})")


def _named(hop: Hop, said: str) -> str:
    """The word for the config. Raises: ConfigError when no line is called so."""
    word = OWN_BOX if said == "own-box" else said
    if _has_line(hop, word):
        return word
    lines = (line for book in _lists().books for line in book.lines)
    known = sorted({line.model for line in lines if line.provider == hop.provider})
    raise ConfigError(
        f"no price line is called {said!r}", field="--price", hint=nearest(said, known)
    )


def _priced_like(hop: Hop, served: str | None) -> str | None:
    """The priced model that answered, as it calls itself or without the date behind its name."""
    said = served or ""
    for word in dict.fromkeys((said, _DATED.sub("", said))):
        line = known_of(hop, word).line if word else None
        if line is not None and line.model != "*" and _has_line(hop, line.model):
            return line.model
    return None


def _has_line(hop: Hop, word: str) -> bool:
    """Whether a line is called so; one for every model has to be meant by its id."""
    line = known_of(hop, word).line
    return line is not None and (line.model != "*" or line.id == word)


@lru_cache(maxsize=1)
def _lists() -> Prices:
    """What a config without a list of its own is read with."""
    shipped = configs.shipped("configs") / "prices.yaml"
    return Prices.load(shipped, shipped)


def _today() -> date:
    from ..compose import today

    return today(SystemClock())
