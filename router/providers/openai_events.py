"""The events of a chat-completions stream as they are on the wire: bytes in, `Piece`s out.

Fields that are not listed are skipped unread.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ..errors import BadWire
from .openai_calls import CallPiece, Function
from .token_stats import Token

T = TypeVar("T")


class Logprobs(msgspec.Struct):
    """Of the tokens behind a delta."""

    content: list[Token] | None = None
    refusal: list[Token] | None = None


class Delta(msgspec.Struct, gc=False):
    """What an event adds to the answer."""

    content: str | None = None
    refusal: str | None = None  # in place of the content: the text of a model that declines
    tool_calls: list[CallPiece] | None = None
    function_call: Function | None = None  # a tool call, from before there could be several


class Choice(msgspec.Struct, gc=False):
    """One of the answers that are told side by side."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    content_filter_results: Any = None


class Piece(msgspec.Struct, gc=False):
    """One event."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_PIECE = msgspec.json.Decoder(Piece)
_ANYTHING = msgspec.json.Decoder()


def read_piece(data: bytes) -> Piece:
    """An event's data. Raises: BadWire."""
    return _decode(data, _PIECE)


def read_any(data: bytes) -> Any:
    """An event's data, whatever JSON it is. Raises: BadWire."""
    return _decode(data, _ANYTHING)


def read_lines(lines: list[bytes]) -> list[Piece] | None:
    """The data of events of one line each. None: some line is not a JSON object of a known shape.

    The decoder takes any white space between values. That each line is one value is sure all the
    same: none goes on over a line's end between two braces, and there are as many as lines.
    """
    joined = b"\n".join(lines)
    if joined.count(b"}\n{") != max(0, len(lines) - 1):
        return None
    try:
        pieces = _PIECE.decode_lines(joined)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return pieces if len(pieces) == len(lines) else None


def _decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _undecoded(exc) from exc


def _undecoded(exc: Exception) -> BadWire:
    """What it means that an event can't be read."""
    if isinstance(exc, UnicodeDecodeError):
        return BadWire("an event of the answer is not UTF-8")
    if isinstance(exc, msgspec.ValidationError):
        return BadWire(f"an event of the answer has an unknown shape: {exc}")
    return BadWire(f"an event of the answer is not JSON: {exc}")
