"""How far several answers to one question agree: samples of one model, or several models' votes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from .answers import canonical

AGREED = (
    "votes.agree", "votes.rival", "votes.lead", "votes.entropy", "votes.different",
    "votes.silent", "votes.first",
)  # fmt: skip
SAMPLED = (
    "samples.top", "samples.lead", "samples.entropy", "samples.different", "samples.first_is_top",
    "samples.length_spread", "samples.silent",
)  # fmt: skip


def vote_features(
    answer: str | None, votes: Mapping[str, str | None], known: Sequence[str] = ()
) -> dict[str, float]:
    """How the answers of other models stand to the draft's.

    Args:
        answer: The draft's final answer. None: it has none, and so nobody agrees with it.
        votes: Each model's final answer. None: that model was asked and gave none.
        known: Models that get a figure of their own, ``vote.<model>``: 1 agrees, 0 differs, -0.5
            gave none, NaN was not asked.

    Returns: The `AGREED` figures, NaN when nobody was asked, and one for each of `known`.
    """
    own = canonical(answer) if answer else None
    said = {model: canonical(vote) if vote else None for model, vote in votes.items()}
    found = dict.fromkeys(AGREED, math.nan)
    for model in known:
        vote = said.get(model)
        found[f"vote.{model}"] = (
            math.nan if model not in said else -0.5 if vote is None else float(vote == own)
        )
    if not said:
        return found
    counts = Counter(vote for vote in said.values() if vote is not None)
    agree = counts.get(own, 0) if own is not None else 0
    rival = max((times for vote, times in counts.items() if vote != own), default=0)
    everyone = counts + Counter([own] if own is not None else [])
    asked = len(said)
    return found | {
        "votes.agree": agree / asked,
        "votes.rival": rival / asked,
        "votes.lead": (agree - rival) / asked,
        "votes.entropy": entropy(list(everyone.values()), asked + 1),
        "votes.different": len(everyone) / (asked + 1),
        "votes.silent": sum(vote is None for vote in said.values()) / asked,
        "votes.first": float(own is not None and agree >= rival),
    }


def sample_features(samples: Sequence[str | None]) -> dict[str, float]:
    """The `SAMPLED` figures of final answers sampled from one model, the draft's own first.

    None in `samples` is a sample without an answer. All NaN for fewer than two.
    """
    if len(samples) < 2:
        return dict.fromkeys(SAMPLED, math.nan)
    said = [canonical(sample) if sample else None for sample in samples]
    counts = Counter(answer for answer in said if answer is not None)
    ranked = counts.most_common(2)
    top = ranked[0][1] if ranked else 0
    second = ranked[1][1] if len(ranked) > 1 else 0
    lengths = [len(answer) for answer in said if answer is not None]
    mean = sum(lengths) / max(1, len(lengths))
    spread = math.sqrt(sum((x - mean) ** 2 for x in lengths) / max(1, len(lengths)))
    return {
        "samples.top": top / len(said),
        "samples.lead": (top - second) / len(said),
        "samples.entropy": entropy(list(counts.values()), max(1, sum(counts.values()))),
        "samples.different": len(counts) / len(said),
        "samples.first_is_top": float(bool(ranked) and counts[said[0] or ""] == top),
        "samples.length_spread": math.log1p(spread),
        "samples.silent": sum(answer is None for answer in said) / len(said),
    }


def entropy(counts: Sequence[int], total: int) -> float:
    """Entropy in nats of counts over a total, which may be larger than their sum."""
    return -sum(count / total * math.log(count / total) for count in counts if count)
