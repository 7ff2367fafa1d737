"""Log-probabilities as services send them, token by token, into our `TokenStat`s.

The shape is OpenAI's, ``{"token", "logprob", "top_logprobs": [{"token", "logprob"}]}``; others,
Ollama among them, took it over. Fields that are not listed are skipped unread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from ..types import TokenLogprob, TokenStat


class Alternative(msgspec.Struct):
    """One of the likeliest tokens in a place."""

    logprob: float | None = None
    token: Any = ""
    bytes: Any = None


class Token(msgspec.Struct):
    """One token of the answer."""

    logprob: float | None = None
    top_logprobs: list[Alternative] | None = None
    token: Any = ""
    bytes: Any = None


def token_stats(tokens: Iterable[Token]) -> tuple[TokenStat, ...]:
    """Statistics of these tokens; entropy is unknown, for only a few alternatives are shown.

    A token outside the alternatives a service looks at comes with its sentinel, -9999.0. It is
    passed on: it stands for "very unlikely", and a mean that holds one accepts no draft.
    """
    return tuple(
        TokenStat(logprob=min(token.logprob, 0.0), margin=margin(token.top_logprobs))
        for token in tokens
        if token.logprob is not None
    )


def spelled(tokens: Iterable[Token], most: int | None) -> tuple[TokenLogprob, ...]:
    """The tokens themselves, each with at most `most` likeliest; None: they weren't asked for."""
    if most is None:
        return ()
    return tuple(
        _spelled(token, tuple(_spelled(one) for one in (token.top_logprobs or ())[:most]))
        for token in tokens
        if token.logprob is not None
    )


def _spelled(one: Token | Alternative, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    logprob = -math.inf if one.logprob is None else min(one.logprob, 0.0)
    try:
        known = bytes(one.bytes) if isinstance(one.bytes, list) else None
    except (TypeError, ValueError):  # a list of something else
        known = None
    text = one.token if isinstance(one.token, str) else ""
    return TokenLogprob(token=text, logprob=logprob, raw=known, top=top)


def margin(alternatives: list[Alternative] | None) -> float | None:
    """Probability of the first choice less that of the second; None: fewer than two are shown."""
    shown = sorted((a.logprob for a in alternatives or () if a.logprob is not None), reverse=True)
    if len(shown) < 2:
        return None
    first, second = (math.exp(min(logprob, 0.0)) for logprob in shown[:2])
    return first - second
