"""The chat-completions stream, event by event, into our `Chunk`s.

Comes in: `Event`s of one answer. Goes out: text, token statistics, tool calls, why it ended, who
answered, and usage once everything has come. An event's own shape is `openai_events`'s to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadWire, HopError
from ..quick import maker
from ..redaction import redact
from ..types import Chunk, Finish, TokenLogprob, TokenStat, ToolCall, Transit, Usage
from .openai_calls import CallPiece, Calls
from .openai_errors import read_fault, stopped_for, stream_error
from .openai_events import Delta, Logprobs, Piece, read_any, read_lines, read_piece
from .sse import Event
from .token_stats import Token, spelled, token_stats

_make_usage = maker(Usage)
_FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(slots=True)
class _Came:
    """What events that came together say."""

    transit: Transit | None = None
    text: list[str] = field(default_factory=list)
    tokens: list[TokenStat] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    filtered: tuple[str, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None

    def chunk(self) -> Chunk | None:
        """All of it. None: it is nothing that we keep."""
        text = "".join(self.text)
        said = text or self.tokens or self.calls or self.finish or self.model or self.request_id
        if not (said or self.filtered or self.usage is not None or self.transit is not None):
            return None
        return Chunk(
            text=text,
            tokens=tuple(self.tokens),
            logprobs=tuple(self.logprobs),
            tool_calls=self.calls,
            finish=self.finish,
            filtered=self.filtered,
            usage=self.usage,
            model=self.model,
            request_id=self.request_id,
            transit=self.transit,
        )


class ChunkReader:
    """Reads one answer.

    Attributes:
        finished: A finish reason has come: the text is whole, whatever happens after.
        done: The end mark has come: there is nothing more to read.
    """

    def __init__(self, request_id: str | None = None, spell: int | None = None) -> None:
        """Ready for the first event.

        Args:
            request_id: From the answer's headers; None: the body's own id is taken.
            spell: How many likeliest tokens to hand on with each one. None: no tokens.
        """
        self._spell = spell
        self.finished = False
        self.done = False
        self._request_id = request_id
        self._model: str | None = None
        self._named_request = False
        self._any_output = False
        self._usage: Mapping[str, Any] | None = None
        self._calls = Calls()
        self._filtered: set[str] = set()
        self._cut = False
        self._told = False

    def read(
        self, events: Iterable[Event], transit: Transit | None = None
    ) -> tuple[Chunk | None, HopError | None]:
        """What events that came together say, as one chunk, and the error that ended them.

        A burst of events has waited for its last byte anyway; handed on one by one, each would
        cost its own way through all that stands between here and the caller. The first chunk
        carries the model and the request id, often before any text. With the end mark comes all
        that is left to say, and `end` has nothing more.

        Args:
            transit: To go along with it. None: that has been said.

        Returns: No chunk where they say nothing we keep. The error is `BadWire`, or what an error
            object in the stream stands for.
        """
        came = _Came(transit)
        try:
            for name, data in events:
                if self.done:
                    break
                self._take(name, data, came)
            if self.done:
                self._finish(came)
        except HopError as exc:
            return came.chunk(), exc
        return came.chunk(), None

    def read_lines(
        self, lines: list[bytes], transit: Transit | None = None
    ) -> tuple[Chunk | None, HopError | None]:
        """As `read`, of events without a name and of one line each; see `Parser.lines`.

        They are read by one call where each is a JSON object. Any other are left to `read`.
        """
        ends = lines[-1] == b"[DONE]"
        pieces = None if self.done else read_lines(lines[:-1] if ends else lines)
        if pieces is None:
            return self.read([Event(b"", data) for data in lines], transit)
        came = _Came(transit)
        try:
            self._gather(pieces, came)
            if ends:
                self.done = True
                self._finish(came)
        except HopError as exc:
            return came.chunk(), exc
        return came.chunk(), None

    def _take(self, name: bytes, data: bytes, came: _Came) -> None:
        """One event."""
        if not data.startswith(b"{"):
            data = data.strip()
            if not data:
                return
            if data == b"[DONE]":
                self.done = True
                return
        if name == b"error":
            if not self.finished:
                self._broken(read_any(data), came)
            return
        try:
            piece = read_piece(data)
        except BadWire:
            if self.finished:
                return  # the text is whole; this can only have been the usage
            raise
        self._gather((piece,), came)

    def _gather(self, pieces: Iterable[Piece], came: _Came) -> None:
        """What events say once they are read; a loop, for there are many of them."""
        for piece in pieces:
            if piece.error and not self.finished:
                self._broken({"error": piece.error}, came)
                continue
            if piece.usage:
                self._usage = piece.usage
            if self._model is None or not self._named_request:
                self._introduce(piece, came)
            for choice in piece.choices or ():
                if choice.index == 0:
                    break
            else:
                continue
            delta = choice.delta
            if delta is not None:
                if delta.content:
                    came.text.append(delta.content)
                    self._any_output = True
                if delta.refusal:
                    came.text.append(delta.refusal)
                    self._any_output = True
                if (delta.tool_calls or delta.function_call) and not self.finished:
                    self._collect(delta)
            if choice.logprobs is not None:
                told = _tokens(choice.logprobs)
                came.tokens += token_stats(told)
                came.logprobs += spelled(told, self._spell)
            if choice.content_filter_results:
                self._filtered |= stopped_for(choice.content_filter_results)
            if choice.finish_reason and not self.finished:
                self._ended(choice.finish_reason, came)

    def _ended(self, reason: str, came: _Came) -> None:
        """A finish reason has come."""
        came.finish, came.calls = self._ending(reason)
        self.finished = True
        self._cut = came.finish == "content_filter"
        if self._cut:
            came.filtered = self._cut_for()

    def end(self) -> Chunk | None:
        """The stream is over. What is left to say: usage, where the target sent it.

        Tool calls too, where only the end mark said that they are whole.

        Raises: BadWire when neither a finish reason nor the end mark has come, or when a call that
        is whole can't be one.
        """
        if not (self.finished or self.done):
            raise BadWire("the answer stopped in the middle: no finish reason and no end mark came")
        if self._told:
            return None
        came = _Came()
        self._finish(came)
        return came.chunk()

    def _finish(self, came: _Came) -> None:
        """Add what is left to say, once."""
        if self._told:
            return
        self._told = True
        if not self.finished:
            came.calls = self._calls.complete()
        came.usage = _usage(self._usage, any_output=self._any_output)
        if self._cut:
            came.filtered = self._cut_for()

    def _broken(self, payload: object, came: _Came) -> None:
        """An error object before the end. A content filter's, once there is output, is the end.

        Raises: what any other stands for.
        """
        fault = read_fault(payload)
        if not (fault.filtered and self._any_output):
            raise stream_error(payload)
        self.finished = self._cut = True
        self._filtered |= set(fault.categories)
        came.finish, came.filtered = "content_filter", self._cut_for()

    def _cut_for(self) -> tuple[str, ...]:
        return tuple(sorted(self._filtered))

    def _collect(self, delta: Delta) -> None:
        for piece in delta.tool_calls or ():
            self._calls.add(piece)
        if delta.function_call is not None:
            self._calls.add(CallPiece(function=delta.function_call))
        self._any_output = self._any_output or bool(self._calls)

    def _ending(self, reason: str) -> tuple[Finish | None, tuple[ToolCall, ...]]:
        """Why the answer ended, and the calls that are whole by that.

        Calls that were cut off are not given out: half an argument may still be JSON, of another
        meaning. A service that says `stop` after calls means that it waits for their results.
        """
        finish = _FINISHES.get(reason)
        if not self._calls or finish in ("length", "content_filter"):
            return finish, ()
        return "tool_calls" if finish == "stop" else finish, self._calls.complete()

    def _introduce(self, piece: Piece, came: _Came) -> None:
        """Model and request id, each the first time it is known."""
        if self._model is None and piece.model:
            came.model = self._model = redact(piece.model)  # it may be the key it was sent
        if not self._named_request:
            came.request_id = self._request_id or (redact(piece.id) if piece.id else None)
            self._named_request = came.request_id is not None


def _tokens(logprobs: Logprobs) -> tuple[Token, ...]:
    return (*(logprobs.content or ()), *(logprobs.refusal or ()))


def _usage(sent: Mapping[str, Any] | None, *, any_output: bool) -> Usage | None:
    """Tokens as counted. None, also for a part: not said, or said in a way that can't be true.

    No prompt has zero tokens and no output is made of none: such a zero means "not counted".
    """
    if not sent:
        return None
    output_tokens = _count(sent, "completion_tokens")
    of_prompt = sent.get("prompt_tokens_details")
    return _make_usage(
        input_tokens=_count(sent, "prompt_tokens") or None,
        output_tokens=None if output_tokens == 0 and any_output else output_tokens,
        cached_input_tokens=_count(of_prompt, "cached_tokens"),
        reasoning_tokens=_count(sent.get("completion_tokens_details"), "reasoning_tokens"),
        cache_write_tokens=_count(of_prompt, "cache_write_tokens"),
    )


def _count(fields: Any, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value
