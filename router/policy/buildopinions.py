"""The `opinions` part of a parsed policy becomes rules; what is wrong in it has its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..document import Place
from ..errors import PolicyError
from .document import OpinionsPart
from .opinions import Opinions


class Builder(Protocol):
    """What is needed of `build`: it checks names, and says where something is wrong."""

    def tiers(self, names: list[str], place: Place) -> list[str]: ...

    def fail(self, message: str, place: Place, hint: str | None = None) -> PolicyError: ...


def build_opinions(builder: Builder, parts: Sequence[OpinionsPart]) -> tuple[Opinions, ...]:
    """The rules, at most one for a tier.

    Raises:
        PolicyError: a tier has two, one asks for nothing, or has a temperature and no samples.
    """
    found: list[Opinions] = []
    for i, part in enumerate(parts):
        place: Place = ("opinions", i)
        on = frozenset(builder.tiers(part.on, (*place, "on")))
        for n, tier in enumerate(part.on):
            if any(tier in other.on for other in found):
                raise builder.fail(f"tier {tier} has opinions already", (*place, "on", n))
        if not (part.samples or part.second or part.p_true):
            raise builder.fail("asks for nothing", place, "set samples, second or p_true")
        if "temperature" in part.model_fields_set and not part.samples:
            raise builder.fail("is of samples, and there are none", (*place, "temperature"))
        found.append(
            Opinions(
                on=on,
                samples=part.samples,
                temperature=part.temperature,
                second=part.second,
                p_true=part.p_true,
                max_s=part.max_s,
            )
        )
    return tuple(found)
