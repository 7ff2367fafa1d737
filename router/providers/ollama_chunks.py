"""Ollama's answer, a JSON object a line, into our `Chunk`s.

Comes in: the bytes of one answer as the socket gave them. Goes out: text, token statistics, tool
calls, why the answer ended, usage. The last line has ``"done": true``; with it everything is known.
Durations are in nanoseconds there, and none is kept: every hop is timed from outside.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from ..errors import BadWire
from ..redaction import redact
from ..types import Chunk, Finish, ToolCall, Usage
from .ollama_errors import line_error
from .sse import MAX_LINE_BYTES, MAX_TOTAL_BYTES
from .token_stats import Token, spelled, token_stats

MAX_CALLS = 128

_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    model: str | None = None
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    logprobs: list[Token] | None = None
    prompt_eval_count: Any = None
    prompt_eval_cached_count: Any = None
    eval_count: Any = None
    remote_model: str | None = None
    remote_host: str | None = None
    error: Any = None


_LINE = msgspec.json.Decoder(_Line)


class Lines:
    """Cuts bytes into lines. Cost is linear in the bytes, however they come in pieces.

    Bytes stay bytes: a character split over two pieces is never decoded in halves.
    """

    def __init__(
        self, *, max_line_bytes: int = MAX_LINE_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_total_bytes = max_total_bytes
        self._total_bytes = 0
        self._tail = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes; return the lines they completed, none of them empty.

        Raises: BadWire when a line or the answer is longer than the limits.
        """
        self._total_bytes += len(piece)
        if self._total_bytes > self._max_total_bytes:
            raise BadWire(f"the answer is longer than {self._max_total_bytes} bytes")
        *ends, rest = piece.split(b"\n")
        lines: list[bytes] = []
        for end in ends:
            self._grow(end)
            lines += self.close()
        self._grow(rest)
        return lines

    def close(self) -> list[bytes]:
        """The line that is open, ended here; none when it is empty."""
        line = bytes(self._tail).strip()
        self._tail.clear()
        return [line] if line else []

    def _grow(self, part: bytes) -> None:
        if len(self._tail) + len(part) > self._max_line_bytes:
            raise BadWire(f"a line of the answer is longer than {self._max_line_bytes} bytes")
        self._tail += part


class LineReader:
    """Reads one answer, line by line.

    Attributes:
        done: The last line has come: the answer is whole.
        remote_host: Where the model ran, as the answer says. None: it says nothing of the kind,
            so on the server itself.
    """

    def __init__(self, model: str, spell: int | None = None) -> None:
        """Ready for the first line.

        Args:
            model: As asked for; errors that are about it name it.
            spell: How many likeliest tokens to hand on with each one. None: no tokens.
        """
        self._spell = spell
        self.done = False
        self.remote_host: str | None = None
        self._asked = model
        self._model: str | None = None
        self._any_output = False
        self._calls = 0

    def read(self, line: bytes) -> Chunk | None:
        """One line's worth of answer; None when it says nothing we keep.

        What a reasoning model thinks is not text, and the probabilities of its thoughts are not
        those of its answer: both are left out.

        Raises: BadWire, or what an error line stands for.
        """
        if self.done:
            return None
        said = _decode(line)
        if said.error:
            raise line_error(said.error, self._asked)
        if said.remote_host or said.remote_model:
            self.remote_host = said.remote_host or f"the host of {said.remote_model}"
        message = said.message or _Message()
        text, thought = message.content or "", message.thinking
        self._any_output = self._any_output or bool(text or thought or message.tool_calls)
        told = (said.logprobs or ()) if text and not thought else ()
        chunk = Chunk(
            text=text,
            tokens=token_stats(told),
            logprobs=spelled(told, self._spell),
            tool_calls=self._called(message.tool_calls or ()),
            finish=self._finish(said),
            usage=_usage(said, any_output=self._any_output) if said.done else None,
            model=self._introduce(said),
        )
        return None if chunk == Chunk() else chunk

    def end(self) -> None:
        """The bytes are over. Raises: BadWire when the last line has not come."""
        if not self.done:
            raise BadWire("the answer stopped in the middle: no last line came")

    def _called(self, calls: list[_Call] | tuple[()]) -> tuple[ToolCall, ...]:
        self._calls += len(calls)
        if self._calls > MAX_CALLS:
            raise BadWire(f"the answer calls more than {MAX_CALLS} tools")
        return tuple(_call(call) for call in calls)

    def _finish(self, said: _Line) -> Finish | None:
        if not said.done:
            return None
        self.done = True
        finish = _FINISHES.get(said.done_reason or "")
        return "tool_calls" if self._calls and finish == "stop" else finish

    def _introduce(self, said: _Line) -> str | None:
        """The model, the first time it is known."""
        if self._model is None and said.model:
            self._model = redact(said.model)
            return self._model
        return None


def _decode(line: bytes) -> _Line:
    try:
        return _LINE.decode(line)
    except UnicodeDecodeError as exc:
        raise BadWire("a line of the answer is not UTF-8") from exc
    except msgspec.ValidationError as exc:
        raise BadWire(f"a line of the answer has an unknown shape: {exc}") from exc
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadWire(f"a line of the answer is not JSON: {exc}") from exc


def _call(call: _Call) -> ToolCall:
    """A call as Ollama sends it: whole, its arguments an object, in older versions without an id.

    It is then given one: the tool's result has to name it, and two calls must not share theirs.
    """
    if call.function is None or not call.function.name:
        raise BadWire("the answer calls a tool, but does not say which")
    try:
        arguments = bytes(call.function.arguments).decode()
    except UnicodeDecodeError as exc:
        raise BadWire("a line of the answer is not UTF-8") from exc
    return ToolCall(
        id=call.id or f"call_{secrets.token_hex(12)}",
        name=call.function.name,
        arguments="{}" if arguments == "null" else arguments,
    )


def _usage(said: _Line, *, any_output: bool) -> Usage | None:
    """Tokens as counted. None, also for a part: not said, or said in a way that can't be true.

    No prompt has zero tokens and no output is made of none: such a zero means "not counted", as
    for a prompt that older versions found in their cache.
    """
    output_tokens = _count(said.eval_count)
    usage = Usage(
        input_tokens=_count(said.prompt_eval_count) or None,
        output_tokens=None if output_tokens == 0 and any_output else output_tokens,
        cached_input_tokens=_count(said.prompt_eval_cached_count),
    )
    return None if usage == Usage() else usage


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
