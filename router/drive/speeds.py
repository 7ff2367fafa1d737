"""How quick each target has been: moving means of its calls, and a line through its first tokens.

In this process's memory only. Nothing is known of a target until one of its calls was seen, nor
when the last was long ago: a policy that leaves out a slow target would never hear that it has
become quick again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ..clock import Clock
from ..hops import Attempt

STALE_S = 600.0
"""Seconds after which what was seen of a target is no longer believed."""
KEPT = 0.9
"""What a call's weight becomes with each later one: the last ten calls hold 65 % of the weight, and
a target that changes is half believed after seven."""
LAST = 64
"""First tokens of which the 95th percentile is taken."""
LEAST = 20
"""First tokens before there is one: below, the 95th percentile is the slowest of all."""
LEAST_FITTED = 4
"""Calls before a line is drawn through them."""
LEAST_SPREAD_TOKENS = 16.0
"""Standard deviation of their prompts' lengths before that; a fifth of the mean if that is more."""


@dataclass(slots=True)
class Mean:
    """A mean that forgets. Exact over the first calls: the weights are normalised."""

    weight: float = 0.0
    value: float = 0.0

    def saw(self, value: float) -> None:
        self.weight = KEPT * self.weight + 1
        self.value += (value - self.value) / self.weight

    def known(self) -> float | None:
        """None: nothing was seen."""
        return self.value if self.weight else None


@dataclass(slots=True)
class Line:
    """Least squares of seconds over tokens that forgets as `Mean` does; never slopes down.

    Means and central moments are kept, not sums of squares, so that long prompts cost no digits.
    Source: Welford 1962, with weights as in West 1979.
    """

    count: int = 0
    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def saw(self, x: float, y: float) -> None:
        """Add a call.

        Args:
            x: Tokens.
            y: Seconds.
        """
        self.count += 1
        self.weight = KEPT * self.weight + 1
        from_x, from_y = x - self.x, y - self.y
        self.x += from_x / self.weight
        self.y += from_y / self.weight
        self.xx = KEPT * self.xx + from_x * (x - self.x)
        self.xy = KEPT * self.xy + from_x * (y - self.y)

    def at(self, x: float) -> float | None:
        """Seconds for `x` tokens. None: the calls seen are too few or too alike.

        Fixed part and part per token are the best that are both at least zero.
        """
        if self.count < LEAST_FITTED:
            return None
        if (self.xx / self.weight) ** 0.5 < max(LEAST_SPREAD_TOKENS, self.x / 5):
            return None
        slope = max(0.0, self.xy / self.xx)
        fixed = self.y - slope * self.x
        if fixed < 0:
            products = self.xy + self.weight * self.x * self.y
            fixed, slope = 0.0, products / (self.xx + self.weight * self.x**2)
        return fixed + slope * x


@dataclass(slots=True)
class Pace:
    """What was seen of one target, all in seconds; `at` on the clock, the last of it."""

    at: float = 0.0
    first: Mean = field(default_factory=Mean)
    by_tokens: Line = field(default_factory=Line)
    rest: Mean = field(default_factory=Mean)
    end: Mean = field(default_factory=Mean)
    firsts: deque[float] = field(default_factory=lambda: deque(maxlen=LAST))


class Speeds:
    """How long targets take, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    def saw(self, target: str, attempt: Attempt, *, overtaken: bool = False) -> None:
        """Learn from a call.

        Its first token counts if one came. Its end counts only if it ended well: a call that
        failed, was cancelled or was stopped by a filter says nothing of how long answers take.
        Prompt tokens read from a cache took no time, so they are left out of the line, which
        then speaks of prompts that are read anew.

        Args:
            overtaken: It was stopped because another was first. If it had said nothing by then,
                so long is the least its first token took, and counts as such among the slow ones;
                left out, each call that a hedge stopped would make the next hedge come sooner.
        """
        if overtaken and attempt.ttft_s is None:
            pace = self._known(target)
            if pace is not None:
                pace.firsts.append(attempt.total_s)
            return
        ended_well = attempt.error_kind is None and attempt.finish not in (
            "content_filter",
            "cancelled",
        )
        if attempt.ttft_s is None and not ended_well:
            return
        pace = self._known(target)
        if pace is None:
            pace = self._paces[target] = Pace()
        pace.at = self._clock.now()
        if attempt.ttft_s is not None:
            pace.first.saw(attempt.ttft_s)
            pace.firsts.append(attempt.ttft_s)
            tokens = attempt.usage.input_tokens
            if tokens is not None:
                cached = attempt.usage.cached_input_tokens or 0
                pace.by_tokens.saw(max(0, tokens - cached), attempt.ttft_s)
        if ended_well:
            pace.end.saw(attempt.total_s)
            if attempt.ttft_s is not None:
                pace.rest.saw(max(0.0, attempt.total_s - attempt.ttft_s))

    def first_token_s(self, target: str, input_tokens: int | None) -> float | None:
        """Expected seconds to the first token. None: none has been seen.

        Args:
            input_tokens: Of the prompt. None, or where the prompts seen were too few or too
                alike: the moving mean.
        """
        pace = self._known(target)
        if pace is None:
            return None
        fitted = None if input_tokens is None else pace.by_tokens.at(input_tokens)
        return pace.first.known() if fitted is None else fitted

    def first_token_p95_s(self, target: str) -> float | None:
        """Seconds in which 19 of 20 of the last 64 first tokens came. None: fewer than 20 seen."""
        pace = self._known(target)
        if pace is None or len(pace.firsts) < LEAST:
            return None
        return sorted(pace.firsts)[-(-19 * len(pace.firsts) // 20) - 1]

    def end_s(self, target: str, input_tokens: int | None) -> float | None:
        """Expected seconds to the end of an answer as long as its answers have been.

        None: no call has ended well yet. `input_tokens` as in `first_token_s`.
        """
        pace = self._known(target)
        if pace is None:
            return None
        fitted = None if input_tokens is None else pace.by_tokens.at(input_tokens)
        rest = None if fitted is None else pace.rest.known()
        return pace.end.known() if fitted is None or rest is None else fitted + rest

    def _known(self, target: str) -> Pace | None:
        """What is still believed of a target."""
        pace = self._paces.get(target)
        if pace is None or self._clock.now() - pace.at > STALE_S:
            return None
        return pace
