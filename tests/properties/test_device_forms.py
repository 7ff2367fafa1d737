"""200 random JSON Schemas: each answer parses, validates, and keeps within its token bound.

Held against a tiny model, whose words are random: nobody runs away like it. Under `make soak` the
real model answers all of them too.
"""

from __future__ import annotations

import json
import random

import jsonschema
import pytest
from support.effort import SOAK
from support.schemas import random_schema
from support.tiny_phi3 import build_tiny_phi3

from router.device.engine import EngineOptions, Guide, Job
from router.device.onnx_genai import OnnxGenAI
from router.errors import Incapable, ModelError
from router.models import Store
from router.types import Message

COUNT = 200 if SOAK else 40
REAL = 200 if SOAK else 4


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")
    return OnnxGenAI(EngineOptions(folder=str(folder), threads=1))


@pytest.fixture(scope="module")
def real():
    try:
        return OnnxGenAI(EngineOptions(folder=str(Store().path("smollm2-135m")), threads=1))
    except ModelError:
        pytest.skip("needs the model: firsthop models pull smollm2-135m")


def answer(engine, schema, cap, **wishes):
    guide = Guide(kind="json", text=json.dumps(schema))
    ask = Message(role="user", content="Make up something that fits.")
    job = Job(messages=(ask,), max_output_tokens=cap, guide=guide, **wishes)
    steps = [step for step in engine.run(job) if step.token is not None]
    return "".join(step.text for step in steps), steps


def held(engine, seed):
    """Ask with a bound that is now ample, now just enough, now in between."""
    schema = random_schema(seed)
    dice = random.Random(seed)
    cap = dice.choice([300, 300, 150, 80, 40])
    wishes = {"temperature": 1.5, "seed": seed} if dice.random() < 0.5 else {}
    try:
        text, steps = answer(engine, schema, cap, **wishes)
    except Incapable:  # told before a token is written
        cap = 600
        text, steps = answer(engine, schema, cap, **wishes)
    assert len(steps) <= cap
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@pytest.mark.parametrize("seed", range(COUNT))
def test_each_answer_fits_its_schema_and_its_bound(tiny, seed):
    held(tiny, seed)


@pytest.mark.parametrize("seed", range(REAL))
def test_each_answer_of_the_real_model_fits_its_schema_and_its_bound(real, seed):
    held(real, seed)
