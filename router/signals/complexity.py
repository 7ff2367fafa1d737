"""How involved a request looks, from features that mean the same in every language.

A prior, not a judge of quality: what a prompt looks like hardly tells whether a small model gets it
right. It may predict time and the chance of escalation.
"""

from __future__ import annotations

import math
import re
import zlib
from typing import NamedTuple

from .reading import MOST_READ


class Complexity(NamedTuple):
    """The parts, each 0 to 1.

    Attributes:
        length: Logarithm of the characters, 1 from 4,000 on; one of an East Asian script counts
            for three.
        numbers: Numbers and operators, 1 from 16 on.
        structure: Fences, rows of tables, items of lists, quoted lines; 1 from 12 on.
        steps: Sentences, questions and items after the first, 1 from 12 on.
        variety: Size after compression over size before, each distinct character counted as a
            byte, so that no alphabet looks richer than another; one of an East Asian script as 1.7,
            which made translations of one text alike.
        history: Logarithm of the messages before the last, 1 from 31 on.
    """

    length: float
    numbers: float
    structure: float
    steps: float
    variety: float
    history: float

    @property
    def score(self) -> float:
        """Mean of the parts."""
        return math.fsum(self) / len(self)


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*|[-+*/=<>^×÷%√∑∫≤≥]")
_MARK = re.compile(r"^[ \t]{0,8}(?:`{3}|~{3}|\||>|[-*+•] |\d{1,3}[.)] )", re.MULTILINE)
_END = re.compile(r"[.!?。！？؟।]+(?=\s|$|[^\x00-\x7f])|\n\s*\n|^[ \t]{0,8}\d{1,3}[.)] ", re.M)
_HEADER = 8
"""Bytes zlib adds to anything, its checksum and its frame."""


def complexity(text: str, turns: int) -> Complexity:
    """The parts for the last user's message and the number of messages it came with.

    The message's first 16,000 characters are read.
    """
    text = text[:MOST_READ]
    return Complexity(
        length=_length(text),
        numbers=min(1.0, len(_NUMBER.findall(text)) / 16),
        structure=min(1.0, len(_MARK.findall(text)) / 12),
        steps=min(1.0, max(0, len(_END.findall(text)) - 1) / 12),
        variety=_variety(text),
        history=min(1.0, math.log2(max(1, turns)) / 5),
    )


_FIRST_DENSE = "\u2e80"
"""East Asian scripts begin here: a character says about as much as three letters."""


def _dense(text: str) -> int:
    return 0 if text.isascii() else sum(map(_FIRST_DENSE.__le__, text))


def _length(text: str) -> float:
    size = len(text) + 2 * _dense(text)
    return min(1.0, math.log1p(size / 40) / math.log1p(100))


def _variety(text: str) -> float:
    if not text:
        return 0.0
    codes = {letter: place % 256 for place, letter in enumerate(dict.fromkeys(text))}
    packed = zlib.compress(bytes(map(codes.__getitem__, text)), 1)
    return min(1.0, max(0, len(packed) - _HEADER) / (len(text) + 0.7 * _dense(text)))
