"""The cloud of `firsthop init`: address, model, key, price; from flags, or asked for.

Comes in: the flags, and what was said before where a call failed. Goes out: a `Hop`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from .. import config as configs
from .. import providers
from ..document import nearest
from ..errors import AuthFailed, ConfigError
from ..keys import InFile, InKeyring, Place
from ..ledger.pricing import PriceBook
from ..providers.base import Target
from ..providers.endpoint import key_headers
from ..providers.ollama_options import NATIVE
from ..redaction import remember
from . import init_ask as ask
from .init_plan import CLOUDS, NEEDS_ENDPOINT, OWN_BOX, Hop, KeyPlan, dollars
from .onecall import Called

if TYPE_CHECKING:
    from .init_steps import Wishes


def cloud_hop(wishes: Wishes, before: Hop | None) -> Hop | None:
    """The cloud's target. None: there is none.

    Args:
        before: What was said last time; asked for again, with this as the default.

    Raises: ConfigError for a flag that is wrong or missing.
    """
    provider = wishes.provider or ask.cloud(before.provider if before else None)
    if provider == "none":
        return None
    if provider not in CLOUDS:
        raise ConfigError(
            f"there is no cloud {provider!r}", field="--provider", hint=nearest(provider, CLOUDS)
        )
    base_url = _endpoint(wishes, provider, before)
    model = None if before else wishes.model
    if model is None:
        if not wishes.asking:
            raise ConfigError(f"is needed for {provider}", field="--model")
        model = ask.model(provider, before.model if before else None)
    name = ask.target_name(provider)
    hop = Hop(
        name=name,
        provider=provider,
        model=model,
        about="goes on when the device isn't sure",
        base_url=base_url,
    )
    hop = replace(hop, key=_key(wishes, hop, again=before is not None))
    hop.provider_of("")  # raises for what can't be
    if hop.key is not None and hop.key.value is None and wishes.call:
        raise ConfigError(
            f"{hop.key.place} holds no key now, so the target can't be tried",
            field="--key-env",
            hint="put it there, or write the config untried with --no-call",
        )
    return hop


def _endpoint(wishes: Wishes, provider: str, before: Hop | None) -> str | None:
    def check(url: str | None) -> None:
        trial = Hop(name="cloud", provider=provider, model="m", about="", base_url=url)
        trial.provider_of("")

    given = wishes.endpoint
    if given is None and wishes.asking:
        return ask.endpoint(provider, before.base_url if before else None, check)
    dialect = providers.dialect(provider)
    if given is None and provider in NEEDS_ENDPOINT:
        raise ConfigError(f"is needed for {provider}", field="--endpoint")
    if given is None and dialect is not None and dialect.retired:
        raise ConfigError(
            f"{provider} was retired on {dialect.retired}",
            field="--provider",
            hint=f"use {dialect.successors}, or name a look-alike with --endpoint",
        )
    try:
        check(given)
    except ConfigError as exc:
        raise ConfigError(exc.message, field="--endpoint", hint=exc.hint) from exc
    return given


def _key(wishes: Wishes, hop: Hop, *, again: bool) -> KeyPlan | None:
    def wrong(key: str) -> str | None:
        return _wrong(hop, key)

    place = _place(wishes)
    if wishes.no_key and not again:
        return None
    if wishes.key_env and not again:
        return ask.from_env(wishes.key_env, os.environ)
    if place is None or again:
        if wishes.asking:
            return ask.key(hop.provider, hop.name, wrong, needed=wishes.call)
        if wishes.key_stdin:
            place = InFile(ask.key_file(hop.name))
        else:
            raise ConfigError(
                "is needed: where does the key lie?",
                field="--key-env",
                hint="or --key-file, --key-keyring, --key-stdin, --no-key",
            )
    if not wishes.key_stdin:
        value = place.read()
        remember(value)
        return KeyPlan(place=place, value=value)
    value = sys.stdin.readline().strip()
    remember(value)
    problem = wrong(value) if value else "standard input holds no key"
    if problem is not None:
        raise ConfigError(problem, field="--key-stdin")
    return KeyPlan(place=place, value=value, new=True)


def _place(wishes: Wishes) -> Place | None:
    if wishes.key_file is not None:
        return InFile(wishes.key_file.expanduser().resolve())
    if wishes.key_keyring is not None:
        service, sign, user = wishes.key_keyring.partition("/")
        if not (sign and service and user):
            raise ConfigError("is written SERVICE/USER", field="--key-keyring")
        return InKeyring(service, user)
    return None


def _wrong(hop: Hop, key: str) -> str | None:
    """What is wrong with a key, before anybody is asked."""
    dialect = providers.dialect(hop.provider) or NATIVE
    target = Target(name=hop.name, tier="", provider=hop.provider, model=hop.model, api_key=key)
    try:
        key_headers(target, dialect)
    except AuthFailed as error:
        return error.message
    return None


def priced(wishes: Wishes, hop: Hop, called: Called | None, *, limited: bool) -> Hop:
    """With a price: as said, by its name, by who answered, or asked for.

    Args:
        called: The call that was made, for who answered.
        limited: The policy has a limit in dollars, which can't be kept over an unknown price.

    Raises: ConfigError when none is known and nobody can be asked.
    """
    book = PriceBook.load(configs.shipped("configs") / "prices.yaml")
    today = datetime.now(UTC).date()
    if wishes.usd_per_1m:
        return replace(hop, own_usd_per_1m=dollars(wishes.usd_per_1m, "--usd-per-1m"))
    if wishes.price:
        word = OWN_BOX if wishes.price == "own-box" else wishes.price
        line = book.find(hop.provider, word, today)
        if line is None or (line.model == "*" and line.id != word):
            known = sorted({one.model for one in book.lines if one.provider == hop.provider})
            raise ConfigError(
                f"no price line is called {wishes.price!r}",
                field="--price",
                hint=nearest(wishes.price, known),
            )
        return replace(hop, price=word)
    dialect = providers.dialect(hop.provider)
    url = hop.base_url or (dialect.base_url if dialect is not None else None)
    if book.find(hop.provider, hop.model, today, url) is not None:
        return hop
    served = called.model if called else None
    same = _priced_like(book, hop.provider, served)
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


def _priced_like(book: PriceBook, provider: str, served: str | None) -> str | None:
    """The model of the price list whose name, maybe with a date behind it, answered."""
    said = (served or "").casefold()
    fitting = [
        line.model
        for line in book.lines
        if line.provider == provider
        and (said == line.model.casefold() or said.startswith(f"{line.model.casefold()}-20"))
    ]
    return max(fitting, key=len, default=None)
