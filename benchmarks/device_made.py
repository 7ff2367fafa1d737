"""Questions that are made by rule, from a fixed seed: sums, numerals, units, calendar, letters."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

from device_set import How, Question

MOST = 120
"""Questions of one kind."""
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_UNITS = (
    ("centimetres", "metre", "metres", 100),
    ("millimetres", "centimetre", "centimetres", 10),
    ("metres", "kilometre", "kilometres", 1000),
    ("grams", "kilogram", "kilograms", 1000),
    ("millilitres", "litre", "litres", 1000),
    ("seconds", "minute", "minutes", 60),
    ("minutes", "hour", "hours", 60),
    ("hours", "day", "days", 24),
    ("days", "week", "weeks", 7),
    ("months", "year", "years", 12),
    ("years", "decade", "decades", 10),
    ("years", "century", "centuries", 100),
    ("inches", "foot", "feet", 12),
    ("feet", "yard", "yards", 3),
    ("ounces", "pound", "pounds", 16),
    ("pairs of eggs", "dozen eggs", "dozen eggs", 6),
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_UNDER_20 = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
    (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
_PEOPLE = "Ana Ben Carla David Emma Felix Greta Hugo Ines Jonas Kira Leo Mara Nils Olga Paul".split()
_GOODS = "apples books coins stamps marbles cards shells pencils stickers plums".split()


def made() -> Iterator[Question]:
    """All kinds that are made by rule, each from a seed of its own, subjects shuffled."""
    for kind, maker in _MAKERS.items():
        yield from _distinct(kind, maker)


def roman(value: int) -> str:
    """A number from 1 to 3999 in Roman numerals."""
    said = ""
    for size, letters in _ROMAN:
        said += letters * (value // size)
        value %= size
    return said


def in_words(value: int) -> str:
    """A number from 0 to 999 in English words."""
    if value >= 100:
        rest = f" {in_words(value % 100)}" if value % 100 else ""
        return f"{_UNDER_20[value // 100]} hundred{rest}"
    if value < 20:
        return _UNDER_20[value]
    return _TENS[value // 10 - 2] + (f"-{_UNDER_20[value % 10]}" if value % 10 else "")


Draw = tuple[str, str, How, tuple[str, ...], tuple[str, ...]]
"""Subject, question, how it is checked, what counts, rivals."""


def _distinct(kind: str, maker: Callable[[random.Random], Draw]) -> Iterator[Question]:
    draw, seen = random.Random(kind), set[str]()
    number = count()
    for _ in range(20 * MOST):
        subject, asked, how, accepted, rivals = maker(draw)
        if asked in seen or len(seen) == MOST:
            continue
        seen.add(asked)
        yield Question(
            id=f"{kind}-{next(number)}", kind=kind, subject=subject, question=asked, how=how,
            accepted=accepted, rivals=rivals,
        )  # fmt: skip


def _number(subject: str, asked: str, value: int | float) -> Draw:
    return subject, asked, "number", (f"{value:g}",), ()


def _add(draw: random.Random) -> Draw:
    one, other = draw.randint(2, 25), draw.randint(2, 12)
    low, high = sorted((one, other))
    return _number(f"{low}+{high}", f"How much is {one} + {other}?", one + other)


def _subtract(draw: random.Random) -> Draw:
    one, other = draw.randint(7, 20), draw.randint(1, 6)
    return _number(f"{one}-{other}", f"How much is {one} - {other}?", one - other)


def _multiply(draw: random.Random) -> Draw:
    one, other = draw.randint(2, 12), draw.randint(2, 12)
    low, high = sorted((one, other))
    return _number(f"{low}*{high}", f"How much is {one} x {other}?", one * other)


def _story(draw: random.Random) -> Draw:
    who, what = draw.choice(_PEOPLE), draw.choice(_GOODS)
    one, other = draw.randint(4, 12), draw.randint(1, 3)
    if draw.random() < 0.5:
        then, value = f"finds {other} more", one + other
    else:
        then, value = f"gives {other} away", one - other
    asked = f"{who} has {one} {what} and {then}. How many {what} does {who} have now?"
    return _number(f"{one}~{other}", asked, value)


def _next(draw: random.Random) -> Draw:
    value, after = draw.randint(11, 200), draw.random() < 0.5
    asked = f"Which number comes right {'after' if after else 'before'} {value}?"
    return _number(f"beside {value}", asked, value + (1 if after else -1))


def _larger(draw: random.Random) -> Draw:
    one = draw.randint(100, 9999)
    other = one + draw.choice((-1, 1)) * draw.randint(1, one // 3)
    high, low = max(one, other), min(one, other)
    asked = f"Which number is larger, {one} or {other}?"
    return f"{low}<{high}", asked, "choice", (str(high),), (str(low),)


def _sort(draw: random.Random) -> Draw:
    values = draw.sample(range(2, 100), 3)
    said = tuple(map(str, sorted(values)))
    shown = ", ".join(map(str, values))
    return "<".join(said), f"Sort from smallest to largest: {shown}", "list", said, ()


def _from_roman(draw: random.Random) -> Draw:
    value = draw.randint(3, 150)
    return _number(f"roman {value}", f"Which number is {roman(value)} in Roman numerals?", value)


def _to_roman(draw: random.Random) -> Draw:
    value = draw.randint(3, 150)
    asked = f"How is {value} written in Roman numerals?"
    return f"roman {value}", asked, "letters", (roman(value),), ()


def _from_words(draw: random.Random) -> Draw:
    value = draw.randint(11, 199)
    asked = f"Write the number {in_words(value)} in digits."
    return _number(f"words {value}", asked, value)


def _to_words(draw: random.Random) -> Draw:
    value = draw.randint(11, 199)
    said = in_words(value)
    spoken = {said, said.replace("-", " "), said.replace("hundred ", "hundred and ")}
    spoken.add(said.replace("hundred ", "hundred and ").replace("-", " "))
    asked = f"Write the number {value} in words."
    return f"words {value}", asked, "words", tuple(sorted(spoken)), ()


def _units(draw: random.Random) -> Draw:
    small, one, many, size = draw.choice(_UNITS)
    times = draw.randint(1, 12)
    large = f"{times} {one if times == 1 else many}"
    asked = f"How many {small} are there in {large}?"
    return _number(f"{small} {one} {times}", asked, times * size)


def _weekday(draw: random.Random) -> Draw:
    start, step = draw.randrange(7), draw.randint(1, 11)
    said = _DAYS[(start + step) % 7]
    later = f"{step} days after" if step > 1 else "one day after"
    asked = f"Which day of the week is {later} {_DAYS[start]}?"
    return f"{_DAYS[start]}+{step % 7}", asked, "words", (said,), ()


def _month(draw: random.Random) -> Draw:
    start, step = draw.randrange(12), draw.randint(1, 11)
    said = _MONTHS[(start + step) % 12]
    later = f"{step} months after" if step > 1 else "one month after"
    asked = f"Which month is {later} {_MONTHS[start]}?"
    return f"{_MONTHS[start]}+{step}", asked, "words", (said,), ()


def _years(draw: random.Random) -> Draw:
    first = draw.randint(1700, 1990)
    last = first + draw.randint(3, 60)
    asked = f"How many years lie between {first} and {last}?"
    return _number(f"{first}..{last}", asked, last - first)


def _clock(draw: random.Random) -> Draw:
    hour, later = draw.randint(1, 12), draw.randint(2, 11)
    then = (hour + later - 1) % 12 + 1
    asked = f"A clock shows {hour} o'clock. Which hour does it show {later} hours later?"
    said = (str(then), str(then + 12)) if hour + later > 12 else (str(then),)
    return f"{hour}h+{later}", asked, "number", said, ()


_MAKERS: dict[str, Callable[[random.Random], Draw]] = {
    "addition": _add,
    "subtraction": _subtract,
    "multiplication": _multiply,
    "story": _story,
    "neighbour number": _next,
    "larger number": _larger,
    "sorting": _sort,
    "from roman": _from_roman,
    "to roman": _to_roman,
    "from words": _from_words,
    "to words": _to_words,
    "units": _units,
    "weekday": _weekday,
    "month": _month,
    "years between": _years,
    "clock": _clock,
}
