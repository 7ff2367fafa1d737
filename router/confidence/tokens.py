"""What the probabilities of a draft's tokens say: where it hesitated, and how much.

Free: the engine has them when the draft is done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..signals.draft import mean, quantile
from ..types import TokenStat

TOKENS = (
    "tokens.mean_logprob",
    "tokens.min_logprob",
    "tokens.q10_logprob",
    "tokens.worst_window",
    "tokens.first_entropy",
    "tokens.first_margin",
    "tokens.entropy_trend",
    "tokens.answer_logprob",
)
_WINDOW = 8


def token_features(
    stats: Sequence[TokenStat], answer: tuple[int, int] | None = None
) -> dict[str, float]:
    """The `TOKENS` figures in nats; NaN where a target did not tell, or told what is no number.

    Args:
        stats: One for each token of the draft.
        answer: First token of the final answer and the one after its last, where it is known.
    """
    logprobs = [stat.logprob for stat in stats]
    if not all(map(math.isfinite, logprobs)):
        logprobs = []
    width = min(_WINDOW, len(logprobs))
    windows = [
        sum(logprobs[start : start + width]) / width
        for start in range(len(logprobs) - width + 1 if width else 0)
    ]
    own = logprobs[slice(*answer)] if answer is not None else []
    first = stats[0] if stats else None
    return {
        "tokens.mean_logprob": _known(mean(logprobs)),
        "tokens.min_logprob": _known(min(logprobs, default=None)),
        "tokens.q10_logprob": _known(quantile(logprobs, 0.1)),
        "tokens.worst_window": _known(min(windows, default=None)),
        "tokens.first_entropy": _known(first.entropy if first else None),
        "tokens.first_margin": _known(first.margin if first else None),
        "tokens.entropy_trend": _trend([stat.entropy for stat in stats]),
        "tokens.answer_logprob": _known(mean(own)),
    }


def _known(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else value


def _trend(values: Sequence[float | None]) -> float:
    """Mean of the second half less that of the first."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2 or len(known) < len(values):
        return math.nan
    half = len(known) // 2
    return sum(known[half:]) / (len(known) - half) - sum(known[:half]) / half
