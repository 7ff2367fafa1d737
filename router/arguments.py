"""What a caller passes in, held to type and range: values, or an error that names the place.

Python checks no types, and what is wrong must not show in the middle of a request.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from .document import nearest
from .errors import ConfigError
from .policy.document import dollars as amount
from .types import LABELS, Label

MOST = 2**63 - 1
"""What fits the wires: 64 bits with a sign."""


def label(given: Label) -> Label:
    """One of the labels."""
    if given not in LABELS:
        raise ConfigError(
            f"unknown label {given!r}", field="label", hint=nearest(str(given), LABELS)
        )
    return given


def one_of(field: str, given: str | None, known: Collection[str]) -> str | None:
    """One of the words known, or none."""
    if given is not None and given not in known:
        raise ConfigError(
            f"no {field} is called {given!r}", field=field, hint=nearest(str(given), known)
        )
    return given


def name(field: str, given: str | None) -> str | None:
    """A name or a path as text, or none."""
    return None if given is None else text(field, given)


def tags(given: Mapping[str, str] | None) -> dict[str, str]:
    """Text to text."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise wrong("tags", "has to be a mapping of text to text", given)
    return {text("tags", key): text(f"tags[{key!r}]", given[key]) for key in given}


def stops(given: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or several; none of them empty, as that would end every answer at once."""
    if not isinstance(given, str | Sequence) or isinstance(given, bytes):
        raise wrong("stop", "has to be text or a list of texts", given)
    found = (given,) if isinstance(given, str) else tuple(given)
    for one in found:
        if not text("stop", one):
            raise ConfigError("an empty text ends nothing", field="stop")
    return found


def whole(field: str, given: int | None, *, least: int = -MOST) -> int | None:
    """A whole number that every target can take, or none."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise wrong(field, "has to be a whole number", given)
    if not least <= given <= MOST:
        raise ConfigError(f"has to be at least {least} and at most {MOST}", field=field)
    return given


def number(
    field: str, given: float | None, *, zero: bool = True, most: float = sys.float_info.max
) -> float | None:
    """A finite number that isn't negative, or none; `zero`: whether it may be zero."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise wrong(field, "has to be a number", given)
    if not 0 <= given <= most or (given == 0 and not zero):
        least = "at least 0" if zero else "above 0"
        upper = "finite" if most == sys.float_info.max else f"at most {most:g}"
        raise ConfigError(f"has to be {least} and {upper}", field=field)
    return float(given)


def dollars(field: str, given: Decimal | str | None) -> Decimal | None:
    """An amount of dollars, exact; a float is taken as it is written."""
    try:
        return None if given is None else amount(str(given))
    except ValueError as exc:
        raise ConfigError(str(exc), field=field) from exc


def verdict(decision_id: str, good: bool | None, score: float | None, note: str | None) -> None:
    """Hold what a feedback says to its types: the ledger could not read it back otherwise."""
    text("decision_id", decision_id)
    if good is not None and not isinstance(good, bool):
        raise wrong("good", "has to be True or False", good)
    number("score", score, most=1)
    if note is not None:
        text("note", note)


def text(field: str, given: object) -> str:
    """Text that can be sent."""
    if not isinstance(given, str):
        raise wrong(field, "has to be text", given)
    try:
        given.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(
            "is not Unicode text: it has half of a surrogate pair, as undecoded bytes leave it",
            field=field,
        ) from exc
    return given


def wrong(field: str, wanted: str, given: object) -> ConfigError:
    """The error for an argument of a wrong type."""
    return ConfigError(f"{wanted}, not {type(given).__name__}", field=field)
