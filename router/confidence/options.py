"""What the scores of a question's options say: how clear the choice was."""

from __future__ import annotations

import math
from collections.abc import Sequence

OPTIONED = (
    "options.top", "options.second", "options.third", "options.lead", "options.tail_lead",
    "options.entropy", "options.chosen", "options.scale", "options.spread", "options.last",
    "options.last_but_one", "options.soft_top",
)  # fmt: skip
_SOFT = 3.0
"""A temperature at which the runners-up are still seen."""


def option_features(scores: Sequence[float]) -> dict[str, float]:
    """The `OPTIONED` figures of one score (logit or log-probability) for each option.

    Args:
        scores: At least three, in the options' order; only differences between them matter, but
            for `options.scale`.
    """
    shares = _shares(scores, 1.0)
    ranked = sorted(shares, reverse=True)
    chosen = max(range(len(scores)), key=scores.__getitem__)
    ordered = sorted(scores, reverse=True)
    mean = sum(scores) / len(scores)
    return {
        "options.top": ranked[0],
        "options.second": ranked[1],
        "options.third": ranked[2],
        "options.lead": ordered[0] - ordered[1],
        "options.tail_lead": ordered[1] - ordered[2],
        "options.entropy": -sum(share * math.log(share) for share in shares if share > 0),
        "options.chosen": float(chosen),
        "options.scale": ordered[0],
        "options.spread": math.sqrt(sum((x - mean) ** 2 for x in scores) / len(scores)),
        "options.last": shares[-1],
        "options.last_but_one": shares[-2],
        "options.soft_top": max(_shares(scores, _SOFT)),
    }


def _shares(scores: Sequence[float], temperature: float) -> list[float]:
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
