"""One `Ask` as the JSON body of a chat-completions request.

Nothing of an ask is left out in silence: what the target can't take is refused here, before
anything is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..errors import Incapable, Refused, TimedOut
from ..types import Ask, Message, Tool
from .base import Dialect, Target, honours, no_field
from .options import flag

_ALTERNATIVES = 2  # the fewest that show a margin
_SCHEMA_NAME = "answer"  # the wire wants one; the model may see it
_ANY_OBJECT = {"type": "object"}
_NO_PARAMETERS = {"type": "object", "properties": {}}


def request_body(ask: Ask, target: Target, dialect: Dialect) -> dict[str, Any]:
    """The body; what isn't asked for isn't sent.

    Raises: TimedOut when there is no time left to ask, Refused when the text can't be UTF-8, a
    schema is no JSON or a picture's address is of another kind than http(s) and data, Incapable
    when more is asked for than the dialect's abilities, formats and sizes allow.
    """
    if ask.timeout_s is not None and ask.timeout_s <= 0:
        raise TimedOut("there was no time left to ask", reached=False)
    if "images" in honours(ask, dialect.abilities):
        _check_images(ask, dialect)
    try:
        body: dict[str, Any] = {
            "model": target.model,
            "messages": _messages(ask.messages),
            "stream": True,
            dialect.cap_field: ask.max_output_tokens,
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
        if ask.json or ask.json_schema is not None:
            body["response_format"] = _response_format(ask.json_schema, dialect)
        for text in ask.stop:
            text.encode()
    except UnicodeEncodeError as exc:
        raise Refused(
            "the text holds half of a surrogate pair, which no wire carries", reached=False
        ) from exc
    if dialect.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if flag(target, "logprobs") or ask.logprobs is not None:
        _check_logprobs(ask, dialect)
        alternatives = max(ask.logprobs or 0, _ALTERNATIVES if flag(target, "logprobs") else 0)
        body |= {"logprobs": True, "top_logprobs": alternatives}
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.seed is not None:
        body["seed"] = ask.seed
    if ask.stop:
        body["stop"] = list(ask.stop)
    return body | _wishes(ask)


def _wishes(ask: Ask) -> dict[str, Any]:
    """Fields for what is wished of the choice of tokens and tools.

    Raises: Incapable for what this wire has no field for.
    """
    no_field(ask, "top_k", "min_p", "regex", "grammar")
    body: dict[str, Any] = {}
    if ask.top_p is not None:
        body["top_p"] = ask.top_p
    if ask.frequency_penalty is not None:
        body["frequency_penalty"] = ask.frequency_penalty
    if ask.presence_penalty is not None:
        body["presence_penalty"] = ask.presence_penalty
    if ask.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in ask.logit_bias.items()}
    if ask.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = ask.parallel_tool_calls
    if ask.tool_choice in ("none", "required"):
        body["tool_choice"] = ask.tool_choice
    elif ask.tool_choice is not None:
        body["tool_choice"] = {"type": "function", "function": {"name": ask.tool_choice}}
    return body


def _check_logprobs(ask: Ask, dialect: Dialect) -> None:
    if ask.logprobs is not None and not dialect.logprobs:
        raise Incapable("it tells no log-probabilities", reached=False)


def _check_images(ask: Ask, dialect: Dialect) -> None:
    inline_bytes = 0
    for image in (image for message in ask.messages for image in message.images):
        scheme = image.url[:8].partition(":")[0].lower()  # the rest may be megabytes
        if scheme == "data":
            inline_bytes += len(image.url)
        elif scheme not in ("http", "https"):
            raise Refused("a picture's address has to be http(s): or data:", reached=False)
    if inline_bytes > dialect.max_image_bytes:
        raise Incapable(
            f"the pictures in the request have {inline_bytes:,} bytes; at most "
            f"{dialect.max_image_bytes:,} are sent to it (`max_image_bytes`)",
            reached=False,
        )


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Each as the wire has it. Raises: UnicodeEncodeError."""
    found: list[dict[str, Any]] = []
    for message in messages:
        content = message.content
        if not content.isascii():
            content.encode()
        if message.role == "tool" or message.images or message.tool_calls:
            found.append(_message(message))
        else:
            found.append({"role": message.role, "content": content})
    return found


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    for beside in _beside(message):
        beside.encode()
    if message.images:
        text = [{"type": "text", "text": message.content}] if message.content else []
        said["content"] = text + [
            {"type": "image_url", "image_url": {"url": image.url}} for image in message.images
        ]
    if message.tool_calls:
        said["content"] = said["content"] or None
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _beside(message: Message) -> Iterator[str]:
    """Every text of a message but its content."""
    for image in message.images:
        yield image.url
    for call in message.tool_calls:
        yield from (call.id, call.name, call.arguments)
    if message.tool_call_id is not None:
        yield message.tool_call_id


def _tool(tool: Tool) -> dict[str, Any]:
    tool.name.encode()
    tool.description.encode()
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    # Always sent: to leave it out means the same, but some servers look for it.
    function["parameters"] = _plain(_NO_PARAMETERS if tool.parameters is None else tool.parameters)
    return {"type": "function", "function": function}


def _response_format(schema: Mapping[str, Any] | None, dialect: Dialect) -> dict[str, Any]:
    if schema is None and "json_object" in dialect.json_formats:
        return {"type": "json_object"}
    if "json_schema" not in dialect.json_formats:
        raise Incapable("it takes no JSON Schema for its answer (`json_formats`)", reached=False)
    wanted: dict[str, Any] = {
        "name": _SCHEMA_NAME,
        "schema": _plain(_ANY_OBJECT if schema is None else schema),
    }
    if dialect.strict_schema and schema is not None:
        wanted["strict"] = True
    return {"type": "json_schema", "json_schema": wanted}


def _plain(schema: Mapping[str, Any]) -> Any:
    """A schema as values that both transports write alike, whatever the caller built it from.

    Nobody may change them: an app sends the same schemas again and again, and gets the same values.

    Raises: UnicodeEncodeError, or Refused when it is no JSON.
    """
    try:
        text = _strict(dict(schema))
        text.encode()
        return _read_again(text) if len(text) <= _MOST_KEPT else _read(text)
    except UnicodeEncodeError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise Refused(f"a JSON Schema of the request is no JSON: {exc}", reached=False) from exc


def _read(text: str) -> Any:
    return json.loads(text, parse_int=_whole_number)


_strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_MOST_KEPT = 16_384
"""Characters of a schema that is remembered."""
_read_again = lru_cache(maxsize=64)(_read)


def _whole_number(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**64:
        raise ValueError("a whole number of more than 64 bits")
    return number
