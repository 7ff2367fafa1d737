"""The shortest way to finish a number that has been begun. Pure.

In go the characters written so far and the bounds, out come the characters that are missing.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_REAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)?")
_MOST_MORE = 20  # digits that are tried before and after the point


class Bounds(Protocol):
    """As `form.Number`."""

    @property
    def low(self) -> Fraction: ...
    @property
    def high(self) -> Fraction: ...
    @property
    def whole(self) -> bool: ...
    @property
    def open_low(self) -> bool: ...
    @property
    def open_high(self) -> bool: ...


def longest_number(text: str, start: int, *, whole: bool) -> str:
    """The characters from `start` on that could belong to one number, as many as there are."""
    allowed = "-0123456789" if whole else "-.0123456789"
    end = start
    while end < len(text) and text[end] in allowed:
        end += 1
    return text[start:end]


def is_number(text: str, bounds: Bounds) -> bool:
    """Whether this is a whole number of the kind, within its bounds."""
    if not (_WHOLE if bounds.whole else _REAL).fullmatch(text):
        return False
    value = Fraction(text)
    above = value > bounds.low if bounds.open_low else value >= bounds.low
    below = value < bounds.high if bounds.open_high else value <= bounds.high
    return above and below


def spellings(value: float) -> tuple[str, ...]:
    """The ways a float may be written in JSON: Python's, other serializers', and without exponent.

    Which one a guide allows is the runtime's choice: elsewhere 1e-07 is 1e-7 or 0.0000001, and
    1.0 is 1.
    """
    said = json.dumps(value)
    mantissa, e, exponent = said.partition("e")
    found = [said, f"{mantissa}e{int(exponent)}" if e else said]
    plain = f"{Decimal(said):f}".removesuffix(".0")
    if "." in plain:
        found.append(plain)
    else:
        found.append(plain + ".0")
        if int(plain) == value:  # a whole number is compared to its last digit
            found.append(plain)
    return tuple(dict.fromkeys(found))


def shortest_tail(begun: str, bounds: Bounds) -> str | None:
    """What makes a number within the bounds of `begun`. None: nothing does."""
    if is_number(begun, bounds):
        return ""
    if not _BEGUN.fullmatch(begun):  # such as 01
        return None
    if begun == "":
        ways = [tail for sign in ("", "-") if (tail := _signed(sign, bounds)) is not None]
        return min(ways, key=len, default=None)
    tail = _signed(begun, bounds)
    return None if tail is None else tail[len(begun) :]


def _signed(begun: str, bounds: Bounds) -> str | None:
    """The shortest whole text that begins so; with "" only those without a minus."""
    if begun.startswith("-"):
        digits = _unsigned(
            begun[1:], -bounds.high, -bounds.low, bounds.open_high, bounds.open_low, bounds.whole
        )
        return None if digits is None else "-" + digits
    return _unsigned(
        begun, bounds.low, bounds.high, bounds.open_low, bounds.open_high, bounds.whole
    )


def _unsigned(
    begun: str, low: Fraction, high: Fraction, open_low: bool, open_high: bool, whole: bool
) -> str | None:
    """The same for a number without its sign."""
    if begun[:1] == "0" and begun[1:2].isdigit():
        return None
    point = "." in begun
    written = len(begun.partition(".")[2])
    if begun in ("", "."):
        blocks: list[tuple[Fraction, Fraction | None]] = [(Fraction(0), None)] if not begun else []
    elif point or begun == "0":
        first = Fraction(begun.rstrip(".") or "0")
        blocks = [(first, first + Fraction(1, 10**written))]
    else:
        blocks = [
            (Fraction(int(begun) * 10**more), Fraction((int(begun) + 1) * 10**more))
            for more in range(_MOST_MORE)
        ]
    fewest = max(written, 1) if point else 0
    for places in range(fewest, 1 if whole else fewest + _MOST_MORE):
        for first, end in blocks:
            least = max(low, first)
            scaled = math.ceil(least * 10**places)
            if open_low and Fraction(scaled, 10**places) == low:
                scaled += 1
            value = Fraction(scaled, 10**places)
            inside = value < high if open_high else value <= high
            if inside and (end is None or value < end):
                return _written(scaled, places)
    return None


def _written(scaled: int, places: int) -> str:
    digits = str(scaled).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits
