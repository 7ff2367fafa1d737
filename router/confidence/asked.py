"""What a prompt says, before any model has run, about how hard it is. Numbers in no language.

Lengths are in English characters: a text in another language or script is first divided by what the
same text takes there, so that one question gets one figure in every language.
"""

from __future__ import annotations

import math
import re

from ..signals.script import script_of
from .figures import numbers

_TAKES = {
    "bn": 0.993, "de": 1.121, "es": 1.052, "fr": 1.094, "ja": 0.466, "ru": 1.015,
    "sw": 1.103, "te": 1.096, "th": 0.885, "zh": 0.355,
}  # fmt: skip
"""Characters of 100 questions in a language over those of the English originals (MGSM, geometric
mean)."""
_SCRIPT_TAKES = {"han": 0.355, "kana": 0.466, "hangul": 0.5, "thai": 0.885}
_OPTION = re.compile(r"^\(?([A-J])[.):] (.+)$", re.MULTILINE)
_FRACTION = re.compile(r"\d/\d")
_DECIMAL = re.compile(r"\d[.,]\d{1,2}(?!\d)")
_CODE = re.compile(r"^\s*(?:def |class |import |return |assert |#include|function |const )", re.M)
_LOOP = re.compile(r"\b(?:for|while)\b")
_BRANCH = re.compile(r"\b(?:if|elif|else)\b")
_METHOD = re.compile(r"\.\w+\(")
_CALLED = re.compile(r"\w\((.*)\)")

ASKED = (
    "asked.length", "asked.numbers", "asked.largest", "asked.decimals", "asked.percents",
    "asked.money", "asked.fractions", "asked.latex", "asked.options", "asked.option_length",
    "asked.option_numbers", "asked.code_length", "asked.loops", "asked.branches", "asked.methods",
    "asked.indexing", "asked.arguments", "asked.argument_letters",
)  # fmt: skip


def options_of(prompt: str) -> dict[str, str]:
    """The choices a prompt offers, by letter."""
    return dict(_OPTION.findall(prompt))


def english_length(text: str, language: str | None = None) -> float:
    """Characters the text would have in English, about.

    Args:
        language: ISO 639-1. None, or one that was never measured: by script.
    """
    takes = _TAKES.get(language or "")
    if takes is None:
        takes = 1.0 if text.isascii() else _SCRIPT_TAKES.get(script_of(text), 1.0)
    return len(text) / takes


def asked_features(prompt: str, language: str | None = None) -> dict[str, float]:
    """The `ASKED` figures of a prompt; NaN where there is nothing to measure."""
    figures = numbers(prompt)
    options = options_of(prompt)
    amounts = sum(any(letter.isdigit() for letter in text) for text in options.values())
    code = len(_CODE.findall(prompt))
    last = prompt.rstrip().rsplit("\n", 2)[-2:] if code else []
    call = max(
        (_CALLED.findall(line) or [""] for line in last), key=lambda x: len(x[0]), default=[]
    )
    inside = call[0] if call else ""
    unknown = math.nan
    return {
        "asked.length": math.log1p(english_length(prompt, language)),
        "asked.numbers": float(len(set(figures) - {1.0})),
        "asked.largest": math.log1p(max(figures, default=0.0)),
        "asked.decimals": float(len(_DECIMAL.findall(prompt))),
        "asked.percents": float(prompt.count("%") + prompt.count("％")),
        "asked.money": float(sum(prompt.count(sign) for sign in "$€£¥")),
        "asked.fractions": float(len(_FRACTION.findall(prompt))),
        "asked.latex": math.log1p(prompt.count("\\")),
        "asked.options": float(len(options)),
        "asked.option_length": (
            math.log1p(sum(map(len, options.values())) / len(options)) if options else unknown
        ),
        "asked.option_numbers": amounts / len(options) if options else unknown,
        "asked.code_length": math.log1p(len(prompt)) if code else unknown,
        "asked.loops": float(len(_LOOP.findall(prompt))) if code else unknown,
        "asked.branches": float(len(_BRANCH.findall(prompt))) if code else unknown,
        "asked.methods": float(len(_METHOD.findall(prompt))) if code else unknown,
        "asked.indexing": float(prompt.count("[")) if code else unknown,
        "asked.arguments": math.log1p(len(inside)) if inside else unknown,
        "asked.argument_letters": float(len(set(inside))) if inside else unknown,
    }
