"""The chat-completions stream, event by event, into our `Chunk`s.

Comes in: `Event`s of one answer. Goes out: text, token statistics, why the answer ended, who
answered, and usage once everything has come. The wire's shapes live here for one event at a time;
fields that are not listed are skipped unread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import BadWire
from ..types import Chunk, Finish, TokenStat, Usage
from .openai_errors import stream_error
from .sse import Event

T = TypeVar("T")

_FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}


class _Alternative(msgspec.Struct):
    logprob: float | None = None


class _Token(msgspec.Struct):
    logprob: float | None = None
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Piece(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_PIECE = msgspec.json.Decoder(_Piece)
_ANYTHING = msgspec.json.Decoder()


class ChunkReader:
    """Reads one answer.

    Attributes:
        finished: A finish reason has come: the text is whole, whatever happens after.
        done: The end mark has come: there is nothing more to read.
    """

    def __init__(self, request_id: str | None = None) -> None:
        """`request_id`: from the answer's headers; None: the body's own id is taken."""
        self.finished = False
        self.done = False
        self._request_id = request_id
        self._model: str | None = None
        self._named_request = False
        self._any_text = False
        self._usage: Mapping[str, Any] | None = None

    def read(self, event: Event) -> Chunk | None:
        """One event's worth of answer; None when the event says nothing we keep.

        The first chunk carries the model and the request id, often before any text.

        Raises: BadWire, or what an error object in the stream stands for.
        """
        data = event.data.strip()
        if not data or self.done:
            return None
        if data == b"[DONE]":
            self.done = True
            return None
        if event.name == b"error":
            raise stream_error(_decode(data, _ANYTHING))
        try:
            piece = _decode(data, _PIECE)
        except BadWire:
            if self.finished:
                return None  # the text is whole; this can only have been the usage
            raise
        if piece.error:
            raise stream_error({"error": piece.error})
        self._usage = piece.usage or self._usage
        choice = next((c for c in piece.choices or () if c.index == 0), None)
        text = (choice.delta.content or "") if choice and choice.delta else ""
        tokens = _stats(choice.logprobs) if choice else ()
        finish: Finish | None = None
        if choice and choice.finish_reason and not self.finished:
            self.finished = True
            finish = _FINISHES.get(choice.finish_reason)
        self._any_text = self._any_text or bool(text)
        model, request_id = self._introduce(piece)
        if not (text or tokens or finish or model or request_id):
            return None
        return Chunk(text=text, tokens=tokens, finish=finish, model=model, request_id=request_id)

    def end(self) -> Chunk | None:
        """The stream is over. What is left to say: usage, where the target sent it.

        Raises: BadWire when neither a finish reason nor the end mark has come.
        """
        if not (self.finished or self.done):
            raise BadWire("the answer stopped in the middle: no finish reason and no end mark came")
        usage = _usage(self._usage, any_text=self._any_text)
        return None if usage is None else Chunk(usage=usage)

    def _introduce(self, piece: _Piece) -> tuple[str | None, str | None]:
        """Model and request id, each the first time it is known."""
        model = request_id = None
        if self._model is None and piece.model:
            model = self._model = piece.model
        if not self._named_request:
            request_id = self._request_id or piece.id or None
            self._named_request = request_id is not None
        return model, request_id


def _decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except UnicodeDecodeError as exc:
        raise BadWire("an event of the answer is not UTF-8") from exc
    except msgspec.ValidationError as exc:
        raise BadWire(f"an event of the answer has an unknown shape: {exc}") from exc
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadWire(f"an event of the answer is not JSON: {exc}") from exc


def _stats(logprobs: _Logprobs | None) -> tuple[TokenStat, ...]:
    """Statistics of the tokens in one event.

    A token outside the alternatives a service looks at comes with its sentinel, -9999.0. It is
    passed on: it stands for "very unlikely", and a mean that holds one accepts no draft.
    """
    if logprobs is None or not logprobs.content:
        return ()
    return tuple(
        TokenStat(logprob=min(token.logprob, 0.0), margin=_margin(token.top_logprobs))
        for token in logprobs.content
        if token.logprob is not None
    )


def _margin(alternatives: list[_Alternative] | None) -> float | None:
    """Probability of the first choice less that of the second; None: fewer than two are shown."""
    shown = sorted((a.logprob for a in alternatives or () if a.logprob is not None), reverse=True)
    if len(shown) < 2:
        return None
    first, second = (math.exp(min(logprob, 0.0)) for logprob in shown[:2])
    return first - second


def _usage(sent: Mapping[str, Any] | None, *, any_text: bool) -> Usage | None:
    """Tokens as counted. None, also for a part: not said, or said in a way that can't be true.

    No prompt has zero tokens and no text is made of none: such a zero means "not counted".
    """
    if not sent:
        return None
    output_tokens = _count(sent, "completion_tokens")
    return Usage(
        input_tokens=_count(sent, "prompt_tokens") or None,
        output_tokens=None if output_tokens == 0 and any_text else output_tokens,
        cached_input_tokens=_count(sent.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(sent.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(fields: Any, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value
