"""What a draft says about itself: its own probabilities, its text, and the form that was asked.

Probabilities say how little the model hesitated, not whether it is right; how the two relate has to
be measured for each model and each quantisation of it.

A figure that is no finite number measures nothing, so what would be made of it is unknown: a NaN
compares as false, and under a `not` it would let a draft through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..types import Completion, Request, TokenStat
from .catalogue import Value
from .forms import json_problem, tool_calls_problem
from .language import language_of
from .prompt import prompt_language
from .reading import last_user, prose_of
from .refusal import is_refusal
from .repetition import repetition
from .script import script_counts
from .task import task_of
from .tongues import names_language

_LEAST_WORDS = 5
_LEAST_LETTERS = 20
"""Below so many words and letters a draft is a name, a number or a phrase: in no language."""
_MOST_NAMES = 0.6
"""Share of capitalised words above which it is a list of names; in German it is about a third."""
_UNSPACED = frozenset(("han", "kana", "thai"))


def draft_signals(
    draft: Completion, request: Request, wanted: Collection[str], known: Mapping[str, Value]
) -> dict[str, Value]:
    """The wanted signals of a draft, in the order of `wanted` but for languages. None: unknown.

    Args:
        draft: Finished, or as far as it has come.
        request: What it answers.
        wanted: Names of the signals asked for; those that are no draft's are left out, and those
            that only a calibration tells.
        known: The request's own signals; what is missing and needed is found out.
    """
    found: dict[str, Value] = {}
    for name in wanted:
        if name in _OF_STATS:
            found[name] = _OF_STATS[name](draft.tokens)
        elif name in _OF_DRAFT:
            found[name] = _OF_DRAFT[name](draft)
        elif name == "draft.json_valid":
            found[name] = _json_valid(draft, request)
        elif name == "draft.tool_calls_valid":
            found[name] = _calls_valid(draft, request)
    if "draft.language" in wanted or "draft.same_language" in wanted:
        language = language_of(draft.text)
        if "draft.language" in wanted:
            found["draft.language"] = language
        if "draft.same_language" in wanted:
            found["draft.same_language"] = _same_language(draft.text, language, request, known)
    return found


def presentable(draft: Completion, request: Request) -> bool:
    """Whether it may be shown where nothing better came: no refusal, and in the form asked."""
    return (
        not is_refusal(draft.text) and _json_valid(draft, request) and _calls_valid(draft, request)
    )


def _json_valid(draft: Completion, request: Request) -> bool:
    """Whether it is the JSON asked for; a draft that calls tools has still to answer."""
    if "json" not in request.needs or (draft.tool_calls and not draft.text.strip()):
        return True
    return json_problem(draft.text, request.json_schema) is None


def _calls_valid(draft: Completion, request: Request) -> bool:
    return tool_calls_problem(draft.tool_calls, request.tools) is None


def _same_language(
    text: str, language: str | None, request: Request, known: Mapping[str, Value]
) -> bool | None:
    """Whether a draft answers in the language asked in; None when that can't be told."""
    if language is None or "json" in request.needs or not _is_prose(text):
        return True
    asked = known["prompt.language"] if "prompt.language" in known else prompt_language(request)
    if asked is None:  # "12 * 7?" is asked in no language
        return True
    if asked == language:
        return None if language == "other" else True
    asking = last_user(request.messages)
    task = known["prompt.task"] if "prompt.task" in known else task_of(asking)
    return bool(task == "translation" or names_language(asking, language))


def _is_prose(text: str) -> bool:
    prose = prose_of(text, 400)
    counts = script_counts(prose)
    letters = sum(counts.values())
    if 2 * sum(counts[script] for script in _UNSPACED) > letters:
        return letters >= _LEAST_WORDS
    words = prose.split()
    names = sum(word[0].isupper() for word in words)
    return (
        letters >= _LEAST_LETTERS
        and len(words) >= _LEAST_WORDS
        and names <= _MOST_NAMES * len(words)
    )


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


_OF_STATS: Mapping[str, Callable[[Sequence[TokenStat]], float | None]] = {
    "draft.mean_logprob": mean_logprob,
    "draft.min_logprob": lambda s: min(_all_known(t.logprob for t in s), default=None),
    "draft.q10_logprob": lambda s: quantile(_all_known(t.logprob for t in s), 0.1),
    "draft.first_entropy": lambda s: mean(_all_known(t.entropy for t in s[:1])),
    "draft.first_margin": lambda s: mean(_all_known(t.margin for t in s[:1])),
    "draft.min_margin": lambda s: min(_all_known(t.margin for t in s), default=None),
}
_OF_DRAFT: Mapping[str, Callable[[Completion], Value]] = {
    "draft.tokens": lambda draft: draft.usage.output_tokens,
    "draft.finish": lambda draft: draft.finish,
    "draft.refusal": lambda draft: is_refusal(draft.text),
    "draft.repetition": lambda draft: repetition(draft.text),
}
