"""What is known of a request before any model has run, from the request alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from ..types import Label, Message, Request, Tool, ToolCall
from .catalogue import AtMost, Value
from .complexity import Complexity, complexity
from .language import language_of
from .reading import last_user
from .script import script_of
from .task import task_of

PER_MESSAGE = 64
PER_PROMPT = 256
PER_TOOL = 64
_MOST_ASKED = 4
"""Messages of the user, from the last back, that are asked for their language."""


def prompt_bound(
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    json_schema: Mapping[str, Any] | None = None,
) -> AtMost:
    """Most tokens the text of a request can be, without a tokenizer.

    A byte-level or byte-fallback tokenizer never makes more tokens of a text than the text has
    bytes. (One that first rewrites the text by NFKC could: a single character may become eighteen.
    No chat model that firsthop knows does.) For what a chat template adds there is an allowance:
    64 tokens a message, a call or a tool, and 256 for a default system prompt. Calls and tools are
    counted as indented JSON, escaped.

    Pictures are not in it: what a picture costs is a matter of its size in dots and of the model.
    """
    found = PER_PROMPT
    for message in messages:
        text = message.content
        found += PER_MESSAGE + (
            len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        )
        if message.tool_call_id:
            found += len(message.tool_call_id) * 6
        for call in message.tool_calls:
            found += PER_MESSAGE + _call_bytes(call)
    if tools:
        found += PER_TOOL * len(tools) + _tools_bytes(tools)
    if json_schema is not None:
        found += PER_TOOL + _json_bytes({"json_schema": {"schema": dict(json_schema)}})
    return AtMost(found)


def request_signals(
    request: Request, label: Label, wanted: Collection[str], given: Mapping[str, Value]
) -> dict[str, Value]:
    """The wanted signals that the request itself holds, in the order of `wanted`. None: unknown.

    Each is found out at most once, and what several need is found out once. Signals of the device,
    of the world and of the tiers, and names nobody knows, are left out.

    Args:
        request: As the caller asked.
        label: How private it is, by the caller or the policy.
        wanted: Names of the signals asked for.
        given: What is known already, such as `prompt.tokens` by the device's tokenizer; taken as
            it is. Without it `prompt.tokens` is the bound by bytes.
    """
    found: dict[str, Value] = {}
    seen: Complexity | None = None
    for name in wanted:
        if name in given:
            found[name] = given[name]
        elif name in _OF_REQUEST:
            found[name] = _OF_REQUEST[name](request)
        elif name in _OF_TEXT:
            found[name] = _OF_TEXT[name](last_user(request.messages))
        elif name == "request.label":
            found[name] = label
        elif name == "request.max_output_tokens" and request.max_output_tokens is not None:
            found[name] = request.max_output_tokens
        elif name.startswith("request.tags."):
            found[name] = request.tags.get(name.removeprefix("request.tags."), "")
        elif name in _COMPLEXITY:
            seen = seen or complexity(last_user(request.messages), len(request.messages))
            found[name] = getattr(seen, name.removeprefix("complexity."))
    return found


def prompt_language(request: Request) -> str | None:
    """The language of the last of the user's messages that tells one. None: none does."""
    texts = [message.content for message in reversed(request.messages) if message.role == "user"]
    found = (language_of(text) for text in texts[:_MOST_ASKED])
    return next((language for language in found if language is not None), None)


def _bound(request: Request) -> AtMost:
    return prompt_bound(request.messages, request.tools, request.json_schema)


def _frames(request: Request) -> int | None:
    frames = [image.frames for message in request.messages for image in message.images]
    known = [count for count in frames if count is not None]
    return sum(known) if len(known) == len(frames) else None


def _json_asked(request: Request) -> str:
    if request.json_schema is not None:
        return "schema"
    return "object" if request.json else "none"


_OF_REQUEST: Mapping[str, Callable[[Request], Value]] = {
    "prompt.tokens": _bound,
    "prompt.turns": lambda request: len(request.messages),
    "prompt.language": prompt_language,
    "prompt.images": lambda request: sum(len(message.images) for message in request.messages),
    "prompt.frames": _frames,
    "request.tenant": lambda request: request.tenant,
    "request.tools": lambda request: len(request.tools),
    "request.tool_result": lambda request: (
        bool(request.messages) and request.messages[-1].role == "tool"
    ),
    "request.json": _json_asked,
}
_OF_TEXT: Mapping[str, Callable[[str], Value]] = {
    "prompt.script": script_of,
    "prompt.task": task_of,
}
_COMPLEXITY = frozenset(f"complexity.{part}" for part in ("score", *Complexity._fields))


def _call_bytes(call: ToolCall) -> int:
    return sum(_json_bytes(part) for part in (call.id, call.name, call.arguments))


_counted: dict[int, tuple[Sequence[Tool], int]] = {}
"""Bytes of tools by the identity of their tuple, which is kept with them so that it stays its own:
an app sends the same tools with each request, and the door makes one tuple of them."""
_MOST_COUNTED = 16
_MOST_BYTES = 256 * 1024


def _tools_bytes(tools: Sequence[Tool]) -> int:
    """Bytes of all tools as JSON at its longest."""
    known = _counted.get(id(tools))
    if known is not None and known[0] is tools:
        return known[1]
    found = _json_bytes([_on_the_wire(tool) for tool in tools])
    # What can be changed may be another next time.
    if isinstance(tools, tuple) and found <= _MOST_BYTES:
        if len(_counted) >= _MOST_COUNTED:
            _counted.clear()
        _counted[id(tools)] = tools, found
    return found


def _on_the_wire(tool: Tool) -> dict[str, Any]:
    """A tool as a chat template is given it: how deep it lies decides how far it is indented."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters or {"type": "object", "properties": {}}),
    }
    return {"type": "function", "function": function}


_compact = json.JSONEncoder(default=str).encode
_INDENT = 4


def _json_bytes(value: object) -> int:
    """Bytes of a value as JSON at its longest: indented, and each character escaped.

    Counted without writing it: Python's encoder is quick only where it writes on one line.
    """
    return len(_compact(value)) + _indentation(value, 0)


def _indentation(value: object, depth: int) -> int:
    """Bytes that a value `depth` deep is longer on lines of its own than on one."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple) or not value:
        return 0
    # A line for each, and one for the closing bracket; the blank behind each comma goes.
    lines = len(value) * (1 + _INDENT * (depth + 1)) + 1 + _INDENT * depth
    found = lines - (len(value) - 1)
    for one in cast(Collection[object], inner):
        found += _indentation(one, depth + 1)
    return found
