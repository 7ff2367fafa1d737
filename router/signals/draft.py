"""What a draft's own probabilities say about it.

They say how little the model hesitated, not whether it is right; how the two relate has to be
measured for each model and each quantisation of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..types import Completion, TokenStat
from .catalogue import Value


def draft_signals(draft: Completion) -> dict[str, Value]:
    """Signals of a finished draft. Those the target gave nothing for are None, unknown."""
    stats = draft.tokens
    logprobs = [s.logprob for s in stats]
    margins = [s.margin for s in stats if s.margin is not None]
    return {
        "draft.mean_logprob": mean_logprob(stats),
        "draft.min_logprob": min(logprobs, default=None),
        "draft.q10_logprob": quantile(logprobs, 0.1),
        "draft.first_entropy": stats[0].entropy if stats else None,
        "draft.first_margin": stats[0].margin if stats else None,
        "draft.min_margin": min(margins) if stats and len(margins) == len(stats) else None,
        "draft.tokens": draft.usage.output_tokens,
        "draft.finish": draft.finish,
    }


def mean_logprob(stats: Sequence[TokenStat]) -> float | None:
    """Mean log-probability of the chosen tokens.

    Length-normalised: a long answer is not punished for its length.

    Returns: Nats per token, <= 0. None, for unknown, when there are no tokens.
    Source: Malinin & Gales, "Uncertainty Estimation in Autoregressive Structured Prediction",
        ICLR 2021, arXiv 2002.07650.
    """
    if not stats:
        return None
    return math.fsum(s.logprob for s in stats) / len(stats)


def quantile(values: Sequence[float], q: float) -> float | None:
    """The `q` quantile by linear interpolation between order statistics; None of nothing.

    Source: Hyndman & Fan 1996, definition 7, which numpy's default is too.
    """
    if not values:
        return None
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
