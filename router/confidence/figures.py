"""Numbers in a text, whatever language it is in, and the sums it states: right or wrong."""

from __future__ import annotations

import re

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
