"""OpenAI's chat completions and text completions, going out: whole answers and chunks, as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ...hops import Outcome
from ...types import Chunk, Finish, TokenLogprob, ToolCall, Usage
from . import logprobs
from .chat import Asked
from .failure import Failure, router_field
from .surface import Said

Kind = Literal["chat", "text"]
"""`/v1/chat/completions`, or the older `/v1/completions`."""

DONE = b"data: [DONE]\n\n"
BEAT = b": waiting for an answer\n\n"
"""A comment of an event stream: proxies see life, clients see nothing."""

_encode = msgspec.json.encode
_OBJECTS = {"chat": ("chat.completion", "chat.completion.chunk"), "text": ("text_completion",) * 2}
_IDS = {"chat": "chatcmpl-", "text": "cmpl-"}


def finish_of(outcome: Outcome, calls: bool) -> str:
    """OpenAI's `finish_reason`, which has no word for unknown; the `router` field has."""
    hop = outcome.hops[outcome.answered_by or 0]
    said: Finish | None = hop.last.finish
    if calls and said in (None, "stop"):
        return "tool_calls"
    return said if said is not None and said != "cancelled" else "stop"


def usage_of(outcome: Outcome) -> dict[str, Any] | None:
    """Tokens of the answer as its target counted them. None: it did not."""
    usage: Usage = outcome.hops[outcome.answered_by or 0].last.usage
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    said: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens is not None:
        said["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        said["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return said


def model_of(outcome: Outcome) -> str:
    """The model that answered, as it calls itself, or else as it was asked for."""
    hop = outcome.hops[outcome.answered_by or 0]
    return hop.last.model_served or hop.model


def head(kind: Kind, decision_id: str, created: int, *, chunk: bool = False) -> dict[str, Any]:
    """What an answer, or each chunk of it, begins with."""
    return {"id": _IDS[kind] + decision_id, "object": _OBJECTS[kind][chunk], "created": created}


def choice(
    kind: Kind,
    index: int,
    text: str,
    calls: list[ToolCall],
    outcome: Outcome,
    tokens: Sequence[TokenLogprob],
) -> dict[str, Any]:
    """One choice of a whole answer."""
    said: dict[str, Any] = {"index": index, "finish_reason": finish_of(outcome, bool(calls))}
    if kind == "text":
        return said | {"text": text, "logprobs": logprobs.Legacy()(tokens)}
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["content"] = text or None
        message["tool_calls"] = [_call(call) for call in calls]
    return said | {"message": message, "logprobs": logprobs.chat(tokens) if tokens else None}


def whole(
    kind: Kind,
    created: int,
    text: str,
    calls: list[ToolCall],
    outcome: Outcome,
    tokens: Sequence[TokenLogprob] = (),
) -> bytes:
    """A whole answer."""
    said: dict[str, Any] = {
        **head(kind, outcome.decision_id, created),
        "model": model_of(outcome),
        "choices": [choice(kind, 0, text, calls, outcome, tokens)],
        "router": router_field(outcome),
    }
    usage = usage_of(outcome)
    if usage is not None:
        said["usage"] = usage
    return _encode(said)


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


@dataclass(frozen=True, slots=True)
class Completions:
    """A `Surface`: one of the two."""

    kind: Kind

    def whole(self, asked: Asked, created: int, said: Said, outcome: Outcome) -> bytes:
        """See `Surface`."""
        return whole(self.kind, created, "".join(said.text), said.calls, outcome, said.logprobs)

    def events(self, asked: Asked, decision_id: str, created: int, model: str) -> Chunks:
        """See `Surface`."""
        return Chunks(self.kind, decision_id, created, model, usage=asked.usage)


CHAT, TEXT = Completions("chat"), Completions("text")


class Chunks:
    """The events of one streamed choice. What is alike in all of them is written once."""

    def __init__(
        self,
        kind: Kind,
        decision_id: str,
        created: int,
        model: str,
        *,
        usage: bool,
        index: int = 0,
    ) -> None:
        """See `Events`; `index` is the choice's, where an answer has several."""
        self._kind: Kind = kind
        self._index = index
        self._usage = usage
        self._calls = 0
        self._legacy = logprobs.Legacy()
        begin = {**head(kind, decision_id, created, chunk=True), "model": model}
        self._head = b"data: " + _encode(begin)[:-1]
        place = b'"delta":{"content":' if kind == "chat" else b'"text":'
        self._open = self._head + b',"choices":[{"index":%d,' % index + place
        # With usage asked for, every event but the last says that it has none.
        none = b',"usage":null' if usage else b""
        close = b"}" if kind == "chat" else b""
        self._told = close + b',"finish_reason":null,"logprobs":'
        self._end = b"}]" + none + b"}\n\n"
        self._close = self._told + b"null" + self._end

    def first(self) -> bytes:
        """What comes before everything else. Empty: nothing does."""
        if self._kind == "text":
            return b""
        return self._event({"role": "assistant", "content": ""})

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer: text, calls, or both. Empty: it says nothing."""
        if not chunk.logprobs and not chunk.tool_calls:
            return self._open + _encode(chunk.text) + self._close if chunk.text else b""
        found = b""
        if chunk.logprobs:
            chat = self._kind == "chat"
            told = logprobs.chat(chunk.logprobs) if chat else self._legacy(chunk.logprobs)
            found = self._open + _encode(chunk.text) + self._told + _encode(told) + self._end
        elif chunk.text:
            found = self.text(chunk.text)
        return found + self.calls(chunk.tool_calls) if chunk.tool_calls else found

    def text(self, text: str) -> bytes:
        """A piece of the text, without log-probabilities."""
        return self._open + _encode(text) + self._close

    def calls(self, calls: tuple[ToolCall, ...]) -> bytes:
        """Tool calls, each whole."""
        if self._kind == "text":
            return b""
        found = [{"index": self._calls + i, **_call(call)} for i, call in enumerate(calls)]
        self._calls += len(calls)
        return self._event({"tool_calls": found})

    def last(self, outcome: Outcome) -> bytes:
        """How it ended, with the `router` field, and the usage if it was asked for."""
        end = self.end(outcome)
        return end + self.counted(usage_of(outcome)) + DONE if self._usage else end + DONE

    def end(self, outcome: Outcome) -> bytes:
        """How the choice ended, with the `router` field."""
        finish = finish_of(outcome, self._calls > 0)
        return self._event({}, finish, router=router_field(outcome))

    def counted(self, usage: dict[str, Any] | None) -> bytes:
        """The usage of an answer."""
        return self._head + b"," + _encode({"choices": [], "usage": usage})[1:] + b"\n\n"

    def _event(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        said = {"delta": delta} if self._kind == "chat" else {"text": ""}
        choice = {"index": self._index, **said, "finish_reason": finish, "logprobs": None}
        rest: dict[str, Any] = {"choices": [choice], **more}
        if self._usage:
            rest["usage"] = None
        return self._head + b"," + _encode(rest)[1:] + b"\n\n"

    def broken(self, failure: Failure, router: Mapping[str, Any] | None) -> bytes:
        """An error in the middle, in the shape of `Failure.body`; no `[DONE]` follows."""
        return b"data: " + failure.body(router) + b"\n\n"
