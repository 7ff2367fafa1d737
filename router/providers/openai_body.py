"""One `Ask` as the JSON body of a chat-completions request."""

from __future__ import annotations

from typing import Any

from ..errors import Refused, TimedOut
from ..types import Ask
from .base import Dialect, Target, text_only
from .options import flag

_ALTERNATIVES = 2  # the fewest that show a margin


def request_body(ask: Ask, target: Target, dialect: Dialect) -> dict[str, Any]:
    """The body; what isn't asked for isn't sent.

    Raises: TimedOut when there is no time left to ask, Refused when the text can't be UTF-8,
    Incapable when more than text is asked for.
    """
    if ask.timeout_s is not None and ask.timeout_s <= 0:
        raise TimedOut("there was no time left to ask", reached=False)
    text_only(ask)
    try:
        for text in (*(message.content for message in ask.messages), *ask.stop):
            text.encode()
    except UnicodeEncodeError as exc:
        raise Refused(
            "the text holds half of a surrogate pair, which no wire carries", reached=False
        ) from exc
    body: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": m.role, "content": m.content} for m in ask.messages],
        "stream": True,
        dialect.cap_field: ask.max_output_tokens,
    }
    if dialect.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if flag(target, "logprobs"):
        body |= {"logprobs": True, "top_logprobs": _ALTERNATIVES}
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.seed is not None:
        body["seed"] = ask.seed
    if ask.stop:
        body["stop"] = list(ask.stop)
    return body
