"""OpenAI's Responses, coming in: a body's bytes become a conversation and options.

What its clients may leave to the server is left: nothing is stored, so each request brings its
whole conversation, and a field that asks for what was stored is refused. As in `chat`, nothing is
dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ...asking import Options
from .chat import Asked, decoded, neutral
from .failure import Refusal, refuse
from .responses_input import hold, turns, unsupported

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "background": (False,),
    "context_management": ([],),
    "conversation": (),
    "max_tool_calls": (),
    "moderation": (),
    "prompt": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "truncation": ("disabled",),
}
"""As `chat.NEUTRAL`."""

_REASONING: Mapping[str, tuple[Any, ...]] = {
    "effort": ("none", "medium"),
    "generate_summary": ("auto",),
    "summary": ("auto",),
}
"""Likewise within `reasoning`: the efforts that models have when they are told none, and summaries
of what no answer of ours has."""

_LOGPROBS = "message.output_text.logprobs"
# No answer of ours has reasoning items, so there is none that could lack what this asks for.
_INCLUDED = (_LOGPROBS, "reasoning.encrypted_content")
_LOST = "nothing is stored here: send the whole conversation as `input`"


class Text(msgspec.Struct, forbid_unknown_fields=True):
    """How the text of an answer is wanted."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """How a stream is wanted."""

    include_obfuscation: bool | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a response."""

    input: str | list[dict[str, Any]]
    model: str = "auto"
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: Text | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    reasoning: dict[str, Any] | None = None
    previous_response_id: str | None = None
    background: Any = None
    context_management: Any = None
    conversation: Any = None
    max_tool_calls: Any = None
    moderation: Any = None
    parallel_tool_calls: Any = None
    prompt: Any = None
    prompt_cache_key: str | None = None
    service_tier: Any = None
    store: Any = None
    truncation: Any = None


_decoder = msgspec.json.Decoder(Body)


def read(raw: bytes) -> Asked:
    """A request. Raises: Refusal, for what is no such body, or asks what can't be honoured."""
    body: Body = decoded(_decoder, raw)
    if body.previous_response_id is not None:
        raise refuse(
            400,
            f"previous_response_id: {_LOST}",
            "previous_response_not_found",
            param="previous_response_id",
        )
    neutral(body, NEUTRAL)
    _hold_reasoning(body.reasoning or {})
    if body.stream_options is not None and body.stream_options.include_obfuscation:
        raise unsupported("stream_options.include_obfuscation", "can't be honoured")
    conversation = turns(body.input, body.instructions)
    if not body.input:
        raise refuse(400, "input: nothing was asked", "invalid_value", param="input")
    return Asked(
        model=body.model,
        messages=[turn for _, turn in conversation],
        options=_options(body),
        metadata=body.metadata,
        streamed=bool(body.stream),
        usage=True,
        places={
            "response_format.json_schema": "text.format",
            **{_turn(i, place): place for i, (place, _) in enumerate(conversation)},
            "messages": "input",
        },
        echo=_echo(body),
    )


def _hold_reasoning(wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        values = _REASONING.get(name, ())
        if value is not None and value not in values:
            only = "".join(f', or say "{word}"' for word in values)
            raise unsupported(f"reasoning.{name}", f"can't be honoured here; leave it out{only}")


def _turn(number: int, place: str) -> str:
    """What `asking` calls what stands at `place`: an item is a turn, a text alone its content."""
    return f"messages[{number}]" if place.endswith("]") else f"messages[{number}].content"


def not_kept(path: str) -> Refusal:
    """Why there is nothing at a path below `/v1/responses`."""
    name = path.removeprefix("/v1/responses/")
    if name in ("compact", "input_tokens"):
        return refuse(404, f"this server has no {path}", "not_available")
    return refuse(404, f"response {name!r} not found: nothing is stored here", "response_not_found")


def _options(body: Body) -> Options:
    options: dict[str, Any] = {
        name: value
        for name in ("max_output_tokens", "temperature", "top_p")
        if (value := getattr(body, name)) is not None
    }
    for i, name in enumerate(body.include or ()):
        if name not in _INCLUDED:
            raise unsupported(f"include[{i}]", f"{name!r} can't be honoured here")
    if body.top_logprobs or _LOGPROBS in (body.include or ()):
        options |= {"logprobs": True, "top_logprobs": body.top_logprobs or 0}
    for i, tool in enumerate(body.tools or ()):
        _check_tool(f"tools[{i}]", tool)
    if body.tools and body.tool_choice != "none":
        options["tools"] = [
            {name: tool.get(name) for name in ("name", "description", "parameters")}
            for tool in body.tools
        ]
    if body.parallel_tool_calls is not None:
        options["parallel_tool_calls"] = body.parallel_tool_calls
    if body.tool_choice not in (None, "none"):
        options["tool_choice"] = _choice(body.tool_choice)
    wanted = _format(body.text)
    if wanted is not None:
        options["response_format"] = wanted
    if body.user is not None:
        options["tags"] = {"user": body.user}
    return cast(Options, options)


def _check_tool(at: str, tool: Mapping[str, Any]) -> None:
    if tool.get("type") != "function":
        raise unsupported(f"{at}.type", "has to be function: this server has no tools of its own")
    hold(
        at,
        tool,
        *("type", "name", "description", "parameters", "strict"),
        idle={"async": False, "defer_loading": False, "allowed_callers": ["direct"]},
    )


def _choice(given: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if not isinstance(given, dict):
        return given
    if given.get("type") != "function":
        raise unsupported("tool_choice.type", "has to be function")
    return {"type": "function", "function": {"name": given.get("name")}}


def _format(text: Text | None) -> dict[str, Any] | None:
    """`text.format` in the shape of a chat's `response_format`."""
    if text is None:
        return None
    if text.verbosity not in (None, "medium"):
        raise unsupported("text.verbosity", 'can\'t be honoured; leave it out, or say "medium"')
    wanted = text.format
    if wanted is None or wanted.get("type") != "json_schema":
        if wanted is not None and wanted.get("type") not in ("text", "json_object"):
            raise unsupported("text.format.type", "has to be text, json_object or json_schema")
        hold("text.format", wanted or {}, "type")
        return wanted
    hold("text.format", wanted, "type", "name", "schema", "strict")
    if not isinstance(wanted.get("name"), str):
        where = "text.format.name"
        raise refuse(400, f"{where}: has to be text", "invalid_value", param=where)
    return {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}


def _echo(body: Body) -> dict[str, Any]:
    """What an answer says back of its request. Null: it was left to the target."""
    wanted = body.text.format if body.text is not None else None
    return {
        "background": False,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "temperature": body.temperature,
        "text": {"format": wanted or {"type": "text"}},
        "tool_choice": body.tool_choice or "auto",
        "tools": body.tools or [],
        "top_logprobs": body.top_logprobs,
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }
