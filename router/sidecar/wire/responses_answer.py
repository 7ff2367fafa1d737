"""OpenAI's Responses, going out: the response object, its items, and whole answers as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...hops import Outcome
from ...types import TokenLogprob, ToolCall, Usage
from . import logprobs
from .answers import finish_of, model_of
from .chat import Asked
from .failure import Failure, router_field

Object = dict[str, Any]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


def envelope(asked: Asked, decision_id: str, created: int, model: str) -> Object:
    """A response before anything of it is known: all but its status, output and end."""
    return {
        "id": f"resp_{decision_id}",
        "object": "response",
        "created_at": created,
        "model": model,
        "error": None,
        "incomplete_details": None,
        "usage": None,
        **asked.echo,
    }


def part(text: str, tokens: Sequence[TokenLogprob] = ()) -> Object:
    """A message's text."""
    found = logprobs.part(tokens)
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": found}


def message(item_id: str, content: list[Object], status: str) -> Object:
    """An item of text."""
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def call(item_id: str, wish: ToolCall) -> Object:
    """An item that asks for a tool."""
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": wish.id,
        "name": wish.name,
        "arguments": wish.arguments,
        "status": "completed",
    }


def message_id(decision_id: str, index: int) -> str:
    """Of the item at that place of the output."""
    return f"msg_{decision_id}_{index}"


def call_id(decision_id: str, index: int) -> str:
    """Likewise, of a call."""
    return f"fc_{decision_id}_{index}"


def status_of(outcome: Outcome) -> str:
    """`completed`, or `incomplete` where the text was cut."""
    return "incomplete" if finish_of(outcome, calls=False) in _INCOMPLETE else "completed"


def ended(base: Object, output: list[Object], outcome: Outcome) -> Object:
    """A response that has its answer."""
    status = status_of(outcome)
    said = {**base, "model": model_of(outcome), "status": status, "output": output}
    if status == "incomplete":
        reason = _INCOMPLETE[finish_of(outcome, calls=False)]
        said["incomplete_details"] = {"reason": reason}
    else:
        said["completed_at"] = int(outcome.started_at + outcome.total_s)
    said["usage"], uncounted = usage_of(outcome)
    said["router"] = {**router_field(outcome), "uncounted": uncounted}
    return said


def failed(
    base: Object, output: list[Object], failure: Failure, router: Mapping[str, Any] | None
) -> Object:
    """A response that broke off, with what there is of it."""
    code = _CODES.get(failure.status, "server_error")
    error = {"code": code, "message": failure.message}
    said = {**base, "status": "failed", "output": output, "error": error}
    return said if router is None else {**said, "router": router}


def usage_of(outcome: Outcome) -> tuple[Object | None, list[str]]:
    """Tokens of the answer as its target counted them, and the parts it did not count.

    The shape has no word for a part that nobody counted, so that is 0 here and is named beside it.
    None: it counted neither what went in nor what came out, or only one of them.
    """
    usage: Usage = outcome.hops[outcome.answered_by or 0].last.usage
    if usage.input_tokens is None or usage.output_tokens is None:
        return None, []
    parts = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }, [name for name, value in parts.items() if value is None]


def whole(
    asked: Asked,
    created: int,
    text: str,
    calls: Sequence[ToolCall],
    tokens: Sequence[TokenLogprob],
    outcome: Outcome,
) -> bytes:
    """A whole answer: its text, if there is any or nothing else, then its calls."""
    decision_id = outcome.decision_id
    output: list[Object] = []
    if text or not calls:
        name = message_id(decision_id, 0)
        output.append(message(name, [part(text, tokens)], status_of(outcome)))
    for wish in calls:
        output.append(call(call_id(decision_id, len(output)), wish))
    base = envelope(asked, decision_id, created, model_of(outcome))
    return msgspec.json.encode(ended(base, output, outcome))
