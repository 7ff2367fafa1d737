"""A prompt's words as evidence: hashed into a fixed number of places, read as one sum.

A prior about the kind of question, and no judge of an answer: words learnt on one kind of question
say nothing about another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt

from .arrays import FloatArray

_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A linear reading of hashed words.

    Attributes:
        weight: Shape (n_places,).
        base: What a text of none of the known words reads.
        pairs: Whether neighbouring words count as words too.
    """

    weight: FloatArray
    base: float
    pairs: bool

    def read(self, texts: list[str]) -> FloatArray:
        """One figure for each text."""
        found: FloatArray = self.base + hashed(texts, len(self.weight), self.pairs) @ self.weight
        return found


def hashed(texts: list[str], places: int, pairs: bool) -> npt.NDArray[np.float32]:
    """Which hashed words each text holds, scaled to length 1. Shape (n_texts, places)."""
    rows = np.zeros((len(texts), places), dtype=np.float32)
    for place, text in enumerate(texts):
        tokens = ["#" if token.isdigit() else token for token in _TOKEN.findall(text.casefold())]
        kinds = set(tokens)
        if pairs:
            kinds.update(f"{one} {two}" for one, two in pairwise(tokens))
        for kind in kinds:
            rows[place, crc32(kind.encode()) % places] += 1
        rows[place] /= max(1e-9, float(np.linalg.norm(rows[place])))
    return rows


def fit_words(
    rows: npt.NDArray[np.float32], target: FloatArray, ridge: float, pairs: bool
) -> Words:
    """Ridge least squares on hashed rows, in closed form.

    Args:
        rows: From `hashed`.
        target: Shape (n,), any scale.
        ridge: Penalty on a squared weight.
    """
    centre = rows.mean(axis=0)
    off = rows - centre
    inner = off.T @ off
    inner[np.diag_indices_from(inner)] += ridge
    mean = float(target.mean())
    weight = np.linalg.solve(inner, off.T @ (target - mean).astype(rows.dtype))
    return Words(weight=weight.astype(np.float64), base=mean - float(centre @ weight), pairs=pairs)
