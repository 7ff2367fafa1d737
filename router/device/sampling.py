"""Which token is chosen from a row of logits, where that is more than the likeliest one.

In go the wishes of a job and one row after the other, out come scores whose largest names the
choice. Every wish is a change of the row: biases and penalties are added, temperature divides, what
lies outside `top_k`, `top_p` and `min_p` is set far below all else, and a draw is noise on top:
``argmax(logit - log(E))`` with E exponential is a draw from the softmax (the Gumbel-max trick). So
a grammar may still strike tokens out afterwards, and the draw is one from what it leaves, also
where it leaves only what was cut.

The order is that of Hugging Face's processors: penalties, temperature, top_k, top_p, min_p.
Penalties are OpenAI's: a token that the answer has `c` times loses ``c * frequency_penalty``, and
`presence_penalty` once c > 0. The prompt doesn't count.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Refused

FloatArray = npt.NDArray[np.float32]

OUTSIDE = 1e4
"""How far what was cut lies below. Finite: where a grammar leaves nothing else it is still chosen
from."""

_LEAST_TEMPERATURE = 1e-6
"""Below it the likeliest token wins by far more than any noise, and dividing would overflow."""

_SURELY_INSIDE = 1e-5  # of the likeliest token's probability: enough for nearly every `top_p`
_LEAST_NOISE = np.float32(1e-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are to be chosen.

    Attributes:
        temperature: None or below 1e-6: the likeliest token each time; the cuts then change
            nothing.
        top_p, top_k, min_p: As in `Request`. None: no such cut.
        frequency_penalty, presence_penalty: -2 to 2, in units of a logit.
        logit_bias: Token ids and what is added to their logits, -100 to 100.
        seed: Any integer; its low 64 bits count. None: different each time.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None

    def check(self) -> None:
        """Raise Refused for a number out of its range."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise Refused(f"{name} is {value}; it has to be from {low:g} to {high:g}")
        if self.top_p == 0:
            raise Refused("top_p is 0, which leaves no token; it has to be above 0")
        for token, bias in self.logit_bias:
            if not (-100 <= bias <= 100 and token >= 0):
                raise Refused(f"logit_bias[{token}] is {bias}; it has to be from -100 to 100")


_RANGES = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("top_k", 1, math.inf),
    ("min_p", 0, 1),
    ("frequency_penalty", -2, 2),
    ("presence_penalty", -2, 2),
)


class Sampler:
    """Lives for one answer.

    Args:
        guided: Whether tokens may be struck out of the scores afterwards. False saves the noise on
            those that were cut, which then are never chosen.

    Attributes:
        greedy: The likeliest token of the raw row is always the choice: there is nothing to do.
    """

    def __init__(self, wanted: Sampling, *, guided: bool = True) -> None:
        self._wanted = wanted
        # The caller of `top_k` 1 wants no draw; where the one is struck out, then the next likely.
        self._draws_cut = guided and wanted.top_k != 1
        self._frequency = wanted.frequency_penalty or 0.0
        self._presence = wanted.presence_penalty or 0.0
        self._bias_ids = np.array([token for token, _ in wanted.logit_bias], np.int64)
        self._biases = np.array([bias for _, bias in wanted.logit_bias], np.float32)
        self._counts: Counter[int] = Counter()
        self._draws = (wanted.temperature or 0.0) >= _LEAST_TEMPERATURE
        self.greedy = not (self._draws or self._frequency or self._presence or wanted.logit_bias)
        if self._draws:
            seed = None if wanted.seed is None else wanted.seed % 2**64
            self._random = np.random.default_rng(seed)

    def took(self, token: int) -> None:
        """This token was added to the answer."""
        if self._frequency or self._presence:
            self._counts[token] += 1

    def scores(self, row: FloatArray) -> FloatArray:
        """A new row; the index of its largest number is the token to choose.

        Args:
            row: Raw logits, shape (n_vocab,).

        Raises:
            Refused: A bias is for a token that this model doesn't have.
        """
        scores = row.copy()
        self._lean(scores)
        if not self._draws:
            return scores
        scores /= np.float32(self._wanted.temperature)
        kept = _kept(scores, self._wanted)
        if kept is None:
            scores -= self._noise(scores.size)
            return scores
        drawn = scores[kept] - self._noise(kept.size)
        if self._draws_cut:
            scores -= self._noise(scores.size)
        scores -= np.float32(OUTSIDE)
        scores[kept] = drawn
        return scores

    def _noise(self, size: int) -> FloatArray:
        """What makes a draw of scores when it is taken off them."""
        noise = self._random.standard_exponential(size, dtype=np.float32)
        np.log(np.maximum(noise, _LEAST_NOISE), out=noise)
        return noise

    def _lean(self, scores: FloatArray) -> None:
        """Add biases and penalties."""
        if self._bias_ids.size:
            if int(self._bias_ids.max()) >= scores.size:
                raise Refused(
                    f"logit_bias names token {self._bias_ids.max()}; this model has {scores.size}"
                )
            np.add.at(scores, self._bias_ids, self._biases)
        if self._counts:
            ids = np.fromiter(self._counts.keys(), np.int64)
            counts = np.fromiter(self._counts.values(), np.float32)
            scores[ids] -= counts * np.float32(self._frequency) + np.float32(self._presence)


def _kept(scores: FloatArray, wanted: Sampling) -> npt.NDArray[np.int64] | None:
    """Ids of the tokens that may be drawn; None: all. Ties at an edge are all kept."""
    least = -math.inf
    top = float(scores.max())
    if wanted.top_k is not None and wanted.top_k < scores.size:
        least = float(np.partition(scores, -wanted.top_k)[-wanted.top_k])
    if wanted.top_p is not None and wanted.top_p < 1:
        least = max(least, _edge_of_mass(scores, top, least, wanted.top_p))
    if wanted.min_p:
        least = max(least, top + math.log(wanted.min_p))
    return None if least == -math.inf else np.flatnonzero(scores >= np.float32(least))


def _edge_of_mass(scores: FloatArray, top: float, least: float, share: float) -> float:
    """The score of the last token needed for `share` of the mass that lies at or above `least`."""
    weights = np.exp(scores - np.float32(top))
    if least > -math.inf:
        weights[scores < np.float32(least)] = 0.0
    wanted = share * float(weights.sum(dtype=np.float64))
    for floor in (_SURELY_INSIDE, 0.0):  # to sort the whole vocabulary takes milliseconds
        near = np.flatnonzero(weights > floor)
        order = near[np.argsort(-weights[near], kind="stable")]
        mass = np.cumsum(weights[order], dtype=np.float64)
        needed = int(np.searchsorted(mass, wanted))
        if needed < order.size:
            return float(scores[order[needed]])
    return least
