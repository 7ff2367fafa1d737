"""Models of clouds as data: how much they take, what they can, when they end.

Comes in: `models.yaml` beside this file, read once. Goes out: the `ModelFacts` of a model at a
provider, or None: a model that is not in there is not known here, whatever it can.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from ..ledger.pricing import host_of
from ..types import Ability
from .life import End

SHIPPED = Path(__file__).with_name("models.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of one model at one provider.

    Attributes:
        provider: Module in `router.providers`.
        host: The host it is about, where a provider can be anybody's server. None: any host.
        model: As the provider calls it.
        max_input_tokens: Most tokens a prompt may have. None: not known.
        max_output_tokens: Most tokens an answer may have. None: not known.
        abilities: What it takes beside text. None: not known.
        source: Where the figures were read.
        checked: The day that source was last looked at.
        valid_from: First day the figures may be used for.
        retires: When it ends, each day by the source that names it.
        successors: What to use instead, in words. Empty: nothing is known.
    """

    provider: str
    model: str
    source: str
    checked: date
    valid_from: date
    host: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    abilities: frozenset[Ability] | None = None
    retires: tuple[End, ...] = ()
    successors: str = ""


class Catalogue:
    """Facts of models, to be looked up. Immutable."""

    __slots__ = ("_by_model", "models")

    def __init__(self, models: Iterable[ModelFacts]) -> None:
        """Index the models."""
        self.models = tuple(models)
        self._by_model: dict[tuple[str, str], list[ModelFacts]] = {}
        for facts in self.models:
            key = (facts.provider, facts.model.casefold())
            self._by_model.setdefault(key, []).append(facts)

    def find(self, provider: str, model: str, url: str | None, on: date) -> ModelFacts | None:
        """The facts of a model on a day.

        Args:
            provider: Module in `router.providers`.
            model: As the provider calls it, upper or lower case.
            url: Where it is asked; an entry that names a host counts for that host alone.

        Returns: Of several entries the latest that is valid by then. None: it is not known.
        """
        host = host_of(url)
        found = [
            facts
            for facts in self._by_model.get((provider, model.casefold()), [])
            if facts.host in (None, host) and facts.valid_from <= on
        ]
        return max(found, key=lambda facts: facts.valid_from) if found else None


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The models that this version knows."""
    from .models_file import read_models

    return Catalogue(read_models(SHIPPED))
