"""The price file's shape: parses, complains with file, line and field, turns into price lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..document import Document, Place, read_yaml, validate
from ..errors import ConfigError
from .pricing import PriceLine, PriceTier

_DOLLARS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _dollars(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**7:
        return Decimal(value)
    if isinstance(value, str) and _DOLLARS.fullmatch(value):
        return Decimal(value)
    raise ValueError(
        f"{value!r} is not a price: write dollars per million tokens in quotes, with at most six "
        'decimals, such as "0.15"'
    )


def _day(value: Any) -> Any:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"{value!r} is not a day: write it as 2026-10-19")


Dollars = Annotated[Decimal, BeforeValidator(_dollars)]
Day = Annotated[date, BeforeValidator(_day)]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class _Tier(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    above_input_tokens: Annotated[int, Field(ge=1, le=100_000_000)]
    input_usd_per_1m: Dollars
    cached_input_usd_per_1m: Dollars | None = None
    cache_write_input_usd_per_1m: Dollars | None = None
    output_usd_per_1m: Dollars


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    id: Word
    provider: Word
    host: Word | None = None
    model: Word
    input_usd_per_1m: Dollars
    cached_input_usd_per_1m: Dollars | None = None
    cache_write_input_usd_per_1m: Dollars | None = None
    output_usd_per_1m: Dollars
    tiers: list[_Tier] = []
    source: Word
    checked: Day
    valid_from: Day
    retires: Day | None = None
    basis: Word | None = None

    def line(self) -> PriceLine:
        """The value that it stands for."""
        tiers = tuple(PriceTier(**dict(tier)) for tier in self.tiers)
        return PriceLine(**(dict(self) | {"tiers": tiers}))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    prices: list[_Line]


def read_prices(path: Path, *, known: bool = False) -> tuple[PriceLine, ...]:
    """The lines of a price file, in its order.

    Args:
        known: It comes with this version, wherever that keeps it.

    Raises:
        ConfigError with file, line and field: the file can't be read, a field is missing, unknown
            or malformed, an id is there twice, two lines of a model begin on one day, an id is the
            name of a model, a zero price has no basis or a paid one has, or tiers are out of order.
    """
    document = read_yaml(path, known=known)
    lines = [line.line() for line in validate(document, _File).prices]
    _check(document, lines)
    return tuple(lines)


def _check(document: Document, lines: Sequence[PriceLine]) -> None:
    ids: set[str] = set()
    days: dict[tuple[str, str | None, str, date], str] = {}
    models = {line.model.casefold() for line in lines}
    for index, line in enumerate(lines):
        place: Place = ("prices", index)
        if line.id in ids:
            raise document.error(ConfigError, f"{line.id!r} is there twice", (*place, "id"))
        if line.id.casefold() in models:
            raise document.error(
                ConfigError,
                f"{line.id!r} is the name of a model; an id has to be another word, because "
                "targets may name either",
                (*place, "id"),
            )
        ids.add(line.id)
        host = line.host and line.host.lower()
        key = (line.provider, host, line.model.casefold(), line.valid_from)
        if key in days:
            raise document.error(
                ConfigError,
                f"{days[key]!r} already prices this model from this day on",
                (*place, "valid_from"),
            )
        days[key] = line.id
        _check_basis(document, place, line)
        lengths = [tier.above_input_tokens for tier in line.tiers]
        if lengths != sorted(set(lengths)):
            raise document.error(
                ConfigError, "has to be in order, the shortest prompts first", (*place, "tiers")
            )


def _check_basis(document: Document, place: Place, line: PriceLine) -> None:
    if line.free and line.basis is None:
        raise document.error(
            ConfigError,
            "nothing is charged, and there is no basis for that",
            place,
            hint='say why, such as basis: "trial"; leave the line out when the price is not known',
        )
    if not line.free and line.basis is not None:
        raise document.error(ConfigError, "only a price of zero has a basis", (*place, "basis"))
