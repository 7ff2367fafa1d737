"""An ask as the device's engine takes it: the schema of a forced call, and what can't be beside."""

from __future__ import annotations

import json

import jsonschema
import pytest

from router.device.schema import read_schema
from router.errors import Incapable, Refused
from router.providers.device_job import as_job
from router.types import Ask, Message, Tool


def ask(*tools, **options):
    return Ask(
        **{
            "messages": (Message(role="user", content="Go."),),
            "max_output_tokens": 100,
            "attempt_id": "1",
            "tools": tools,
            "tool_choice": "required",
            **options,
        }
    )


def tool(parameters, name="move"):
    return Tool(name=name, parameters=parameters)


def schema_of(*tools):
    return json.loads(as_job(ask(*tools)).guide.text)


def call(name, arguments):
    return {"name": name, "arguments": arguments}


def fits(schema, value):
    read_schema(schema, 100)  # the device can hold an answer to it
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_pointer_within_parameters_means_what_it_meant_there():
    schema = schema_of(
        tool(
            {
                "type": "object",
                "properties": {"name": {"type": "integer"}, "to": {"$ref": "#/properties/name"}},
                "required": ["to"],
            }
        )
    )

    assert fits(schema, call("move", {"to": 3}))
    assert not fits(schema, call("move", {"to": "move"}))


def test_parameters_that_contain_themselves_nest_arguments_and_not_calls():
    schema = schema_of(
        tool(
            {
                "type": "object",
                "properties": {"next": {"$ref": "#"}, "n": {"type": "null"}},
                "additionalProperties": False,
            }
        )
    )

    assert fits(schema, call("move", {"next": {"next": {"n": None}}}))
    assert not fits(schema, call("move", {"next": call("move", {})}))


@pytest.mark.parametrize("key", ["$defs", "definitions"])
def test_two_tools_may_mean_different_things_by_one_name(key):
    tools = [
        tool({"type": "object", "properties": {"v": {"$ref": f"#/{key}/V"}}, key: {"V": meant}}, n)
        for n, meant in (("a", {"type": "integer"}), ("b", {"type": "boolean"}))
    ]
    schema = schema_of(*tools)

    assert fits(schema, call("a", {"v": 1}))
    assert fits(schema, call("b", {"v": True}))
    assert not fits(schema, call("a", {"v": True}))


def test_a_property_called_ref_is_a_property():
    schema = schema_of(tool({"type": "object", "properties": {"$ref": {"type": "integer"}}}))

    assert fits(schema, call("move", {"$ref": 1}))
    assert not fits(schema, call("move", {"$ref": "#"}))


def test_a_tool_without_parameters_is_called_without_arguments():
    assert fits(schema_of(tool(None)), call("move", {}))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stop": ("}",)}, "stop"),
        ({"regex": "a+"}, "regex"),
        ({"grammar": 'start: "a"'}, "grammar"),
        ({"json": True}, "JSON"),
        ({"json": True, "json_schema": {"type": "object"}}, "JSON"),
    ],
)
def test_what_a_forced_call_can_not_honour_is_not_dropped(options, named):
    with pytest.raises(Incapable, match=named):
        as_job(ask(tool(None), **options))
    free = as_job(ask(**options, tool_choice=None))
    assert free.stop == options.get("stop", ())


def test_a_schema_that_is_no_json_or_too_deep_is_refused():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"items": deep}
    for parameters in ({"const": {1, 2}}, {"minimum": float("nan")}, deep):
        with pytest.raises(Refused):
            as_job(ask(tool(parameters)))
