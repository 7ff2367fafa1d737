"""How likely an answer is good: a small fitted model as plain arrays, with how unsure it is.

Two readings of the same signals are blended: boosted trees and a line. A task it was fitted on (a
bucket) has its own part in both and its own offset, shrunk towards all. For any other task the
readings that know no task are taken, fitted so that each task was judged by the others, and the
answer carries the spread between tasks as a wider interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .arrays import FloatArray, IntArray, chance
from .logistic import Line
from .trees import Forest
from .words import Words

WORDS = "words.prior"
"""The signal that an estimator with `words` makes itself."""
_NINETY = 1.645
_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """Log-odds from a forest and a line: ``base + slope . (forest, line)``.

    Attributes:
        forest: None: the line alone (few rows).
        slope: Shape (2,); found on rows that neither reading had seen.
    """

    forest: Forest | None
    line: Line
    slope: FloatArray
    base: float

    def logit(self, rows: FloatArray) -> FloatArray:
        """Log-odds of each row."""
        return self.base + self.readings(rows) @ self.slope

    def readings(self, rows: FloatArray) -> FloatArray:
        """What each of the two says by itself. Shape (n, 2)."""
        line = self.line.logit(rows)
        return np.column_stack([line if self.forest is None else self.forest.logit(rows), line])


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How likely an answer is good.

    Attributes:
        probability: Of being good.
        low: Lower end of the 90 % interval: what a bar should be held against.
        high: Its upper end.
        bucket: The task it was judged as. None: none that the fit has seen, so `low` lies lower.
    """

    probability: float
    low: float
    high: float
    bucket: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """P(good) of an answer from its signals.

    Attributes:
        names: The signals, in the order of the rows.
        buckets: Tasks of the fit.
        known: Reads rows with one more column for each bucket, 0 or 1.
        offset: Shape (n_buckets,): log-odds added for a bucket.
        doubt: Same shape: standard error of that, in log-odds.
        general: Reads rows without buckets.
        spread: Standard deviation, in log-odds, of a task nobody has labelled.
        words: What makes the signal `WORDS` of a prompt. None: it is not used.
    """

    names: tuple[str, ...]
    buckets: tuple[str, ...]
    known: Blend
    offset: FloatArray
    doubt: FloatArray
    general: Blend
    spread: float
    words: Words | None = None

    def rows(
        self, signals: Sequence[Mapping[str, float]], prompts: Sequence[str] | None = None
    ) -> FloatArray:
        """Signals as an array; one that is missing is unknown. Shape (n, n_names)."""
        asked = self.names[:-1] if self.words else self.names
        made = to_rows(signals, asked)
        return made if self.words is None else self.with_words(made, prompts or [""] * len(made))

    def with_words(self, rows: FloatArray, prompts: Sequence[str]) -> FloatArray:
        """Rows of all signals but `WORDS`, which stands last, with it."""
        if self.words is None:
            return rows
        return np.column_stack([rows, self.words.read(list(prompts))])

    def logits(self, rows: FloatArray, buckets: Sequence[str | None]) -> FloatArray:
        """Log-odds of being good, before an unknown task's spread is allowed for."""
        place = self._places(buckets)
        found = np.empty(len(rows))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            at, some = place[part], rows[part]
            seen = at >= 0
            out = np.empty(len(some))
            if seen.any():
                wide = with_buckets(some[seen], at[seen], len(self.buckets))
                out[seen] = self.known.logit(wide) + self.offset[at[seen]]
            if not seen.all():
                out[~seen] = self.general.logit(some[~seen])
            found[part] = out
        return found

    def probabilities(self, rows: FloatArray, buckets: Sequence[str | None]) -> FloatArray:
        """P(good) of each row.

        An unknown task's chance is the mean over what its offset may be, so it lies nearer to one
        half (MacKay, Neural Computation 4, 1992: the logistic of a Gaussian, approximately).
        """
        logits = self.logits(rows, buckets)
        unseen = self._places(buckets) < 0
        damped = logits / np.sqrt(1 + np.pi * self.spread**2 / 8)
        return chance(np.where(unseen, damped, logits))

    def lows(self, rows: FloatArray, buckets: Sequence[str | None]) -> FloatArray:
        """`Estimate.low` of each row: what bars are held against."""
        place = self._places(buckets)
        wide = np.full(len(place), self.spread)
        wide[place >= 0] = self.doubt[place[place >= 0]]
        return chance(self.logits(rows, buckets) - _NINETY * wide)

    def estimate(
        self, signals: Mapping[str, float], bucket: str | None, prompt: str = ""
    ) -> Estimate:
        """One answer, with its interval."""
        rows = self.rows([signals], [prompt])
        logit = self.logits(rows, [bucket])
        place = int(self._places([bucket])[0])
        wide = _NINETY * (self.spread if place < 0 else float(self.doubt[place]))
        ends = chance(np.array([logit[0] - wide, logit[0] + wide]))
        return Estimate(
            probability=float(self.probabilities(rows, [bucket])[0]),
            low=float(ends[0]),
            high=float(ends[1]),
            bucket=None if place < 0 else bucket,
        )

    def because(
        self, signals: Mapping[str, float], bucket: str | None, most: int = 5
    ) -> list[tuple[str, float]]:
        """The signals that matter most here: by how much log-odds would change were each unknown.

        A positive figure speaks for the answer. Signals that stand for each other share what they
        say, so the figures don't add up to the whole.
        """
        row = self.rows([signals])
        places = np.flatnonzero(~np.isnan(row[0]))
        without = np.repeat(row, len(places) + 1, axis=0)
        without[np.arange(len(places)), places] = np.nan
        logits = self.logits(without, [bucket] * len(without))
        said = [
            (self.names[place], float(logits[-1] - logit))
            for place, logit in zip(places, logits, strict=False)
        ]
        return sorted(said, key=lambda pair: -abs(pair[1]))[:most]

    def without_bucket(self, bucket: str) -> Estimator:
        """The same, but for one task, whose answers it then judges as those of an unknown one."""
        names = tuple("" if name == bucket else name for name in self.buckets)
        return replace(self, buckets=names)

    def _places(self, buckets: Sequence[str | None]) -> IntArray:
        place = {name: at for at, name in enumerate(self.buckets) if name}
        return np.array([place.get(bucket or "", -1) for bucket in buckets], dtype=np.int64)


def to_rows(signals: Sequence[Mapping[str, float]], names: Sequence[str]) -> FloatArray:
    """Signals by name to an array; NaN for what is missing."""
    unknown = float("nan")
    made = [[row.get(name, unknown) for name in names] for row in signals]
    return np.array(made, dtype=np.float64).reshape(len(signals), len(names))


def with_buckets(rows: FloatArray, place: IntArray, buckets: int) -> FloatArray:
    """Rows with a column of 0 and 1 for each bucket behind them."""
    own = np.zeros((len(rows), buckets))
    own[np.arange(len(rows)), place] = 1.0
    return np.hstack([rows, own])
