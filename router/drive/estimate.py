"""What a call probably cost whose target did not say what it counted. Pure.

A stream that is cut, by the caller, by a race or by the target, ends before its usage; and some
servers send none. What it was billed then stays unknown, and this stands beside it, never in it:

    input tokens  = as the target said, else as our tokenizer counted what was sent, else
                    bytes of UTF-8 / 4, rounded up, plus 4 a message
    output tokens = as the target said, else the tokens that came, where it shows them, else
                    characters / 4, rounded up
    dollars       = both at the price line, nothing cached

Four bytes a token is what English takes with today's tokenizers; other scripts take fewer bytes a
token, so there the estimate is low. Low it is also where a model thought before it spoke, and where
a target went on after we had left; high where a prompt was read from a cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Ask, TokenStat, ToolCall, Usage

PER_TOKEN = 4
"""Bytes of a prompt, and characters of an answer, to a token."""
PER_MESSAGE = 4
"""Tokens that a chat template adds to a message."""


def estimate(
    ask: Ask,
    said: Usage,
    text: Sequence[str],
    tokens: Sequence[TokenStat],
    calls: Sequence[ToolCall],
    counted: int | None = None,
) -> Usage | None:
    """Tokens that a call probably used. None: there is no telling, as with pictures.

    Args:
        ask: What was sent.
        said: What the target said of it; a count of its own is taken as it is.
        text: Pieces of the answer that came.
        tokens: Statistics that came with them.
        calls: Tool calls that came.
        counted: Tokens of the prompt by a tokenizer. None: nobody counted.
    """
    read = said.input_tokens
    if read is None:
        if any(message.images for message in ask.messages):
            return None
        read = _prompt_tokens(ask) if counted is None else counted
    written = said.output_tokens
    if written is None:
        characters = sum(map(len, text)) + sum(len(c.name) + len(c.arguments) for c in calls)
        written = len(tokens) or -(-characters // PER_TOKEN)
    return Usage(input_tokens=read, output_tokens=written)


def _prompt_tokens(ask: Ask) -> int:
    """By bytes: messages, calls in them, tools and the schema of the answer."""
    size = 0
    for message in ask.messages:
        size += len(message.content.encode("utf-8", "replace"))
        size += sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    for tool in ask.tools:
        size += len(tool.name) + len(tool.description) + len(str(tool.parameters or ""))
    if ask.json_schema is not None:
        size += len(str(ask.json_schema))
    return -(-size // PER_TOKEN) + PER_MESSAGE * len(ask.messages)
