"""An `Ask` as the device's engine takes it, and a call of a tool out of what it gave.

A small model's chat template knows no tools, and one that may call them or not would have to decide
that in words nobody can rely on. So tools are taken only where a call is forced: the answer is then
held to a JSON object with the tool's name and its arguments, and a message of ours says which tools
there are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..device.engine import Guide, Job
from ..errors import Incapable, Refused
from ..types import Ask, Finish, Message, Need, Tool, ToolCall
from .base import honours

ABLE: frozenset[Need] = frozenset({"json", "grammar", "forced_tools"})
_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "required": []}
_PREFACE = (
    "Call one of these functions. Answer with a JSON object that has its name and its arguments:"
)


def forces_a_call(ask: Ask) -> bool:
    """Whether the answer has to be a call of a tool."""
    return bool(ask.tools) and ask.tool_choice not in (None, "none")


def as_job(ask: Ask) -> Job:
    """The job that answers `ask`.

    Raises:
        Incapable: It needs what the device can't do; a forced call beside another form or stop
            strings is such a thing.
        Refused: A schema of it is no JSON.
    """
    honours(ask, ABLE)
    forced = forces_a_call(ask)
    if forced:
        _nothing_beside(ask)
    tools = _callable(ask) if forced else ()
    guide = _guide(ask, tools)  # first, for it tells whether what the messages spell is JSON
    return Job(
        messages=_told(ask.messages, tools) if tools else ask.messages,
        max_output_tokens=ask.max_output_tokens,
        temperature=ask.temperature,
        seed=ask.seed,
        stop=ask.stop,
        top_p=ask.top_p,
        top_k=ask.top_k,
        min_p=ask.min_p,
        frequency_penalty=ask.frequency_penalty,
        presence_penalty=ask.presence_penalty,
        logit_bias=tuple(ask.logit_bias.items()),
        logprobs=ask.logprobs,
        guide=guide,
        tenant=ask.tenant or None,
        states=ask.states,
    )


def read_call(text: str, finish: Finish, ask: Ask) -> tuple[ToolCall, ...]:
    """The call that a held answer spells; none when it was cut.

    One that had to be ended for want of tokens is of the form too, but its arguments are not what
    the model had to say, and nobody should act on them.
    """
    if finish != "stop":
        return ()
    said = json.loads(text)
    arguments = json.dumps(said["arguments"], ensure_ascii=False)
    return (ToolCall(id=f"call_{ask.attempt_id}", name=said["name"], arguments=arguments),)


def _nothing_beside(ask: Ask) -> None:
    """Raise Incapable where a forced call would have to be of another form too, or stop early."""
    asked = (
        ("a JSON answer", ask.json or ask.json_schema is not None),
        ("regex", ask.regex is not None),
        ("grammar", ask.grammar is not None),
        ("stop", bool(ask.stop)),
    )
    found = [name for name, given in asked if given]
    if found:
        raise Incapable(
            f"the device can't honour {', '.join(found)} beside a forced call", reached=False
        )


def _callable(ask: Ask) -> tuple[Tool, ...]:
    if ask.tool_choice == "required":
        return ask.tools
    named = tuple(tool for tool in ask.tools if tool.name == ask.tool_choice)
    if not named:
        raise Refused(f"no tool is called {ask.tool_choice!r}", reached=False)
    return named


def _guide(ask: Ask, tools: tuple[Tool, ...]) -> Guide | None:
    if tools:
        return _json_guide(_calls_schema(tools))
    if ask.json_schema is not None:
        return _json_guide(ask.json_schema)
    if ask.json:
        return _json_guide(_ANY_OBJECT)
    if ask.regex is not None:
        return Guide(kind="regex", text=ask.regex)
    if ask.grammar is not None:
        return Guide(kind="lark", text=ask.grammar)
    return None


def _json_guide(schema: Mapping[str, Any]) -> Guide:
    try:
        return Guide(kind="json", text=json.dumps(dict(schema), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as exc:
        raise Refused(f"a JSON Schema of the request is no JSON: {exc}", reached=False) from exc


def _calls_schema(tools: tuple[Tool, ...]) -> dict[str, Any]:
    """A call of any of the tools. The parameters of each stay whole, at a place of their own."""
    try:
        parameters = {
            f"arguments{i}": _moved(
                _NO_ARGUMENTS if tool.parameters is None else tool.parameters,
                f"#/$defs/arguments{i}",
            )
            for i, tool in enumerate(tools)
        }
    except RecursionError as exc:
        raise Refused("the parameters of a tool are nested too deeply", reached=False) from exc
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool.name},
                "arguments": {"$ref": f"#/$defs/{place}"},
            },
            "required": ["name", "arguments"],
        }
        for tool, place in zip(tools, parameters, strict=True)
    ]
    only = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return {**only, "$defs": parameters}


def _moved(schema: Any, root: str) -> Any:
    """The same schema for another place: what pointed to its root points to `root`."""
    if isinstance(schema, Mapping):
        return {
            key: root + value.removeprefix("#")
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, root)
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_moved(one, root) for one in schema]
    return schema


def _told(messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> tuple[Message, ...]:
    """The messages, with a word on the tools in front: in the system's, if there is one."""
    lines = [_PREFACE]
    for tool in tools:
        known = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        lines.append(json.dumps({key: value for key, value in known.items() if value}))
    told = "\n".join(lines)
    if messages and messages[0].role == "system":
        first = Message(role="system", content=f"{messages[0].content}\n\n{told}")
        return (first, *messages[1:])
    return (Message(role="system", content=told), *messages)
