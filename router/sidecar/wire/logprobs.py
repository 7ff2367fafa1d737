"""Log-probabilities of an answer's tokens, going out in the shapes of OpenAI's three APIs."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Any

from ...types import TokenLogprob


def chat(tokens: Iterable[TokenLogprob]) -> dict[str, Any] | None:
    """As a chat completion's choice has them. None: there are none."""
    found = [
        {**_of_chat(token), "top_logprobs": [_of_chat(one) for one in token.top]}
        for token in tokens
    ]
    return {"content": found, "refusal": None} if found else None


def part(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """As the text of a response has them. It has no word for bytes that are not known."""
    return [
        {**_of_part(token), "top_logprobs": [_of_part(one) for one in token.top]}
        for token in tokens
    ]


def delta(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """As the events of a response's text have them: without bytes."""
    return [
        {**_of_delta(token), "top_logprobs": [_of_delta(one) for one in token.top]}
        for token in tokens
    ]


class Legacy:
    """As a text completion has them; counts where in the text each token begins."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._at = 0

    def __call__(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        """The next tokens. None: there are none."""
        if not tokens:
            return None
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._at)
            self._at += len(self._decoder.decode(_bytes(token)))
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [{one.token: one.logprob for one in token.top} for token in tokens],
            "text_offset": offsets,
        }


def _of_chat(token: TokenLogprob) -> dict[str, Any]:
    raw = None if token.raw is None else list(token.raw)
    return {"token": token.token, "bytes": raw, "logprob": token.logprob}


def _of_part(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "bytes": list(_bytes(token)), "logprob": token.logprob}


def _of_delta(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.logprob}


def _bytes(token: TokenLogprob) -> bytes:
    """As they are known, or else as its text has them."""
    return token.token.encode() if token.raw is None else token.raw
