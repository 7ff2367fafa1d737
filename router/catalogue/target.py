"""What the catalogue knows of one target of the config: its price, its life, its model's sizes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from .. import providers
from ..errors import ConfigError
from ..ledger.pricing import PriceLine
from ..providers.base import Dialect, Target
from .life import End, Life
from .models import ModelFacts, shipped
from .prices import Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What is known of a target without calling it.

    Attributes:
        target: Its name in the config.
        model: The model's name as far as it can be told: where the config's `price` names a model,
            that one, for a deployment may be called anything.
        line: The price line that counts. None: its price is not known.
        price_conflicts: Lines of weaker lists that say something else. Empty unless asked for.
        lives: When its service and its model end; only those of which somebody has named a day.
        facts: Of its model. None: it is not in the catalogue.
    """

    target: str
    model: str
    line: PriceLine | None
    price_conflicts: tuple[PriceLine, ...] = ()
    lives: tuple[Life, ...] = ()
    facts: ModelFacts | None = None

    def warnings(self, on: date) -> tuple[str, ...]:
        """What to tell of its life on that day, a sentence each. Empty: it goes on."""
        return tuple(life.says(on) for life in self.lives if life.state(on) != "alive")

    def conflicts_say(self) -> tuple[str, ...]:
        """What others say of its price, a sentence each."""
        return () if self.line is None else tuple(_says(o, self.line) for o in self.price_conflicts)

    @property
    def max_input_tokens(self) -> int | None:
        """Most tokens a prompt may have. None: not known."""
        return None if self.facts is None else self.facts.max_input_tokens


def _says(other: PriceLine, line: PriceLine) -> str:
    """What another list says, beside what counts."""
    return (
        f"{other.source} ({other.id}) says ${other.input_usd_per_1m} in, "
        f"${other.output_usd_per_1m} out; what counts is {line.id}: "
        f"${line.input_usd_per_1m} in, ${line.output_usd_per_1m} out"
    )


def facts_of(
    target: Target, price: str | None, prices: Prices, on: date, *, conflicts: bool = False
) -> TargetFacts:
    """Look one target up.

    Args:
        price: What the config says under `price`. None: the price is looked up by the model.
        conflicts: Also look for lists that disagree about its price, which loads the package
            `genai-prices`.
    """
    url = address(target)
    line = line_of(target, price, prices, on)
    named = price is not None and line is not None and line.model != "*" and not line.basis
    model = line.model if named and line is not None else target.model
    # What is asked at no address is no cloud's model, and the catalogue has to be read for none.
    facts = None if url is None else shipped().find(target.provider, model, url, on)
    return TargetFacts(
        target=target.name,
        model=model,
        line=line,
        price_conflicts=prices.others(line, on, url) if conflicts and line is not None else (),
        lives=tuple(_lives(target, model, facts, line)),
        facts=facts,
    )


def line_of(target: Target, price: str | None, prices: Prices, on: date) -> PriceLine | None:
    """The price line of a target that holds on a day; `price` as for `facts_of`."""
    return prices.find(target.provider, price or target.model, on, address(target))


def address(target: Target) -> str | None:
    """Where a target is asked. None: at no address of the web."""
    dialect = providers.dialect(target.provider)
    return target.base_url or (dialect.base_url if dialect is not None else None)


def _lives(
    target: Target, model: str, facts: ModelFacts | None, line: PriceLine | None
) -> list[Life]:
    """Of the service, by its dialect, and of the model, by the catalogue and the price line."""
    found = []
    provider = target.provider
    dialect = _dialect(target)
    if dialect is not None and dialect.retired is not None:
        end = End(on=date.fromisoformat(dialect.retired), source="the service itself")
        found.append(Life(what=_service(target), ends=(end,), successors=dialect.successors or ""))
    ends = list(facts.retires) if facts is not None else []
    if line is not None and line.retires is not None:
        ends.append(End(on=line.retires, source=line.source, checked=line.checked))
    if ends:
        in_order = tuple(sorted(ends, key=lambda end: end.on))
        successors = "" if facts is None else facts.successors
        what = f"model {model} of {provider}"
        found.append(Life(what=what, ends=in_order, successors=successors))
    return found


def _dialect(target: Target) -> Dialect | None:
    """As it is spoken to. A target that is wrong is complained of where it is built, not here."""
    try:
        return providers.dialect_of(target)
    except ConfigError:
        return providers.dialect(target.provider)


def _service(target: Target) -> str:
    """What it is that ends: the provider, or one of its addresses, shown without its query."""
    dialect = providers.dialect(target.provider)
    if target.base_url is None or (dialect is not None and dialect.retired is not None):
        return target.provider
    url = urlsplit(target.base_url)
    return f"{target.provider} at {url.hostname}{url.path}"
