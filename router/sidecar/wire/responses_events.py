"""OpenAI's Responses as a stream: typed events, numbered, from `response.created` to the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...hops import Outcome
from ...types import Chunk, TokenLogprob, ToolCall
from . import logprobs, responses_answer
from .chat import Asked
from .failure import Failure
from .responses_answer import Object, call, call_id, ended, failed, message, message_id, part
from .surface import Said

_encode = msgspec.json.encode


class Responses:
    """A `Surface`: `/v1/responses`."""

    def whole(self, asked: Asked, created: int, said: Said, outcome: Outcome) -> bytes:
        text = "".join(said.text)
        return responses_answer.whole(asked, created, text, said.calls, said.logprobs, outcome)

    def events(self, asked: Asked, decision_id: str, created: int, model: str) -> Events:
        return Events(asked, decision_id, created, model)


class Events:
    """The events of one response; see `surface.Events`.

    Text and calls become items of the output in the order in which they come. At most one item, a
    message, is open at a time; calls come whole.
    """

    def __init__(self, asked: Asked, decision_id: str, created: int, model: str) -> None:
        self._base = responses_answer.envelope(asked, decision_id, created, model)
        self._decision_id = decision_id
        self._number = 0
        self._begun = False
        self._output: list[Object] = []
        self._text: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._place: Object | None = None  # of the message that is open
        self._delta = b""

    def first(self) -> bytes:
        self._begun = True
        new = {**self._base, "status": "in_progress", "output": []}
        created = self._event("response.created", response=new)
        return created + self._event("response.in_progress", response=new)

    def chunk(self, chunk: Chunk) -> bytes:
        found = b""
        if chunk.text or chunk.logprobs:
            found = self._open() if self._place is None else b""
            found += self._said(chunk)
        for wish in chunk.tool_calls:
            found += self._close("completed") + self._call(wish)
        return found

    def last(self, outcome: Outcome) -> bytes:
        found = b""
        if self._place is None and not self._output:
            found = self._open()  # an empty answer is an empty text
        found += self._close(responses_answer.status_of(outcome))
        response = ended(self._base, self._output, outcome)
        return found + self._event(f"response.{response['status']}", response=response)

    def broken(self, failure: Failure, router: Mapping[str, Any] | None) -> bytes:
        """What there was of it, and an event that has the error both as typed and as it is sent."""
        found = b""
        if self._begun:
            output = self._output
            if self._place is not None:
                output = [*output, self._message("incomplete")]
            response = failed(self._base, output, failure, router)
            found = self._event("response.failed", response=response)
        told = {"code": failure.code, "message": failure.message, "param": failure.param}
        more = {} if router is None else {"router": router}
        return found + self._event("error", **told, error={"type": failure.kind, **told}, **more)

    def _event(self, kind: str, **said: Any) -> bytes:
        body = _encode({"type": kind, **said, "sequence_number": self._number})
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"

    def _open(self) -> bytes:
        index = len(self._output)
        item_id = message_id(self._decision_id, index)
        self._place = {"item_id": item_id, "output_index": index, "content_index": 0}
        self._text, self._tokens = [], []
        head = _encode({"type": "response.output_text.delta", **self._place})
        self._delta = b"event: response.output_text.delta\ndata: " + head[:-1]
        new = message(item_id, [], "in_progress")
        added = self._event("response.output_item.added", output_index=index, item=new)
        return added + self._event("response.content_part.added", **self._place, part=part(""))

    def _said(self, chunk: Chunk) -> bytes:
        """A piece of the text. What is alike in all of them was written once."""
        self._text.append(chunk.text)
        self._tokens += chunk.logprobs
        told = _encode(logprobs.delta(chunk.logprobs)) if chunk.logprobs else b"[]"
        number, self._number = self._number, self._number + 1
        return b'%b,"delta":%b,"logprobs":%b,"sequence_number":%d}\n\n' % (
            self._delta,
            _encode(chunk.text),
            told,
            number,
        )

    def _message(self, status: str) -> Object:
        assert self._place is not None
        content = [part("".join(self._text), self._tokens)]
        return message(self._place["item_id"], content, status)

    def _close(self, status: str) -> bytes:
        """The end of the message that is open, if one is."""
        place = self._place
        if place is None:
            return b""
        item = self._message(status)
        text = item["content"][0]["text"]
        told = logprobs.delta(self._tokens)
        self._place = None
        self._output.append(item)
        return (
            self._event("response.output_text.done", **place, text=text, logprobs=told)
            + self._event("response.content_part.done", **place, part=item["content"][0])
            + self._event(
                "response.output_item.done", output_index=place["output_index"], item=item
            )
        )

    def _call(self, wish: ToolCall) -> bytes:
        index = len(self._output)
        item = call(call_id(self._decision_id, index), wish)
        self._output.append(item)
        place = {"item_id": item["id"], "output_index": index}
        new = {**item, "arguments": "", "status": "in_progress"}
        found = self._event("response.output_item.added", output_index=index, item=new)
        if wish.arguments:
            found += self._event(
                "response.function_call_arguments.delta", **place, delta=wish.arguments
            )
        found += self._event(
            "response.function_call_arguments.done", **place, arguments=wish.arguments
        )
        return found + self._event("response.output_item.done", output_index=index, item=item)


RESPONSES = Responses()
