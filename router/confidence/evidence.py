"""Everything a finished draft says for free, under one set of names: what an estimator reads.

The street and `firsthop calibrate` both make a draft's signals here, so that what is fitted is what
is judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..types import TokenStat
from .asked import ASKED, asked_features
from .drafted import DRAFTED, drafted_features
from .tokens import TOKENS, token_features

EVIDENCE = (*ASKED, *DRAFTED, *TOKENS)
"""Names, in the order of an estimator's rows."""

PROBE = "draft.probe"
"""What a probe says of a draft's state, in log-odds: one signal more where a file has a probe."""

OF_SIGNALS = {
    "draft.mean_logprob": "tokens.mean_logprob",
    "draft.min_logprob": "tokens.min_logprob",
    "draft.q10_logprob": "tokens.q10_logprob",
    "draft.first_entropy": "tokens.first_entropy",
    "draft.first_margin": "tokens.first_margin",
}
"""A policy's signals that are figures of `EVIDENCE` under another name."""


def evidence(
    prompt: str,
    text: str,
    stats: Sequence[TokenStat] = (),
    *,
    language: str | None = None,
    well_formed: bool | None = None,
) -> dict[str, float]:
    """The `EVIDENCE` of a draft; NaN where there is nothing to measure.

    Args:
        prompt: The last thing the user said.
        text: The whole draft.
        stats: One for each of its tokens. Empty: the target doesn't tell.
        language: The prompt's, ISO 639-1. None: not known. A draft is taken to be in it, and its
            words are read where that is English.
        well_formed: Whether it keeps to the form that was asked. None: none was, or unknown.
    """
    found = asked_features(prompt, language)
    found |= drafted_features(
        prompt,
        text,
        well_formed=well_formed,
        language=language,
        english=language in (None, "en"),
    )
    return found | token_features(stats)


def of_signals(signals: Mapping[str, object]) -> dict[str, float]:
    """The part of the `EVIDENCE` that a policy's recorded signals hold. Empty: none."""
    found = {}
    for name, figure in OF_SIGNALS.items():
        value = signals.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            found[figure] = float(value)
    return found
