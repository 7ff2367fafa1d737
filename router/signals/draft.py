"""What a draft's own probabilities say about it.

They say how little the model hesitated, not whether it is right; how the two relate has to be
measured for each model and each quantisation of it.

A figure that is no finite number measures nothing, so what would be made of it is unknown: a NaN
compares as false, and under a `not` it would let a draft through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..types import Completion, TokenStat
from .catalogue import Value


def draft_signals(draft: Completion) -> dict[str, Value]:
    """Signals of a finished draft. Those the target gave nothing for are None, unknown."""
    stats = draft.tokens
    logprobs = _all_known(s.logprob for s in stats)
    margins = _all_known(s.margin for s in stats)
    first_entropy = _all_known(s.entropy for s in stats[:1])
    first_margin = _all_known(s.margin for s in stats[:1])
    return {
        "draft.mean_logprob": mean(logprobs),
        "draft.min_logprob": min(logprobs, default=None),
        "draft.q10_logprob": quantile(logprobs, 0.1),
        "draft.first_entropy": first_entropy[0] if first_entropy else None,
        "draft.first_margin": first_margin[0] if first_margin else None,
        "draft.min_margin": min(margins, default=None),
        "draft.tokens": draft.usage.output_tokens,
        "draft.finish": draft.finish,
    }


def _all_known(figures: Iterable[float | None]) -> list[float]:
    """The figures; none at all when one of them is not known or not finite."""
    found: list[float] = []
    for figure in figures:
        if figure is None or not math.isfinite(figure):
            return []
        found.append(figure)
    return found


def mean_logprob(stats: Sequence[TokenStat]) -> float | None:
    """Mean log-probability of the chosen tokens.

    Length-normalised: a long answer is not punished for its length.

    Returns: Nats per token, <= 0. None, for unknown, when there are no tokens, or one of them has
        no finite log-probability.
    Source: Malinin & Gales, "Uncertainty Estimation in Autoregressive Structured Prediction",
        ICLR 2021, arXiv 2002.07650.
    """
    return mean(_all_known(s.logprob for s in stats))


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, each rounding error made up for; None of nothing."""
    return math.fsum(values) / len(values) if values else None


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
