"""One `Ask` as the JSON body of Ollama's ``/api/chat``.

Ollama cuts a prompt that is longer than the context in silence, and drops its beginning when the
answer fills the rest. So every request says how long the context is (`num_ctx`), and that neither
may happen (`truncate`, `shift`; heeded from version 0.12.6 on).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..errors import Incapable, Refused, TimedOut
from ..types import Ask, Message, Tool
from .base import no_field
from .ollama_options import OllamaOptions

_ALTERNATIVES = 2  # the fewest that show a margin

# What a model's template is given room for: marks around a message or a call, and a preface.
_MARKS_TOKENS = 32
_PREFACE_TOKENS = 512


def chat_body(ask: Ask, model: str, options: OllamaOptions) -> bytes:
    """The body; what isn't asked for isn't sent.

    Raises: TimedOut when there is no time left to ask, Refused when the text can't be UTF-8 or a
    schema is no JSON, Incapable for pictures that are too large or not in the request itself.
    """
    if ask.timeout_s is not None and ask.timeout_s <= 0:
        raise TimedOut("there was no time left to ask", reached=False)
    _check_size(ask, options.max_image_bytes)
    settings: dict[str, Any] = {"num_predict": ask.max_output_tokens}
    if options.num_ctx is not None:
        settings["num_ctx"] = options.num_ctx
    if ask.temperature is not None:
        settings["temperature"] = ask.temperature
    if ask.seed is not None:
        settings["seed"] = ask.seed
    if ask.stop:
        settings["stop"] = list(ask.stop)
    settings |= _wishes(ask, options)
    body: dict[str, Any] = {
        "model": model,
        "messages": list(_messages(ask)),
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": settings,
    }
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
    if ask.json_schema is not None:
        body["format"] = _plain(ask.json_schema, "the JSON Schema is")
    elif ask.json:
        body["format"] = "json"
    if options.logprobs:
        body |= {"logprobs": True, "top_logprobs": max(_ALTERNATIVES, ask.logprobs or 0)}
    if options.think is not None:
        body["think"] = options.think
    if options.keep_alive is not None:
        body["keep_alive"] = options.keep_alive
    return _encoded(body)


def _wishes(ask: Ask, options: OllamaOptions) -> dict[str, Any]:
    """Settings for what is wished of the choice of tokens.

    Raises: Incapable for what Ollama has no field for.
    """
    no_field(ask, "logit_bias", "tool_choice", "parallel_tool_calls", "regex", "grammar")
    if ask.logprobs is not None and not options.logprobs:
        raise Incapable("it isn't asked for log-probabilities (`logprobs`)", reached=False)
    names = ("top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty")
    return {name: value for name in names if (value := getattr(ask, name)) is not None}


def most_tokens(ask: Ask) -> int:
    """An upper bound of prompt and answer, in tokens, pictures apart.

    No token is shorter than a byte of its text. What the model's own template adds can't be seen
    from here; it has room for some marks, a preface, and to write a tool twice as long as it came.
    """
    calls = sum(len(message.tool_calls) for message in ask.messages)
    told = sum(
        len(text.encode(errors="replace")) for message in ask.messages for text in _texts(message)
    )
    tools = sum(len(_encoded(_tool(tool))) for tool in ask.tools)
    marks = _MARKS_TOKENS * (len(ask.messages) + calls)
    return told + 2 * tools + marks + _PREFACE_TOKENS + ask.max_output_tokens


def _texts(message: Message) -> Iterator[str]:
    yield message.content
    for call in message.tool_calls:
        yield from (call.name, call.arguments)


def _messages(ask: Ask) -> Iterator[dict[str, Any]]:
    """The messages; a tool's result names its tool, for Ollama's own calls had no id for long."""
    tools = {call.id: call.name for message in ask.messages for call in message.tool_calls}
    for message in ask.messages:
        said: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.images:
            said["images"] = [_base64(image.url) for image in message.images]
        if message.tool_calls:
            said["tool_calls"] = [
                {
                    "id": call.id,
                    "function": {"name": call.name, "arguments": _arguments(call.arguments)},
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id is not None:
            said["tool_call_id"] = message.tool_call_id
            if message.tool_call_id in tools:
                said["tool_name"] = tools[message.tool_call_id]
        yield said


def _check_size(ask: Ask, most_bytes: int) -> None:
    found_bytes = sum(len(image.url) for message in ask.messages for image in message.images)
    if found_bytes > most_bytes:
        raise Incapable(
            f"the pictures in the request have {found_bytes:,} bytes; at most {most_bytes:,} are "
            "sent to it (`max_image_bytes`)",
            reached=False,
        )


def _base64(url: str) -> str:
    scheme, _, data = url.partition(";base64,")
    if not (scheme.lower().startswith("data:") and data):
        raise Incapable(
            "it fetches no pictures; send them in the request, as a data: URL in base64",
            reached=False,
        )
    return data


def _arguments(text: str) -> Any:
    """A call's arguments as the object Ollama wants, though a model may have written anything."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as exc:
        raise Refused(f"a tool call's arguments are no JSON: {exc}", reached=False) from exc
    if not isinstance(found, dict):
        raise Refused("a tool call's arguments are no JSON object", reached=False)
    return _plain(found, "a tool call's arguments are")


def _tool(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": _plain(parameters, "the parameters of a tool are"),
        },
    }


def _plain(given: Mapping[str, Any], what: str) -> msgspec.Raw:
    """A caller's mapping, whatever it is built from, as the JSON it stands for."""
    try:
        return msgspec.Raw(json.dumps(dict(given), ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as exc:
        raise Refused(f"{what} no JSON: {exc}", reached=False) from exc


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as exc:
        raise Refused(
            "the text holds half of a surrogate pair, which no wire carries", reached=False
        ) from exc
