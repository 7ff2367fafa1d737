"""Every price list in the order in which they count, and where they disagree.

What a user declares wins over what firsthop ships, and that over what the package `genai-prices`
knows, which is read only when the others don't have the model, or when somebody wants to see all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from ..ledger.pricing import PriceBook, PriceLine, PriceTier
from .packaged import PREFIX, packaged


@dataclass(frozen=True, slots=True)
class Prices:
    """Price lists, to be asked by day. Immutable.

    Attributes:
        files: Where the first lists were read from, strongest first.
        books: The same lists, read.
    """

    files: tuple[Path, ...]
    books: tuple[PriceBook, ...]

    @classmethod
    def load(cls, declared: Path, shipped: Path) -> Prices:
        """Read the user's list, if it is not the shipped one, and the shipped one.

        Raises: ConfigError with file, line and field.
        """
        same = declared.resolve() == shipped.resolve()
        ours = _shipped(shipped)
        if same:
            return cls((shipped,), (ours,))
        return cls((declared, shipped), (PriceBook.load(declared), ours))

    def find(self, provider: str, name: str, on: date, url: str | None = None) -> PriceLine | None:
        """The line that holds on a day: of the first list that has one.

        Args:
            provider: Module in `router.providers`.
            name: A line's id, or a model's name; see `PriceBook.find` and `packaged`.
            url: Where it is asked; for a server that can be anybody's it tells whose prices hold.

        Returns: None when no list has one. The cost is then unknown, not zero.
        """
        if not name.startswith(PREFIX):
            for book in self.books:
                line = book.find(provider, name, on, url)
                if line is not None:
                    return line
        return packaged(provider, name, on, url)

    def others(self, line: PriceLine, on: date, url: str | None = None) -> tuple[PriceLine, ...]:
        """What weaker lists say of a line's model on that day, where they say something else."""
        if line.model == "*" or line.id.startswith(PREFIX):
            return ()
        found = [book.find(line.provider, line.model, on, url) for book in self.books]
        found.append(packaged(line.provider, line.model, on, url, any_vendor=True))
        differing: list[PriceLine] = []
        for other in found:
            if other is None or other.model == "*":
                continue
            if not any(same_price(other, one) for one in (line, *differing)):
                differing.append(other)
        return tuple(differing)


@lru_cache(maxsize=1)
def _shipped(path: Path) -> PriceBook:
    """The list that comes with this version: read once, for each policy is held against prices."""
    return PriceBook.load(path, known=True)


def same_price(one: PriceLine, other: PriceLine) -> bool:
    """Whether two lines ask the same of every call, as far as both of them say.

    Cached tokens and long prompts that one list says nothing of are no disagreement.
    """
    if one.tiers and other.tiers and _lengths(one) != _lengths(other):
        return False
    long = all(_same(a, b) for a, b in zip(one.tiers, other.tiers, strict=False))
    return long and _same(one, other)


def _lengths(line: PriceLine) -> list[int]:
    return [tier.above_input_tokens for tier in line.tiers]


def _same(one: PriceLine | PriceTier, other: PriceLine | PriceTier) -> bool:
    if (one.input_usd_per_1m, one.output_usd_per_1m) != (
        other.input_usd_per_1m,
        other.output_usd_per_1m,
    ):
        return False
    cached = (one.cached_input_usd_per_1m, other.cached_input_usd_per_1m)
    return None in cached or cached[0] == cached[1]
