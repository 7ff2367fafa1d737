"""Numbers in a text, whatever language it is in, and the sums it states: right or wrong."""

from __future__ import annotations

import re

FIGURE = re.compile(r"(?:(?<![\w.)\]}%])[-\u2212])?\d(?:[\d,.]*\d)?(?:\s?%)?")
"""A number as it stands in a text. A sign is its own where nothing stands before that."""
_CHAIN = re.compile(rf"{FIGURE.pattern}(?:[ \t]*[/:^*×·÷\u2212\u2013-][ \t]*{FIGURE.pattern})*")
_STRESSED = re.compile(
    r"(?<![\w)\]*])(?<!\d )(\*{1,2})(?=[^\s*])([^*\n]+)(?<=\S)\1(?![\w(\[*]| \d)"
    r"|^[ \t]*+[*+][ \t]()"
)
"""Text in stars, and a first list's mark: no products."""
_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_])[-'/.\u2019:](?=[^\W\d_])")
_COMMAND = re.compile(
    r"\\(?!text|math|mbox|boxed|left|right|quad|qquad|approx|display|big|Big)[A-Za-z]{2,}|π"
)
_TIMES = re.compile(r"^\s*[xX]\s*$")
_STOP = re.compile(r"(?<!\s)[.!?]")
_NO_JOINER = re.compile(r"[\w\s,;()\[\]{}\"'`´\u2018-\u201f$€£¥?!\\]+")
_AROUND = frozenset("<>\u2264\u2265\u2260±√^/*×·÷+")
"""Signs that make another answer of a figure which they stand before or behind."""
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_UNIT = re.compile(r"(?<=[\d%])\s*/?\s*(?!x\b)[A-Za-z]+(?:[\s/][A-Za-z]+)?\s*(?=[-+*/=×÷])")
_SUM = re.compile(
    r"(?<![\w.)/*+=^-])(\d[\d,]*(?:\.\d*)?(?:\s*[-+*/x]\s*\d[\d,]*(?:\.\d*)?){1,8})\s*=\s*(-?\d[\d,]*(?:\.\d*)?)"
)
_PART = re.compile(r"[-+*/x]|\d[\d,]*(?:\.\d*)?")
_SIGNS = str.maketrans({"×": "*", "÷": "/", "$": None, "\\": None, "\u2212": "-"})
_LARGEST = 1e15
_READ = 20_000
"""Characters that are read: more than the longest draft of a device holds."""


def number(text: str) -> float | None:
    """One number as people write it: ``1,200``, ``1.5``, ``1,5``. None: it is none, or beyond 1e15.

    Args:
        text: Digits with points and commas between them, and nothing else.

    A group of three digits behind a mark reads as thousands, but for a single point: ``1.250`` is
    one and a quarter.
    """
    if "," not in text and text.count(".") < 2:
        return _held(float(text)) if text else None
    if _THOUSANDS.fullmatch(text) and (text.count(".") != 1 or "," in text):
        text = text.replace(",", "").replace(".", "")
    elif "," in text and "." not in text and text.count(",") == 1:
        text = text.replace(",", ".")
    else:
        text = text.replace(",", "")
    return None if text.count(".") > 1 else _held(float(text))


def _held(value: float) -> float | None:
    return value if value < _LARGEST else None


def spelled(value: float) -> str:
    """One spelling of a number: a whole one exactly, another to six digits, or to two behind the
    point where that is more. What adding tenths leaves is rounded away."""
    if value.is_integer():
        return str(int(value))
    return f"{value:.{max(6, len(str(int(abs(value)))) + 2)}g}"


def last_figure(text: str) -> str | None:
    """The last number of a text, with those it is joined to: the 3:2 of "a ratio of 3:2"."""
    found = _CHAIN.findall(text)
    return found[-1] if found else None


def joiners(text: str) -> list[str]:
    """The signs before the first figure of a text, between each two, and behind the last.

    Of those between figures all but commas, brackets, quotes and what ends a sentence: ``/`` and
    ``:`` and ``^`` make other answers of the same figures. Before and behind, those of sums.
    """
    plain = _COMMAND.sub("√", _BETWEEN_LETTERS.sub(" ", _STRESSED.sub(r"\2", text)))
    gaps = [_TIMES.sub("×", gap) for gap in FIGURE.split(plain)]
    found = [_NO_JOINER.sub("", _STOP.sub("", gap)) for gap in gaps]
    for end in {0, len(found) - 1}:
        found[end] = "".join(sign for sign in found[end] if sign in _AROUND)
    return found


def numbers(text: str) -> list[float]:
    """Every number of a text's first 20,000 characters, in order, without signs."""
    found = (number(piece) for piece in _NUMBER.findall(text[:_READ]))
    return [value for value in found if value is not None]


def sums(text: str) -> tuple[int, int]:
    """How many sums such as ``3 apples * 4 = 12`` a text states rightly, and how many wrongly.

    A unit between a number and a sign is passed over. What is rounded to within 1 % is right.
    """
    plain = _UNIT.sub(" ", text[:_READ].replace("\\times", "*").replace("\\cdot", "*"))
    right = wrong = 0
    for left, said in _SUM.findall(plain.translate(_SIGNS)):
        value, claimed = _value(_PART.findall(left)), number(said)
        if value is None or claimed is None:
            continue
        if abs(value - claimed) <= 0.011 * max(1.0, abs(claimed)):
            right += 1
        else:
            wrong += 1
    return right, wrong


def _value(parts: list[str]) -> float | None:
    """A chain of + - * / by the usual precedence."""
    total, sign = 0.0, 1.0
    product = number(parts[0])
    for operator, operand in zip(parts[1::2], parts[2::2], strict=False):
        other = number(operand)
        if product is None or other is None:
            return None
        if operator in "*x":
            product *= other
        elif operator == "/":
            if other == 0:
                return None
            product /= other
        else:
            total, product = total + sign * product, other
            sign = 1.0 if operator == "+" else -1.0
    return None if product is None else total + sign * product
