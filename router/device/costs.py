"""What a step of the model costs on this machine: seconds of a chunk that is read, or of a token.

In go steps as they were measured, out come seconds for steps to come. Pure. Two lines are fitted,
one for reading and one for writing, with weights that forget; over both lies one factor that
follows the machine within seconds, as it gets hot or busy. Only steps are measured, never a
request's wait, so a queue is in no cost and can't be counted twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

READ_KEPT = 0.985
"""What a chunk's weight becomes with each later one: half after 46."""
WRITE_KEPT = 0.997
"""Likewise for a token: half after 230."""
FOLLOW_S = 5.0
"""Seconds of work after which the factor has followed a change by 63 %."""
FACTOR_LEAST, FACTOR_MOST = 0.2, 8.0
SETTLE_S = 200.0
"""Seconds of work in which 63 % of a factor that lasts goes over into the lines."""
STALL = 4.0
"""A step that took more than so many times what it should counts as so many times: one pause of
the whole machine must not bend the lines."""
SOLVED_EVERY = 8
"""Steps after which the coefficients are worked out anew, once there are some; it costs 0.1 ms."""
LEAST_STEPS = 4
"""Steps of a kind before anything is said of it."""

Row = tuple[float, float, float]


@dataclass(slots=True)
class Fit:
    """Least squares of three coefficients, none below zero, that forgets.

    Attributes:
        steps: Seen so far.
        squares: Sums of products of the features, as a 3 by 3 matrix.
        products: Sums of features times the measured.
    """

    steps: int = 0
    squares: list[list[float]] = field(default_factory=lambda: [[0.0] * 3 for _ in range(3)])
    products: list[float] = field(default_factory=lambda: [0.0] * 3)
    solved: Row | None = None

    def saw(self, features: Row, measured: float, kept: float) -> None:
        """Add a measurement; all before weigh `kept` times what they did."""
        for i in range(3):
            row = self.squares[i]
            for j in range(3):
                row[j] = kept * row[j] + features[i] * features[j]
            self.products[i] = kept * self.products[i] + features[i] * measured
        self.steps += 1
        if self.steps < 4 * SOLVED_EVERY or self.steps % SOLVED_EVERY == 0:
            self.solved = None

    def coefficients(self) -> Row | None:
        """The three. None: too little was seen."""
        if self.steps < LEAST_STEPS:
            return None
        if self.solved is None:
            self.solved = _not_negative(self.squares, self.products)
        return self.solved


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What steps cost now.

    Attributes:
        reading: Seconds of a chunk: for itself, for each token, and for each token and each token
            before it. None: not known yet.
        writing: Seconds of a token: for itself, for each token before it, and what all that are
            written in one round share. None: not known yet.
        factor: How much slower than usual the machine is just now.
        chunk: Tokens that are read in one step when there is enough to read.
    """

    reading: Row | None = None
    writing: Row | None = None
    factor: float = 1.0
    chunk: float = 64.0

    def read_s(self, tokens: float, before: float, steps: float = 1.0) -> float | None:
        """Seconds to read `tokens` in so many chunks. None: unknown."""
        if self.reading is None:
            return None
        fixed, each, further = self.reading
        return self.factor * (steps * fixed + tokens * (each + further * (before + tokens / 2)))

    def token_s(self, before: float, writers: int = 1) -> float | None:
        """Seconds of one job's token in a round of so many `writers`. None: unknown."""
        if self.writing is None:
            return None
        each, further, shared = self.writing
        return self.factor * (each + further * before + shared / max(1, writers))


@dataclass(slots=True)
class Costs:
    """Learns rates from steps. The attributes are as of `Rates`."""

    reading: Fit = field(default_factory=Fit)
    writing: Fit = field(default_factory=Fit)
    factor: float = 1.0
    chunk: float = 64.0

    def rates(self) -> Rates:
        """What steps cost now."""
        return Rates(
            reading=self.reading.coefficients(),
            writing=self.writing.coefficients(),
            factor=self.factor,
            chunk=self.chunk,
        )

    def read(self, tokens: int, before: int, seconds: float, *, last: bool) -> None:
        """A chunk of a prompt was read.

        Args:
            before: Tokens that were in the context already.
            last: It was the prompt's last, and so may have been smaller than chunks are.
        """
        if tokens < 1:
            return
        seconds = self._follow(self.rates().read_s(tokens, before), seconds)
        # By token, so that the error counts as a share and long chunks don't decide alone.
        features = (1 / tokens, 1.0, before + tokens / 2)
        self.reading.saw(features, seconds / tokens, READ_KEPT)
        if not last:
            self.chunk += 0.3 * (tokens - self.chunk)

    def wrote(self, before: int, writers: int, seconds: float) -> None:
        """A job's token after the first was written.

        Args:
            before: Tokens in its context.
            writers: Jobs that wrote in the same round.
            seconds: Its own; of a step that writes for several, its part.
        """
        seconds = self._follow(self.rates().token_s(before, writers), seconds)
        self.writing.saw((1.0, float(before), 1 / max(1, writers)), seconds, WRITE_KEPT)

    def _follow(self, expected: float | None, seconds: float) -> float:
        """Learn how quick the machine is now; give the seconds the lines are to learn from."""
        if expected is None or expected <= 0:
            return seconds / self.factor
        seconds = min(seconds, STALL * expected)
        share = 1 - math.exp(-seconds / FOLLOW_S)
        factor = self.factor * (1 + share * (seconds / expected - 1))
        kept = math.exp(-seconds / SETTLE_S)
        self.factor = min(FACTOR_MOST, max(FACTOR_LEAST, factor)) ** kept
        return seconds / self.factor


def _not_negative(squares: Sequence[Sequence[float]], products: Sequence[float]) -> Row:
    """The best coefficients of at least zero: of the eight ways to leave some out, the one that is
    allowed and explains most. A feature that never varied is left out by its pivot."""
    best: Row = (0.0, 0.0, 0.0)
    most = 0.0
    for size in (1, 2, 3):
        for used in itertools.combinations(range(3), size):
            found = _solve(
                [[squares[i][j] for j in used] for i in used], [products[i] for i in used]
            )
            if found is None or min(found) < 0:
                continue
            explained = sum(x * products[i] for x, i in zip(found, used, strict=True))
            if explained > most * (1 + 1e-9):
                most = explained
                whole = [0.0, 0.0, 0.0]
                for x, i in zip(found, used, strict=True):
                    whole[i] = x
                best = (whole[0], whole[1], whole[2])
    return best


def _solve(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Gauss with the diagonal as pivots, which are positive here. None: nearly singular."""
    size = len(right)
    for i in range(size):
        whole = matrix[i][i]
        for k in range(i):
            share = matrix[i][k] / matrix[k][k]
            for j in range(k, size):
                matrix[i][j] -= share * matrix[k][j]
            right[i] -= share * right[k]
        if matrix[i][i] <= 1e-9 * whole or whole <= 0:
            return None
    for i in reversed(range(size)):
        for j in range(i + 1, size):
            right[i] -= matrix[i][j] * right[j]
        right[i] /= matrix[i][i]
    return right
