"""JSON is held to what was asked, and a hostile schema makes nothing valid and nothing crash."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals.forms import json_problem, tool_calls_problem
from router.types import Tool, ToolCall

PERSON: Mapping[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
SEARCH = Tool(name="search", parameters={"type": "object", "properties": {"q": {"type": "string"}}})


def call(arguments: str, name: str = "search") -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments)


@pytest.mark.parametrize("text", ["{}", ' {"a": [1, 2.5, null]}\n', '{"a": "\\ud800"}'])
def test_a_json_object_is_in_order(text: str) -> None:
    assert json_problem(text, None) is None


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "no JSON"),
        ("[1]", "no object"),
        ("42", "no object"),
        ('```json\n{"a": 1}\n```', "no JSON"),
        ('Here it is: {"a": 1}', "no JSON"),
        ('{"a": 1} I hope this helps.', "no JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ("{'a': 1}", "no JSON"),
        ('{"a": 1', "no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 10_000 + "}", "digits"),
        (" " * 1_000_001, "longer than"),
    ],
)
def test_anything_else_is_a_problem_with_its_reason(text: str, because: str) -> None:
    assert because in (json_problem(text, None) or "")


def test_a_schema_is_held_against_the_answer() -> None:
    assert json_problem('{"name": "Ada", "age": 36}', PERSON) is None
    assert json_problem('{"age": 36}', PERSON) == "the whole breaks 'required'"
    assert json_problem('{"name": "Ada", "age": -1}', PERSON) == "age breaks 'minimum'"
    assert "breaks" in (json_problem('{"name": "Ada", "x": 1}', PERSON) or "")


def test_a_schema_may_ask_for_something_that_is_no_object() -> None:
    assert json_problem("[1, 2]", {"type": "array", "items": {"type": "integer"}}) is None


def test_no_reason_quotes_what_the_answer_says() -> None:
    problem = json_problem('{"name": "Ada", "age": "a secret"}', PERSON)

    assert problem is not None
    assert "secret" not in problem


def test_references_inside_a_schema_are_followed() -> None:
    schema = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }

    assert json_problem('{"next": {"next": {}}}', schema) is None
    assert "breaks 'type'" in (json_problem('{"next": {"next": 1}}', schema) or "")


def test_an_older_dialect_is_read_as_its_own() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "number",
        "minimum": 3,
        "exclusiveMinimum": True,
    }

    assert json_problem("4", schema) is None
    assert "minimum" in (json_problem("3", schema) or "")


# Hostile schemas

DOUBLING = {
    "$defs": {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}
        for i in range(40)
    }
    | {"d40": {}},
    "$ref": "#/$defs/d0",
}
GROWING = {
    "$defs": {
        "n": {"properties": {"a": {"allOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]}}}
    },
    "$ref": "#/$defs/n",
}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("{}", {"type": "nonsense"}),
        ("{}", {"$ref": "#"}),
        ("{}", {"$ref": "#/$defs/missing"}),
        ("{}", {"$ref": "http://127.0.0.1:9/schema.json"}),
        ("{}", {"$ref": "file:///etc/passwd"}),
        ("{}", DOUBLING),
        ('{"a": ' * 30 + "{}" + "}" * 30, GROWING),
        ("{}", deep(400)),
        ("{}", deep(50_000)),
        ("{}", {"x": object()}),
        ("{}", {"enum": [b"bytes"]}),
        ("{}", {"pattern": "("}),
        ("{}", {"pattern": 5}),
        ('"x"', {"$defs": {"a": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(a+)+$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(a|aa)+$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^((a)|(aa))*$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^([a-z]+)*$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(a{1,}){5,}$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "(x?a*)\\1+b"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(b?(a+))*$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(?:a{1,50}){1,50}$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "^(a?){40}a{40}$"}),
        (json.dumps("a" * 40 + "!"), {"pattern": "(" + "*" * 10_000}),
        (json.dumps("a" * 40_000 + "!"), {"pattern": "^a*a*a*a*$"}),
        (json.dumps({"a" * 40 + "!": 1}), {"patternProperties": {"^(a+)+$": {}}}),
        ("{}", {"description": "x" * 300_000}),
    ],
)
def test_a_schema_that_cannot_be_used_makes_the_answer_not_valid(
    text: str, schema: Mapping[str, Any]
) -> None:
    begun = time.perf_counter()

    problem = json_problem(text, schema)

    assert problem is not None
    assert problem.startswith("the asked schema can't be used: ")
    assert len(problem) < 300
    assert time.perf_counter() - begun < 3


def test_a_reference_to_elsewhere_is_not_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]

        problem = json_problem("{}", {"$ref": f"http://127.0.0.1:{port}/schema.json"})

        assert "can't be used" in (problem or "")
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", "2026-11-22", "22.11.2026"),
        (r"^[A-Z]{2}\d{2,30}$", "DE12", "de"),
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "ada@example.org", "ada"),
        (r"^(red|green|blue)$", "red", "pink"),
        (r"^\+?\d+(\.\d+)?$", "+3.5", "x"),
        (r"\(\d+\)", "(12)", "12"),
        (r"^\[a+\]+$", "[aa]", "aa"),
        (r"^(\d{1,3}\.){3}\d{1,3}$", "10.0.0.1", "10.0"),
        (r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$", "00:1a:2b:3c:4d:5e", "00"),
        (r"^(?:sk|pk)_(?P<key>[a-z]+)$", "sk_abc", "abc"),
        (r"^[(+*)]+$", "(+)", "a"),
    ],
)
def test_ordinary_patterns_are_used(pattern: str, good: str, bad: str) -> None:
    schema = {"type": "string", "pattern": pattern}

    assert json_problem(json.dumps(good), schema) is None
    assert json_problem(json.dumps(bad), schema) == "the whole breaks 'pattern'"


@given(st.text(max_size=100))
def test_every_text_is_judged(text: str) -> None:
    problem = json_problem(text, PERSON)

    assert problem is None or (problem and len(problem) < 300)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
keywords = st.sampled_from(
    [
        "type",
        "properties",
        "$ref",
        "pattern",
        "items",
        "allOf",
        "enum",
        "$schema",
        "minLength",
        "$id",
    ]
)


@given(st.dictionaries(keywords, json_values, max_size=4), json_values)
def test_no_schema_crashes(schema: dict[str, Any], value: object) -> None:
    problem = json_problem(json.dumps(value), schema)

    assert problem is None or re.match(
        r"the asked schema can't be used: .|.* breaks ", problem, re.S
    )


# Calls of tools


def test_calls_that_fit_their_tools_are_in_order() -> None:
    clock = Tool(name="clock")

    assert tool_calls_problem((), ()) is None
    assert tool_calls_problem((call('{"q": "rice"}'),), (SEARCH,)) is None
    assert tool_calls_problem((call("", "clock"), call("{}", "clock")), (SEARCH, clock)) is None


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (call("{}", "delete_all"), "'delete_all', which is no tool"),
        (call('{"q": 1}'), "q breaks 'type'"),
        (call("q=rice"), "no JSON"),
        (call('["rice"]'), "breaks 'type'"),
        (call('{"x": 1}', "clock"), "breaks 'maxProperties'"),
        (call("[1]", "anything"), "no object"),
        (call("{}", "broken"), "can't be used"),
    ],
)
def test_a_call_that_does_not_fit_is_a_problem_with_its_reason(
    wrong: ToolCall, because: str
) -> None:
    tools = (
        SEARCH,
        Tool(name="clock"),
        Tool(name="anything", parameters={}),
        Tool(name="broken", parameters={"type": "nonsense"}),
    )

    problem = tool_calls_problem((call('{"q": "rice"}'), wrong), tools)

    assert problem is not None
    assert because in problem
