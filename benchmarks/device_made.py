"""Questions that are made by rule, from a fixed seed: sums, products, order, numerals."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from device_set import How, Question

MOST = 120
"""Questions of one kind."""
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNDER_20 = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip

Draw = tuple[str, str, How, tuple[str, ...]]
"""Subject, question, how it is checked, what counts."""


def made() -> Iterator[Question]:
    """All kinds that are made by rule, each from a seed of its own; none is asked twice."""
    for kind, maker in _MAKERS.items():
        draw, seen = random.Random(kind), dict[str, Draw]()
        for _ in range(20 * MOST):
            said = maker(draw)
            if len(seen) < MOST:
                seen.setdefault(said[1], said)
        for number, (subject, asked, how, accepted) in enumerate(seen.values()):
            yield Question(
                id=f"{kind}-{number}", kind=kind, subject=subject, question=asked, how=how,
                accepted=accepted,
            )  # fmt: skip


def in_words(value: int) -> str:
    """A number from 0 to 999 in English words."""
    if value >= 100:
        rest = f" {in_words(value % 100)}" if value % 100 else ""
        return f"{_UNDER_20[value // 100]} hundred{rest}"
    if value < 20:
        return _UNDER_20[value]
    return _TENS[value // 10 - 2] + (f"-{_UNDER_20[value % 10]}" if value % 10 else "")


def _add(draw: random.Random) -> Draw:
    one, other = draw.randint(2, 12), draw.randint(2, 10)
    low, high = sorted((one, other))
    return f"{low}+{high}", f"How much is {one} + {other}?", "number", (str(one + other),)


def _multiply(draw: random.Random) -> Draw:
    one, other = draw.randint(2, 12), draw.randint(2, 12)
    low, high = sorted((one, other))
    return f"{low}*{high}", f"How much is {one} x {other}?", "number", (str(one * other),)


def _sort(draw: random.Random) -> Draw:
    values = draw.sample(range(2, 100), 3)
    said = tuple(map(str, sorted(values)))
    shown = ", ".join(map(str, values))
    return "<".join(said), f"Sort from smallest to largest: {shown}", "list", said


def _from_words(draw: random.Random) -> Draw:
    value = draw.randint(11, 199)
    asked = f"Write the number {in_words(value)} in digits."
    return f"words {value}", asked, "number", (str(value),)


_MAKERS: dict[str, Callable[[random.Random], Draw]] = {
    "addition": _add,
    "multiplication": _multiply,
    "sorting": _sort,
    "from words": _from_words,
}
