"""The engine on a tiny Phi-3: random words, every code path real."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from support.byte_level import build_byte_level

from router.device.engine import EngineOptions, Job
from router.device.open_engine import open_engine
from router.device.runtime import make_generator
from router.device.sampling import Sampler, Sampling
from router.errors import Incapable, Refused, Unavailable
from router.types import Message


@pytest.fixture(scope="module")
def engine(tiny, make_engine):
    return make_engine(tiny)


def job(text="Tell me a story.", tokens=40, **rest):
    return Job(messages=(Message(role="user", content=text),), max_output_tokens=tokens, **rest)


def run(engine, wanted):
    steps = list(engine.run(wanted))
    return "".join(step.text for step in steps), steps


def tokens(steps):
    return [step.token for step in steps if step.token is not None]


def test_it_says_what_it_is(engine, tiny, make_engine):
    info = engine.info

    assert (info.model, info.device, info.fallback) == (tiny.name, "cpu", None)
    name = "onnxruntime" if make_engine.kind == "rows" else "onnxruntime-genai"
    assert info.engine.startswith(f"{name} ")
    assert info.context_limit == 4096
    assert info.load_s > 0


def test_each_step_is_a_part_of_the_prompt_or_a_token(engine):
    prompt = engine.count_tokens(job().messages)
    _, steps = run(engine, job())
    reading = [step.read for step in steps if step.token is None]
    answer = [step for step in steps if step.token is not None]

    assert reading[-1] == prompt
    assert all(a < b for a, b in pairwise(reading))
    assert len(answer) == 40
    assert [step.finish for step in answer] == [None] * 39 + ["length"]


def test_greedy_answers_are_always_the_same(engine):
    assert run(engine, job()) == run(engine, job(temperature=0.0))


def test_the_statistics_are_those_of_the_raw_row_in_float64(engine, bare_model):
    wanted = job(temperature=0.9, seed=5)
    stats = tokens(run(engine, wanted)[1])
    prompt = np.array(engine._voice.prompt.ids(wanted.messages), np.int32)
    generator = make_generator(bare_model, len(prompt) + 40)
    generator.append_tokens(prompt)

    draw = Sampler(Sampling(temperature=0.9, seed=5))
    for stat in stats:
        raw = generator.get_logits().ravel()
        chosen = int(draw.scores(raw).argmax())
        generator.append_tokens(np.array([chosen], np.int32))
        row = raw.astype(np.float64)
        logprobs = row - row.max() - np.log(np.exp(row - row.max()).sum())
        second, first = np.sort(np.exp(logprobs))[-2:]
        assert stat.logprob == pytest.approx(logprobs[chosen], abs=1e-5)
        assert stat.entropy == pytest.approx(-(np.exp(logprobs) * logprobs).sum(), abs=1e-5)
        assert stat.margin == pytest.approx(first - second, abs=1e-5)


def test_sampling_obeys_its_seed(engine):
    one, same, other = (run(engine, job(temperature=1.0, seed=s))[0] for s in (1, 1, 2))

    assert one == same
    assert one != other
    assert run(engine, job(temperature=1.0, seed=2**63 + 1))[0]


def test_without_a_seed_answers_differ(engine):
    assert len({run(engine, job(temperature=1.0))[0] for _ in range(3)}) > 1


def test_prompt_and_answer_stay_within_the_limit(tiny, make_engine):
    engine = make_engine(tiny, context_limit=100)
    prompt = engine.count_tokens(job().messages)
    _, steps = run(engine, job(tokens=1000))

    assert len(tokens(steps)) == 100 - prompt
    assert steps[-1].finish == "length"


def test_a_prompt_that_leaves_no_room_is_refused_with_numbers(engine):
    with pytest.raises(Incapable, match="4,096") as caught:
        next(engine.run(job("word " * 4096)))
    assert caught.value.code == "context_length_exceeded"


def test_a_limit_below_the_warm_up_is_still_served(tiny, make_engine):
    engine = make_engine(tiny, context_limit=40)

    assert len(tokens(run(engine, job("Hi."))[1])) > 1


def test_a_long_prompt_read_in_chunks_is_read_as_if_at_once(engine, bare_model):
    wanted = job("The sea and the dog. " * 80, tokens=30)
    prompt = np.array(engine._voice.prompt.ids(wanted.messages), np.int32)
    generator = make_generator(bare_model, len(prompt) + 30)
    generator.append_tokens(prompt)
    expected = engine._voice.tongue.detokenizer()
    text = ""
    for _ in range(30):
        generator.generate_next_token()
        text += expected.feed(int(generator.get_next_tokens()[0]))

    assert len(prompt) > 500
    assert run(engine, wanted)[0] == text


def test_an_answer_can_be_dropped_at_any_step(engine):
    expected, _ = run(engine, job())
    for steps in (1, 3, 20):
        answer = engine.run(job("The sea. " * 100))
        for _ in range(steps):
            next(answer)
        answer.close()

    assert run(engine, job())[0] == expected


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(engine):
    whole, _ = run(engine, job(tokens=60))
    stop = whole[20:25]
    text, steps = run(engine, job(tokens=60, stop=("never this", stop)))

    assert text == whole[: whole.index(stop)]
    assert steps[-1].finish == "stop"


def test_an_end_token_ends_the_answer_and_has_its_statistics(
    engine, tiny, tmp_path, make_engine, bare_model
):
    generator = make_generator(bare_model, 500)
    generator.append_tokens(np.array(engine._voice.prompt.ids(job().messages), np.int32))
    chosen = []
    for _ in range(10):
        generator.generate_next_token()
        chosen.append(int(generator.get_next_tokens()[0]))
    end = next(i for i in chosen[3:] if i not in chosen[:3])
    folder = shutil.copytree(tiny, tmp_path / "ends")
    config = json.loads((folder / "genai_config.json").read_text())
    config["model"]["eos_token_id"] = [end]
    (folder / "genai_config.json").write_text(json.dumps(config))

    ending = make_engine(folder)
    _, steps = run(ending, job())

    assert steps[-1].finish == "stop"
    assert len(tokens(steps)) == chosen.index(end) + 1
    assert tokens(steps)[-1].logprob < 0


def test_another_kind_of_tokenizer_works_alike(tiny, tmp_path, make_engine):
    engine = make_engine(build_byte_level(tiny, tmp_path / "chatml"))
    text, steps = run(engine, job("<|im_end|> caf\u00e9"))

    assert len(tokens(steps)) == 40
    assert text


def test_a_tokenizer_of_an_unknown_kind_is_decoded_by_the_runtime(
    engine, tiny, tmp_path, make_engine
):
    folder = shutil.copytree(tiny, tmp_path / "unknown")
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    document["decoder"]["decoders"].append({"type": "Unheard"})
    (folder / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    other = make_engine(folder)
    text, steps = run(other, job("a <|end|> b"))

    assert text
    assert [s.token for s in steps] == [s.token for s in run(engine, job("a <|end|> b"))[1]]


def test_a_missing_accelerator_falls_back_to_the_cpu_and_says_so(tiny):
    engine = open_engine(EngineOptions(folder=str(tiny), threads=1, accelerator="CUDA"))

    assert engine.info.device == "cpu"
    assert engine.info.fallback.startswith("cuda can't be used: ")
    assert run(engine, job())[0]


def test_asking_for_the_cpu_is_no_fallback(tiny, make_engine):
    info = make_engine(tiny, accelerator="cpu").info

    assert (info.device, info.fallback) == ("cpu", None)


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json"])
def test_a_damaged_model_is_named_with_what_to_try(tiny, tmp_path, broken, make_engine):
    folder = shutil.copytree(tiny, tmp_path / "broken")
    (folder / broken).write_bytes(b"{ not a model")

    with pytest.raises(Unavailable, match="models verify") as caught:
        make_engine(folder)
    assert str(folder) in str(caught.value)
    assert not caught.value.retryable


def test_a_folder_without_a_chat_template_can_not_be_used(tiny, tmp_path, make_engine):
    folder = shutil.copytree(tiny, tmp_path / "mute")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    with pytest.raises(Unavailable, match="template"):
        make_engine(folder)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": 0},
        {"tokens": -1},
        {"temperature": -0.1},
        {"temperature": 2.5},
        {"temperature": float("nan")},
        {"stop": ("x" * 600, "y" * 600)},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(engine, wrong):
    with pytest.raises(Refused):
        next(engine.run(job(**wrong)))


def test_a_job_without_a_message_is_refused(engine):
    with pytest.raises(Refused, match="no message"):
        next(engine.run(Job(messages=(), max_output_tokens=5)))
