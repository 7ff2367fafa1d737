"""Answers held to JSON: the shortest way to the end, and who takes it."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.schemas import random_schema

from router.device.closing import Closing, closing
from router.device.form import Number
from router.device.guard import Guard, Shortest
from router.device.numbers import is_number, shortest_tail
from router.device.schema import read_schema


def way_out(form, begun):
    tail = closing(form, begun.encode())
    return None if tail is None else tail.decode()


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"enum": ["a", "bb"]}, "minItems": 2, "maxItems": 3},
        "next": {"$ref": "#/$defs/node"},
    },
    "required": ["name", "tags", "next"],
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {"n": {"$ref": "#/$defs/node"}, "v": {"type": "boolean"}},
                    "required": ["n"],
                },
            ]
        }
    },
}
WHOLE = (
    '{"name":"Jo\\u00e9\\"x","age":119,"share":0.05,"tags":["a","bb","a"],'
    '"next":{"n":{"n":null,"v":true}}}'
)


@pytest.mark.parametrize("end", range(len(WHOLE) + 1))
def test_from_every_place_in_an_answer_there_is_a_way_to_a_valid_end(end):
    tail = way_out(read_schema(PERSON, 200), WHOLE[:end])

    assert tail is not None
    jsonschema.validate(json.loads(WHOLE[:end] + tail), PERSON)


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_cut_within_a_character_is_ended_with_the_rest_of_it(seed):
    schema = {
        "type": "object",
        "properties": {"größe": {"enum": ["日本", "日付"]}, "t": {"type": "string"}},
        "required": ["größe"],
    }
    whole = '{"größe":"日付","t":"ß日😀ࠀ"}'.encode()
    form = read_schema(schema, 100)
    for end in range(seed, len(whole), 20):
        jsonschema.validate(json.loads(whole[:end] + closing(form, whole[:end])), schema)


def test_a_whole_answer_needs_nothing_more():
    assert way_out(read_schema(PERSON, 200), WHOLE) == ""


@pytest.mark.parametrize(
    "begun",
    ["[", '{"age":19', '{"name":"J"', '{"name":"Jo","age":7,', '{"name":"Jo","other":', "x", " {"],
)
def test_what_is_not_of_the_form_has_no_way_to_the_end(begun):
    assert way_out(read_schema(PERSON, 200), begun) is None


@pytest.mark.parametrize("seed", range(30))
def test_the_shortest_answer_of_a_random_schema_validates_from_each_of_its_beginnings(seed):
    schema = random_schema(seed)
    form = read_schema(schema, 300)
    least = form.least()

    validate = jsonschema.Draft202012Validator(schema).validate
    validate(json.loads(least))
    for end in range(len(least) + 1):
        tail = way_out(form, least[:end])
        assert tail is not None
        validate(json.loads(least[:end] + tail))
        assert len(least[:end] + tail) <= len(least)


@given(st.integers(0, 10_000), st.data())
def test_an_answer_followed_as_it_grows_is_closed_like_one_that_is_given_whole(seed, data):
    """Also where it goes astray, and where a token was taken back."""
    form = read_schema(random_schema(seed) if seed % 4 else {}, 300)
    grown = Closing(form)
    raw = closing(form, b"{" if data.draw(st.booleans()) else b"") or b""
    said = b""
    for _ in range(data.draw(st.integers(1, 12))):
        whole = said + (closing(form, said) or raw)
        step = data.draw(
            st.sampled_from([whole[len(said) :][: data.draw(st.integers(1, 9))]])
            | st.sampled_from(
                [b'"', b",", b'"x', b":", b"1", b"[", b"{", b"}", b"\\u00", b"-", b"."]
            )
        )
        assert grown.of(said + step) == closing(form, said + step)
        if closing(form, said + step) is not None and data.draw(st.booleans()):
            said += step


NAMED_AND_OTHERS = {
    "type": "object",
    "properties": {
        "": {"type": "boolean"},
        "age": {"type": "string", "minLength": 5},
        "age.": {"type": "null"},
        "größe": {"type": "null"},
    },
    "additionalProperties": {"type": "integer"},
}


@pytest.mark.parametrize(
    "begun",
    [
        "{",
        '{"',
        '{"ag',
        '{"age',
        '{"\\u0061ge',
        '{"age.',
        '{"größ',
        '{"größe',
        '{"gr\\u00f6\\u00df',
        '{"":true,',
        '{"x":1,',
        '{"x":1,"',
        '{"x":1,"age',
        '{"age.":null,"age',
    ],
)
def test_a_key_that_the_schema_does_not_name_never_becomes_one_that_it_names(begun):
    raw = begun.encode()
    form = read_schema(NAMED_AND_OTHERS, 100)
    for end in range(len(raw) + 1):
        tail = closing(form, raw[:end])

        assert tail is not None
        jsonschema.validate(json.loads(raw[:end] + tail), NAMED_AND_OTHERS)


@pytest.mark.parametrize("said", ['{"age":0', '{"x":1,"age":2}', '{"\\u0061ge":0', '{"größe":1'])
def test_a_named_key_takes_only_its_own_kind(said):
    assert way_out(read_schema(NAMED_AND_OTHERS, 100), said) is None


@given(st.data())
def test_any_object_can_be_closed_wherever_it_stops(data):
    value = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=12,
        )
    )
    text = json.dumps({"x": value}, separators=(",", ":"), ensure_ascii=data.draw(st.booleans()))
    form = read_schema({"type": "object"}, 400)
    end = data.draw(st.integers(0, len(text)))

    tail = way_out(form, text[:end])

    assert tail is not None
    json.loads(text[:end] + tail)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.booleans(), st.data())
def test_a_number_begun_ends_within_its_bounds(low, width, whole, data):
    scale = 1 if whole else data.draw(st.sampled_from([1, 10, 1000]))
    bounds = Number(Fraction(low, scale), Fraction(low + width, scale), whole)
    inside = data.draw(st.integers(low, low + width))
    text = str(inside // scale) if whole else _decimal(inside, scale)
    begun = text[: data.draw(st.integers(0, len(text)))]

    tail = shortest_tail(begun, bounds)

    assert tail is not None
    assert is_number(begun + tail, bounds)
    assert len(tail) <= len(text) - len(begun)


@pytest.mark.parametrize("begun", ["01", "-01", "00", ".5", "-.", "1..", "--1", "1-"])
def test_what_begins_no_number_is_not_finished_to_one(begun):
    assert shortest_tail(begun, Number(Fraction(-99), Fraction(99), whole=False)) is None


def _decimal(value, scale):
    sign, value = ("-" if value < 0 else ""), abs(value)
    places = len(str(scale)) - 1
    return f"{sign}{value // scale}" + (f".{value % scale:0{places}d}" if places else "")


BYTES = Shortest(lambda text: list(text.encode()), [bytes([i]) for i in range(256)])


@given(st.integers(0, 10_000), st.integers(0, 60))
def test_an_answer_is_whole_whatever_is_chosen_and_whenever_it_must_end(seed, spare):
    """A model that chooses bytes at random among those of the form, and has few tokens."""
    dice = random.Random(seed)
    schema = {
        "type": "object",
        "properties": {"t": {"type": "string"}, "n": {"type": "integer"}, "é": {"const": "日本"}},
        "required": ["t", "é"],
    }
    form = read_schema(schema, 100)
    guard = Guard(form, BYTES, leading_space=False)
    cap = len(guard.tail) + spare
    text = b""
    alphabet = b'{}":,tn0189' + "é日本\\x".encode()
    for number in range(1, cap + 1):
        wanted = [bytes([dice.choice(alphabet)]) for _ in range(30)]
        good = next((b for b in wanted if guard._way_out(text + b) is not None), None)
        if good is None or not guard.admits(good[0], cap - number):
            break
        text += good
    text += bytes(guard.tail)

    jsonschema.validate(json.loads(text), schema)
    assert len(text) <= cap
