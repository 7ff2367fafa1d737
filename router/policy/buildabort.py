"""The `abort` part of a parsed policy becomes bars; what is wrong in it is named with its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..document import Place
from ..errors import PolicyError
from ..signals.catalogue import find_signal
from .document import AbortPart, BarPart
from .predicates import Predicate, Test
from .rules import Abort, Bar

_OPS = ("gt", "gte", "lt", "lte")


class Builder(Protocol):
    """What is needed of `build`: it checks names, and says where something is wrong."""

    def tiers(self, names: list[str], place: Place) -> list[str]: ...

    def of_a_beginning(self, value: Any, place: Place) -> Predicate: ...

    def fail(self, message: str, place: Place, hint: str | None = None) -> PolicyError: ...


def build_aborts(builder: Builder, parts: Sequence[AbortPart]) -> tuple[Abort, ...]:
    """Bars by tier and length.

    Raises:
        PolicyError: a tier has two; lengths do not ascend; a bar is no single comparison of a
            number of the draft, asks for the whole draft, or is about another signal than the
            first.
    """
    found: list[Abort] = []
    for i, part in enumerate(parts):
        place: Place = ("abort", i)
        on = frozenset(builder.tiers(part.on, (*place, "on")))
        for n, tier in enumerate(part.on):
            if any(tier in other.on for other in found):
                raise builder.fail(f"tier {tier} has an abort already", (*place, "on", n))
        found.append(Abort(on, _bars(builder, part.bars, (*place, "bars"))))
    return tuple(found)


def _bars(builder: Builder, parts: Sequence[BarPart], place: Place) -> tuple[Bar, ...]:
    found: list[Bar] = []
    first: Test | None = None
    for n, part in enumerate(parts):
        spot: Place = (*place, n)
        if found and part.tokens <= found[-1].tokens:
            raise builder.fail(
                f"has to be more than {found[-1].tokens}, the bar before it",
                (*spot, "tokens"),
                "write the bars shortest length first",
            )
        test = _one_test(builder, part.when, (*spot, "when"))
        first = first or test
        if (test.signal, test.op) != (first.signal, first.op):
            raise builder.fail(
                f"has to ask {first.signal} {first.op}, like the first bar", (*spot, "when")
            )
        found.append(Bar(part.tokens, test))
    return tuple(found)


def _one_test(builder: Builder, value: Any, place: Place) -> Test:
    """A bar is one number to be found, so it is one comparison of one number."""
    found = builder.of_a_beginning(value, place)
    if isinstance(found, Test) and found.op in _OPS:
        signal = find_signal(found.signal)
        if signal is not None and signal.known == "draft":
            return found
    raise builder.fail(
        "has to be one comparison, by gt, gte, lt or lte, of a signal of the draft",
        place,
        "{draft.mean_logprob: {lt: -2.0}}",
    )
