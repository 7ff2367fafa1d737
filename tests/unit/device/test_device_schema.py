"""A JSON Schema read: what it is bounded to, what is refused, and with which words."""

from __future__ import annotations

import json

import pytest

from router.device.closing import closing
from router.device.numbers import spellings
from router.device.schema import read_schema
from router.errors import Incapable, Refused


def way_out(form, begun):
    tail = closing(form, begun.encode())
    return None if tail is None else tail.decode()


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "pattern": "a+"}, "pattern"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "schema.a"),
        ({"type": "integer", "multipleOf": 3}, "multipleOf"),
        ({"oneOf": [{"type": "string"}, {"enum": ["a"]}]}, "may fit the same"),
        ({"$ref": "https://example.com/s.json"}, "points out"),
        ({"$ref": "#/$defs/none"}, "points nowhere"),
        ({"$ref": "#"}, "no finite answer"),
        ({"enum": [[1]]}, "array or an object"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "schema.a"),
        ({"type": "strin"}, "strin"),
        ({"$ref": "#anchor"}, "anchor"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "no finite answer"),
        ({"type": "array", "minItems": 5, "maxItems": 3}, "no finite answer"),
        ({"oneOf": [{"const": 1}, {"const": 1.0}]}, "may fit the same"),
        (
            {"type": "object", "required": ["a"], "additionalProperties": False},
            "requires a and allows no such property",
        ),
    ],
)
def test_what_can_not_be_held_to_is_refused_with_its_place(schema, named):
    with pytest.raises(Incapable, match=named.replace("$", r"\$")):
        read_schema(schema, 100)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "required": 5}, "schema required is no array"),
        ({"type": "object", "required": "ab"}, "required is no array"),
        ({"type": "object", "required": [1]}, "something else than names in required"),
        ({"type": "object", "properties": 3}, "no mapping"),
        ({"type": "object", "additionalProperties": 7}, "additionalProperties"),
        ({"type": "array", "items": {"$ref": []}}, "schema.items.* is no pointer"),
        ({"anyOf": 5}, "anyOf is no array"),
        ({"oneOf": "ab"}, "oneOf is no array"),
        ({"allOf": {}}, "allOf is no array"),
        ({"enum": 3}, "enum is no array"),
        ({"type": 5}, "no JSON Schema"),
        ({"type": [["string"]]}, "no JSON Schema"),
        ({"const": 1, "type": 7}, "no JSON Schema"),
        ({"enum": [10**5000]}, "no JSON Schema"),
    ],
)
def test_what_is_no_schema_is_refused_and_breaks_nothing(schema, named):
    with pytest.raises(Refused, match=named):
        read_schema(schema, 100)


HUGE = {"type": "string", "minLength": 10**15}


@pytest.mark.parametrize(
    "schema",
    [
        HUGE,
        {"type": "array", "minItems": 10**15},
        {"type": "object", "properties": {"a": HUGE}, "required": ["a"]},
        {"type": "array", "items": {"type": "array", "minItems": 10**9}, "minItems": 10**9},
        {
            "$defs": {
                f"n{i}": {"type": "array", "items": {"$ref": f"#/$defs/n{i + 1}"}, "minItems": 9}
                for i in range(19)
            }
            | {"n19": {"type": "null"}},
            "$ref": "#/$defs/n0",
        },
    ],
)
def test_an_answer_longer_than_its_tokens_can_spell_is_refused_before_it_is_made(schema):
    with pytest.raises(Incapable, match="5,120 characters; it may have 40 tokens") as caught:
        read_schema(schema, 40)
    assert caught.value.code == "max_output_tokens"


@pytest.mark.parametrize(
    ("schema", "begun", "tail"),
    [
        ({"anyOf": [HUGE, {"type": "null"}]}, "", "null"),
        ({"anyOf": [HUGE, {"type": "null"}]}, '"', None),
        ({"type": "array", "items": HUGE}, "[", "]"),
        ({"type": "array", "items": HUGE}, '["', None),
        ({"type": "object", "properties": {"a": HUGE}}, "{", "}"),
        ({"type": "object", "properties": {"a": HUGE}}, '{"', None),
        ({"type": "object", "additionalProperties": HUGE}, '{"', None),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [HUGE, {"const": 1}]}}}, "", "1"),
    ],
)
def test_a_branch_too_long_to_be_spelled_is_no_way(schema, begun, tail):
    form = read_schema(schema, 40)

    assert way_out(form, begun) == tail
    assert str(10**15) not in form.as_schema()  # so that the guide doesn't go there either


def test_bounds_above_what_the_tokens_can_spell_are_lowered_to_it():
    schema = {"type": "array", "items": {"type": "string", "maxLength": 10**30}, "maxItems": 10**30}
    told = json.loads(read_schema(schema, 10).as_schema())

    assert told["maxItems"] == told["items"]["maxLength"] == 1280


def test_a_long_line_of_references_is_refused_and_no_crash():
    """Each line of 20 goes on in the one before, which has been read by then."""
    parts = {}
    for line in range(100):
        for i in range(20):
            ahead = f"{line}-{i + 1}" if i < 19 else f"{line - 1}-0"
            item = {"$ref": f"#/$defs/{ahead}"} if (line, i) != (0, 19) else {"type": "null"}
            parts[f"{line}-{i}"] = {"type": "array", "items": item, "minItems": 1}
    entries = {str(line): {"$ref": f"#/$defs/{line}-0"} for line in range(100)}
    schema = {"type": "object", "properties": entries, "required": ["99"], "$defs": parts}

    with pytest.raises(Incapable, match="too often"):
        read_schema(schema, 10_000)


@pytest.mark.parametrize(
    ("value", "others"),
    [
        (1e-7, {"1e-7", "0.0000001"}),
        (2.5e-9, {"2.5e-9", "0.0000000025"}),
        (1e16, {"1e16", "10000000000000000"}),
        (1.0, {"1"}),
        (-0.0, {"-0"}),
        (0.5, set()),
        (1e300, {"1e300"}),
    ],
)
def test_a_float_is_taken_in_each_of_its_spellings(value, others):
    found = set(spellings(value))

    assert found >= {json.dumps(value), *others}
    assert all(json.loads(text) == value for text in found)
    form = read_schema({"enum": [value]}, 100)
    assert all(way_out(form, text) == "" for text in found)
    assert json.loads(form.as_schema())["enum"].count(value) >= 1


def test_branches_told_apart_by_a_constant_are_one_of():
    kinds = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, "v": {"type": "integer"}},
            "required": ["kind", "v"],
        }
        for kind in ("dog", "cat")
    ]
    form = read_schema({"oneOf": kinds}, 100)

    assert way_out(form, '{"kind":"c') == 'at","v":0}'


def test_what_the_schema_leaves_open_is_bounded():
    schema = json.loads(read_schema({"type": "array", "items": {}}, 40).as_schema())

    assert schema["maxItems"] == 10
    strings = schema["$defs"]["any"]["anyOf"][0]
    assert strings == {"type": "string", "minLength": 0, "maxLength": 80}
