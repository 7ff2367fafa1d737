"""Whether an answer has the form that was asked: JSON, JSON of a schema, calls of tools.

The schemas are jsonschema's to judge, imported when the first one comes. Reasons:
docs/adr/0006-json-schema.md. A schema that can't be used makes nothing valid, with its reason: what
nobody could check is not passed on as checked.

No reason quotes the answer's values: reasons are kept where the answer is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..types import Tool, ToolCall
from .schemas import SchemaProblem, checker

_MOST_TEXT = 1_000_000
"""Characters of JSON that are parsed."""

_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "maxProperties": 0}


def json_problem(text: str, schema: Mapping[str, Any] | None) -> str | None:
    """What keeps the text from being the JSON that was asked for. None: nothing does.

    Strict, as the caller's parser will be: a code fence or a word around it is a problem, and so
    are NaN and Infinity.

    Args:
        schema: What it has to fit. None: it has to be a JSON object.
    """
    try:
        value = _parsed(text)
        if schema is not None:
            return _misfit(value, schema)
    except ValueError as error:
        return str(error)
    return None if isinstance(value, dict) else "it is JSON, but no object"


def tool_calls_problem(calls: Iterable[ToolCall], tools: Iterable[Tool]) -> str | None:
    """What is wrong with the first call that is not in order. None: all are, or there are none.

    A call with empty arguments is one with none, ``{}``.
    """
    known = {tool.name: tool for tool in tools}
    for call in calls:
        tool = known.get(call.name)
        if tool is None:
            return f"it calls {call.name[:64]!r}, which is no tool of the request"
        schema = _NO_ARGUMENTS if tool.parameters is None else tool.parameters
        try:
            value = _parsed(call.arguments if call.arguments.strip() else "{}")
            problem = _misfit(value, schema)
        except ValueError as error:
            problem = str(error)
        if problem is None and not isinstance(value, dict):
            problem = "they are JSON, but no object"
        if problem is not None:
            return f"arguments of {call.name[:64]!r}: {problem}"
    return None


def _parsed(text: str) -> object:
    if len(text) > _MOST_TEXT:
        raise ValueError(f"it is longer than {_MOST_TEXT:,} characters")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise ValueError(f"it is no JSON: {exc.msg} at character {exc.pos}") from exc
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def _no_constant(word: str) -> object:
    raise ValueError(f"it is no JSON: {word} is no JSON number")


def _misfit(value: object, schema: Mapping[str, Any]) -> str | None:
    try:
        return checker(schema).misfit(value)
    except SchemaProblem as problem:
        return f"the asked schema can't be used: {problem}"
