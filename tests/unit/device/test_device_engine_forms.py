"""The engine held to a form: JSON that ends in time, expressions, grammars, statistics."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from router.device.engine import Guide, Job
from router.device.runtime import make_generator
from router.errors import Incapable, Refused
from router.types import Message

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
JSON = Guide(kind="json", text=json.dumps(SCHEMA))


@pytest.fixture(scope="module")
def engine(tiny, make_engine):
    return make_engine(tiny)


def run(engine, guide, tokens=80, text="Tell me.", **wishes):
    message = Message(role="user", content=text)
    job = Job(messages=(message,), max_output_tokens=tokens, guide=guide, **wishes)
    steps = [step for step in engine.run(job) if step.token is not None]
    return "".join(step.text for step in steps), steps


@pytest.mark.parametrize("tokens", [24, 25, 26, 28, 30, 40, 80])
def test_json_is_whole_however_few_tokens_there_are(engine, tokens):
    for wishes in ({}, {"temperature": 1.4, "seed": tokens}, {"presence_penalty": 1.5}):
        text, steps = run(engine, JSON, tokens, **wishes)

        assert set(json.loads(text)) == {"name", "age"}
        assert len(steps) <= tokens


def test_an_answer_that_had_to_be_ended_says_so(engine):
    assert run(engine, JSON, 26)[1][-1].finish == "length"


def test_a_bound_below_the_shortest_answer_is_refused_before_anything_is_read(engine):
    with pytest.raises(Incapable, match="shortest answer of this form has") as caught:
        run(engine, JSON, 8)

    assert caught.value.code == "max_output_tokens"


@pytest.mark.parametrize("value", [1e-7, 2.5e-9, 1e16, 1.0])
def test_a_float_constant_is_written_by_the_model_and_not_cut(engine, value):
    text, steps = run(engine, Guide(kind="json", text=json.dumps({"enum": [value]})))

    assert json.loads(text) == value
    assert steps[-1].finish == "stop"


@pytest.mark.parametrize("place", ["anyOf", "properties", "items", "additionalProperties", "$ref"])
def test_what_no_answer_has_room_for_is_left_out_of_the_form(engine, place):
    huge = {"type": "string", "minLength": 160_000_000}
    schema = {
        "anyOf": {"anyOf": [huge, {"type": "integer"}]},
        "properties": {"type": "object", "properties": {"a": huge, "b": {"type": "null"}}},
        "items": {"type": "array", "items": huge},
        "additionalProperties": {"type": "object", "additionalProperties": huge},
        "$ref": {"type": "array", "items": {"$ref": "#/$defs/h"}, "$defs": {"h": huge}},
    }[place]
    text, steps = run(
        engine, Guide(kind="json", text=json.dumps(schema)), 40, temperature=1, seed=3
    )

    assert len(text) < 100
    assert json.loads(text) in ([], {}, {"b": None}) or place == "anyOf"
    assert steps[-1].finish == "stop"


def test_a_regular_expression_is_kept_to(engine):
    for seed in range(5):
        text, steps = run(
            engine, Guide(kind="regex", text="[a-c]{2}-[0-9]{3}"), temperature=1.0, seed=seed
        )

        assert re.fullmatch("[a-c]{2}-[0-9]{3}", text)
        assert steps[-1].finish == "stop"


def test_a_grammar_is_kept_to(engine):
    assert run(engine, Guide(kind="lark", text='start: "yes" | "no"'))[0] in ("yes", "no")


@pytest.mark.parametrize(
    "guide", [Guide(kind="regex", text="[0-9"), Guide(kind="lark", text="start: nowhere")]
)
def test_a_form_that_can_not_be_read_is_refused(engine, guide):
    with pytest.raises(Refused, match="can't be held to this form"):
        run(engine, guide)
    assert run(engine, None, 3)[1][-1].finish == "length"  # and the engine is none the worse


def test_statistics_are_of_the_row_before_anything_was_struck_out(engine, bare_model):
    """The likeliest token of the raw row is often not of the form; its probability still counts."""
    text, steps = run(engine, JSON, 60)
    prompt = np.array(
        engine._voice.prompt.ids((Message(role="user", content="Tell me."),)), np.int32
    )
    generator = make_generator(bare_model, len(prompt) + 60)
    generator.append_tokens(prompt)
    row = np.asarray(generator.get_logits()).ravel().astype(np.float64)
    first = row - row.max() - np.log(np.exp(row - row.max()).sum())
    brace = engine._voice.prompt.plain("{")[0]

    assert text.startswith("{")
    assert steps[0].token.logprob < first.max()
    assert min(abs(first - steps[0].token.logprob)) < 1e-5
    assert first[brace] <= 0


def test_a_draw_under_a_guide_is_one_of_the_probabilities_it_leaves(engine, bare_model):
    """Between two words that are allowed the draw goes by the model's own odds."""
    guide = Guide(kind="regex", text="[ab]")
    told = run(engine, guide, 2, logprobs=20, temperature=1.0, seed=1)[1]
    ids = {letter: engine._voice.prompt.plain(letter)[0] for letter in "ab"}
    prompt = np.array(
        engine._voice.prompt.ids((Message(role="user", content="Tell me."),)), np.int32
    )
    generator = make_generator(bare_model, len(prompt) + 1)
    generator.append_tokens(prompt)
    row = np.asarray(generator.get_logits()).ravel()
    odds = 1 / (1 + np.exp(row[ids["b"]] - row[ids["a"]]))
    seen = [run(engine, guide, 2, temperature=1.0, seed=s)[0] for s in range(300)]

    assert len(told[0].spelled.top) == 20
    assert seen.count("a") / 300 == pytest.approx(odds, abs=0.1)
