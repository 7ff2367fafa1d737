"""Anthropic's messages, going out: whole answers, events of a stream, errors, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...hops import Outcome
from ...types import Chunk, ToolCall
from .answers import finish_of, model_of
from .chat import Asked
from .failure import Failure, Refusal, router_field
from .surface import Said

BEAT = b'event: ping\ndata: {"type":"ping"}\n\n'
"""What keeps a stream that waits alive."""

STATUSES = {503: 529}
"""Statuses that Anthropic has a number of its own for: 529 is overloaded, ask again later."""

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
"""OpenAI's `finish_reason` in Anthropic's words."""

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_NONE = msgspec.Raw(b"{}")
_encode = msgspec.json.encode


def usage_of(outcome: Outcome) -> dict[str, Any]:
    """Tokens of the answer as its target counted them; null: it did not.

    Ours count cached tokens within the input, Anthropic's beside it.
    """
    usage = outcome.hops[outcome.answered_by or 0].last.usage
    read, written = usage.cached_input_tokens, usage.cache_write_tokens
    fresh = usage.input_tokens
    if fresh is not None:
        fresh = max(0, fresh - (read or 0) - (written or 0))
    said: dict[str, Any] = {
        "input_tokens": fresh,
        "output_tokens": usage.output_tokens,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }
    if usage.reasoning_tokens is not None:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return said


class Messages:
    """A `Surface`: `/v1/messages`."""

    def whole(self, asked: Asked, created: int, said: Said, outcome: Outcome) -> bytes:
        """See `Surface`. Raises: Refusal, as `whole`."""
        return whole("".join(said.text), said.calls, outcome)

    def events(self, asked: Asked, decision_id: str, created: int, model: str) -> Events:
        """See `Surface`."""
        return Events(decision_id, model)


MESSAGES = Messages()


def whole(text: str, calls: list[ToolCall], outcome: Outcome) -> bytes:
    """A whole answer.

    Raises: Refusal, for a tool call whose arguments are no JSON object: the shape knows no other.
    """
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [_use(call, _input(call)) for call in calls]
    return _encode(
        {
            "id": f"msg_{outcome.decision_id}",
            "type": "message",
            "role": "assistant",
            "model": model_of(outcome),
            "content": content,
            **_stop(outcome, bool(calls)),
            "usage": usage_of(outcome),
            "router": router_field(outcome),
        }
    )


def _use(call: ToolCall, given: msgspec.Raw) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _input(call: ToolCall) -> msgspec.Raw:
    """Arguments as the target spelled them, once they are known to be an object."""
    if not call.arguments.strip():  # some targets say nothing where there are no arguments
        return _NONE
    try:
        msgspec.json.decode(call.arguments, type=dict[str, Any])
        return msgspec.Raw(call.arguments.encode())
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise Refusal(
            Failure(
                status=502,
                message=f"the target called {call.name} with what is no JSON object",
                kind="api_error",
                code="bad_gateway",
            )
        ) from exc


def _stop(outcome: Outcome, calls: bool) -> dict[str, Any]:
    # No target says which of the stop sequences it met, or whether it met one.
    return {"stop_reason": STOP_REASONS[finish_of(outcome, calls)], "stop_sequence": None}


def _event(kind: str, said: Mapping[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _encode({"type": kind, **said}))


class Events:
    """The events of one streamed answer. What is alike in all of a block is written once."""

    def __init__(self, decision_id: str, model: str) -> None:
        self._decision_id = decision_id
        self._model = model
        self._index = -1
        self._open = False
        self._calls = False
        self._before = b""

    def first(self) -> bytes:
        """What comes before everything else.

        Nothing is counted yet, and clients hold both counts to be numbers: they are 0 here, and
        `message_delta` says what was counted in the end.
        """
        message: dict[str, Any] = {
            "id": f"msg_{self._decision_id}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event("message_start", {"message": message})

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer: text, calls, or both. Empty: it says nothing."""
        found = self.text(chunk.text) if chunk.text else b""
        return found + self.calls(chunk.tool_calls) if chunk.tool_calls else found

    def text(self, text: str) -> bytes:
        """A piece of the text."""
        found = b""
        if not self._open:
            found = self._begin({"type": "text", "text": ""})
            self._before = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"text_delta","text":' % self._index
            )
            self._open = True
        return found + self._before + _encode(text) + b"}}\n\n"

    def calls(self, calls: tuple[ToolCall, ...]) -> bytes:
        """Tool calls, each whole; their arguments as the target wrote them."""
        found = self._end()
        for call in calls:
            delta = {"type": "input_json_delta", "partial_json": call.arguments}
            found += self._begin(_use(call, _NONE))
            found += _event("content_block_delta", {"index": self._index, "delta": delta})
            found += _event("content_block_stop", {"index": self._index})
            self._calls = True
        return found

    def last(self, outcome: Outcome) -> bytes:
        """How it ended, with the usage and the `router` field."""
        end = {
            "delta": _stop(outcome, self._calls),
            "usage": usage_of(outcome),
            "router": router_field(outcome),
        }
        return self._end() + _event("message_delta", end) + _event("message_stop", {})

    def broken(self, failure: Failure, router: Mapping[str, Any] | None) -> bytes:
        """An error; nothing follows."""
        said = error(failure, router, f"req_{self._decision_id}")
        return b"event: error\ndata: " + said + b"\n\n"

    def _begin(self, block: dict[str, Any]) -> bytes:
        self._index += 1
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _end(self) -> bytes:
        if not self._open:
            return b""
        self._open = False
        return _event("content_block_stop", {"index": self._index})


def error(failure: Failure, router: Mapping[str, Any] | None, request_id: str) -> bytes:
    """An error's body; `details` has the stable code, where Anthropic's clients look for one."""
    said: dict[str, Any] = {
        "type": "error",
        "error": {
            "type": _TYPES.get(failure.status, "invalid_request_error"),
            "message": failure.message,
            "details": {"error_code": failure.code, "param": failure.param},
        },
        "request_id": request_id,
    }
    if router is not None:
        said["router"] = router
    return _encode(said)
