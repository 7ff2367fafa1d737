"""What is known of a request before any model has run."""

from __future__ import annotations

from ..types import Message, Request
from .catalogue import AtMost, Value

PER_MESSAGE = 64
PER_PROMPT = 256


def prompt_bound(messages: tuple[Message, ...]) -> AtMost:
    """Most tokens the conversation can be, without a tokenizer.

    A byte-level or byte-fallback tokenizer never makes more tokens of a text than the text has
    bytes. (One that first rewrites the text by NFKC could: a single character may become eighteen.
    No chat model that firsthop knows does.) For what a chat template adds there is an allowance:
    64 tokens a message and 256 for a default system prompt.
    """
    text = sum(len(m.content.encode("utf-8", "surrogatepass")) for m in messages)
    return AtMost(text + PER_MESSAGE * len(messages) + PER_PROMPT)


def request_signals(request: Request, prompt_tokens: int | None) -> dict[str, Value]:
    """Signals of the request.

    Args:
        request: As the caller asked.
        prompt_tokens: Tokens by the device's tokenizer, template included. None: it is not
            loaded, so the bound by bytes stands in.
    """
    return {
        "prompt.tokens": prompt_bound(request.messages) if prompt_tokens is None else prompt_tokens,
        "prompt.turns": len(request.messages),
        "request.label": request.label,
    }
