"""The final answer of a text, and whether two answers say the same.

Compared is by kind: numbers by value, choices by letter, JSON by content, literals and code by what
is left without layout, long text by the share of word pairs in common.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from math import isfinite
from typing import Literal

from .figures import number, spelled

Kind = Literal["number", "choice", "json", "short", "long"]

ALIKE = 0.6
"""Two long texts that share so much of their word pairs say the same."""
_SHORT = 160
_FIELD = re.compile(r'"answer"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\n]*)')
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_LETTER = re.compile(r"(?:answer|choice|option)(?: is| would be)?:?\s*\**\(?([A-J])\)?(?![\w'])")
_MARKED = re.compile(r"####\s*(.+)")
_BARE_LETTER = re.compile(r"\(?([A-J])[).]?")
_BARE_NUMBER = re.compile(r"([-\u2212]?)\s*(?:[$€£]\s*)?(\d(?:[\d,.]*\d)?)\.?\s*(%?)")
_LAST_NUMBER = re.compile(r"[-\u2212]?\d(?:[\d,.]*\d)?")
_LAYOUT = re.compile(r"[\s'\"`]+")
_APART = ("'", "\u00a0", "\u2009", "\u202f")
"""Marks between thousands; a common space may as well stand between two numbers."""
_GROUP = re.compile(r"\d{3}(?!\d)")
_WORTH = re.compile(r"^[-.0]*[1-9]")
_WORD = re.compile(r"\w+")


def stated(text: str) -> list[str]:
    """Every final answer a text marks as one: an ``answer`` field of JSON, ``\\boxed{}``, "answer
    is (C)", ``####``. In order of those forms; empty when it marks none.
    """
    found = [piece.strip().strip('"').strip() for piece in _FIELD.findall(text)]
    found += _BOXED.findall(text)
    found += _MARKED.findall(text)
    return found or _LETTER.findall(text)


def final_answer(text: str) -> str | None:
    """What a draft answers in the end: its last marked answer, else its last number, else all of a
    text that is short. None: there is no telling.
    """
    marked = stated(text)
    if marked:
        return marked[-1] or None
    if len(text.strip()) <= _SHORT:
        return text.strip() or None
    figures = _LAST_NUMBER.findall(text[-_SHORT:])
    return figures[-1] if figures else None


def kind_of(answer: str) -> Kind:
    """What an answer is, as far as comparing goes."""
    text = answer.strip()
    if _BARE_NUMBER.fullmatch(text):
        return "number"
    if _BARE_LETTER.fullmatch(text):
        return "choice"
    if text[:1] == "{" and _even(text) is not None:
        return "json"
    return "short" if len(text) <= _SHORT else "long"


def canonical(answer: str) -> str:
    """One spelling for all answers that say the same; of a long text only its layout is evened."""
    text, kind = answer.strip(), kind_of(answer)
    if kind == "number":
        match = _BARE_NUMBER.fullmatch(text)
        value = number(match[2]) if match else None
        if match and value is not None:
            return f"{spelled(-value if match[1] else value)}{match[3]}"
    if kind == "choice":
        match = _BARE_LETTER.fullmatch(text)
        return match[1] if match else text
    if kind == "json":
        return _even(text) or text
    return _LAYOUT.sub(_gap, text).casefold()


def _gap(layout: re.Match[str]) -> str:
    """What is left of layout: nothing, but for what keeps two figures apart."""
    text, at = layout.string, layout.end()
    if not (text[max(0, layout.start() - 1)].isdigit() and text[at : at + 1].isdigit()):
        return ""
    thousands = layout[0] in _APART and _GROUP.match(text, at)
    return "" if thousands else layout[0].strip() or " "


def same(one: str, other: str) -> bool:
    """Whether two answers say the same thing."""
    if kind_of(one) == "long" and kind_of(other) == "long":
        return likeness(one, other) >= ALIKE
    return canonical(one) == canonical(other)


def likeness(one: str, other: str) -> float:
    """Share of word pairs that two texts have in common (Jaccard's index), 0 to 1."""
    first, second = _pairs(one), _pairs(other)
    together = len(first | second)
    if not together:
        return float(one.split() == other.split())
    return len(first & second) / together


def _pairs(text: str) -> set[tuple[str, str]]:
    words = _WORD.findall(text.casefold())
    return set(pairwise(words)) or {(word, "") for word in words}


def _even(text: str) -> str | None:
    """JSON in one spelling. None: it is none, or too deep to be read."""
    try:
        return json.dumps(json.loads(text, parse_float=_whole), sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _whole(text: str) -> int | float | str:
    """1e5 is 100000, and 0.30000000000000004 is 0.3. As it stands where no float holds it."""
    value = float(text)
    if not value or not isfinite(value):
        return text if value or _WORTH.search(text) else 0
    return int(value) if value.is_integer() else float(f"{value:.15g}")
