"""Anthropic's messages, coming in: a body's bytes become a conversation and options.

As in `chat`: every field is passed on, or its value may only be the one that changes nothing, or it
is refused by name. What the values mean is `asking`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from ...asking import Options
from .blocks import Cache, Turn, block, refused, turns
from .chat import Asked, decoded, neutral

VERSIONS = (b"2023-06-01", b"2026-10-21")
"""What `anthropic-version` may be: what is spoken here they have in common."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "thinking": ({"type": "disabled"},),
    "service_tier": ("auto", "standard_only"),
    "speed": ("standard",),
    "container": (),
    "inference_geo": (),
    "diagnostics": (),
}
"""As `chat.NEUTRAL`."""


class Choice(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What every choice of tools but ``none`` may say."""

    disable_parallel_tool_use: bool | None = None


class Auto(Choice, tag="auto"):
    """As the model likes."""


class AnyTool(Choice, tag="any"):
    """Some tool has to be called."""


class OneTool(Choice, tag="tool"):
    """This tool has to be called."""

    name: str


class NoTool(msgspec.Struct, tag="none", tag_field="type", forbid_unknown_fields=True):
    """No tool may be called."""


class Tool(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tool of the caller's own."""

    name: str
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    cache_control: Cache | None = None
    strict: bool | None = None
    eager_input_streaming: Any = None
    defer_loading: Any = None
    allowed_callers: Any = None
    input_examples: Any = None


OF_TOOLS: Mapping[str, tuple[Any, ...]] = {
    "eager_input_streaming": (False,),
    "defer_loading": (False,),
    "allowed_callers": (["direct"],),
    "input_examples": ([],),
}
"""The same for fields of a tool."""


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """The form that an answer has to have."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class Output(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of the answer as such."""

    format: Schema | None = None
    effort: Any = None


class Counted(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a count, and what a message has in common with it."""

    messages: list[Turn]
    model: str = "auto"
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Auto | AnyTool | OneTool | NoTool | None = None
    output_config: Output | None = None
    cache_control: Cache | None = None
    thinking: Any = None
    speed: Any = None


class Body(Counted, kw_only=True):
    """The body of a message."""

    max_tokens: int
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: dict[str, str | None] | None = None
    service_tier: Any = None
    container: Any = None
    inference_geo: Any = None
    diagnostics: Any = None


_decoder = msgspec.json.Decoder(Body)
_counts = msgspec.json.Decoder(Counted)


_PLACES = {
    "max_output_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format.json_schema": "output_config.format",
}
"""What the street calls otherwise, by this body's own names."""


def read(raw: bytes) -> Asked:
    """A request. Raises: Refusal, for what is no such body, or asks what can't be honoured."""
    body: Body = decoded(_decoder, raw)
    neutral(body, NEUTRAL)
    if body.max_tokens < 1:
        raise refused("max_tokens", "has to be at least 1; no answer can be made without a token")
    options: dict[str, Any] = {"max_output_tokens": body.max_tokens}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(body, name)
        if value is not None:
            options[name] = value
    if body.stop_sequences:
        for i, one in enumerate(body.stop_sequences):
            if not one:
                raise refused(f"stop_sequences[{i}]", "an empty text ends nothing")
        options["stop"] = body.stop_sequences
    options.update(_tools(body))
    if body.output_config is not None:
        options.update(_output(body.output_config))
    said = dict(body.metadata or {})
    user = said.pop("user_id", None)
    if user is not None:
        options["tags"] = {"user": user}
    return Asked(
        model=body.model,
        messages=turns(body.system, body.messages),
        options=cast(Options, options),
        metadata={name: value for name, value in said.items() if value is not None} or None,
        streamed=bool(body.stream),
        usage=True,
        places=_PLACES,
    )


def read_count(raw: bytes) -> tuple[str, list[dict[str, Any]]]:
    """What is to be counted: for which model, and the conversation.

    Raises: Refusal, as `read`, and for what no template that we know of spells out.
    """
    body: Counted = decoded(_counts, raw)
    neutral(body, {name: NEUTRAL[name] for name in ("thinking", "speed")})
    if _tools(body):
        raise refused("tools", "can't be counted: each target spells them out in its own way")
    if body.output_config is not None and _output(body.output_config):
        raise refused("output_config.format", "can't be counted: each target has its own way")
    found = turns(body.system, body.messages)
    if any("tool_calls" in turn or turn["role"] == "tool" for turn in found):
        raise refused("messages", "tool calls can't be counted: each target has its own way")
    return body.model, found


def _tools(body: Counted) -> dict[str, Any]:
    """The options of `asking` that tools and their choice come to."""
    given = [_tool(f"tools[{i}]", tool) for i, tool in enumerate(body.tools or ())]
    choice = body.tool_choice
    if isinstance(choice, NoTool) or (not given and isinstance(choice, Auto | None)):
        return {}
    if not given:
        raise refused("tool_choice", "says that a tool has to be called, and there is none")
    options: dict[str, Any] = {"tools": given}
    if isinstance(choice, AnyTool):
        options["tool_choice"] = "required"
    elif isinstance(choice, OneTool):
        options["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    if isinstance(choice, Choice) and choice.disable_parallel_tool_use:
        options["parallel_tool_calls"] = False
    return options


def _tool(place: str, given: dict[str, Any]) -> dict[str, Any]:
    kind = given.get("type")
    if kind not in (None, "custom"):
        raise refused(
            f"{place}.type", f"{kind!r} is run by Anthropic's own servers; give a tool of your own"
        )
    tool: Tool = block(place, given, Tool)
    neutral(tool, OF_TOOLS, f"{place}.")
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _output(given: Output) -> dict[str, Any]:
    if given.effort is not None:
        raise refused("output_config.effort", "can't be honoured here; leave it out")
    if given.format is None:
        return {}
    schema = {"schema": given.format.schema}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
