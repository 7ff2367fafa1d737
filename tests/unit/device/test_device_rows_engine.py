"""Several answers whose next tokens are computed together, and nobody can tell."""

from __future__ import annotations

import pytest
from support.other_graphs import edited, mixes_its_rows

from router.device.engine import EngineOptions, Guide, Job
from router.device.guide_graph import guide_graph
from router.device.open_engine import open_engine
from router.device.rows_engine import RowsEngine
from router.device.slots import bucket
from router.errors import Incapable, Unavailable
from router.types import Message

JSON = Guide(
    kind="json",
    text='{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}',
)
SYSTEM = "The small model answers first, on the machine in front of you. " * 6


def opened(folder, rows_bytes=1 << 28, **wishes):
    return RowsEngine(EngineOptions(folder=str(folder), threads=1, **wishes), rows_bytes)


@pytest.fixture(scope="module")
def engine(tiny):
    return opened(tiny, at_once=8)


@pytest.fixture(scope="module")
def forgetful(tiny):
    return opened(tiny, keep_bytes=0)


def job(text, tokens=12, **rest):
    messages = (Message(role="system", content=SYSTEM), Message(role="user", content=text))
    return Job(messages=messages, max_output_tokens=tokens, **rest)


def told(steps):
    tokens = [step for step in steps if step.token]
    return "".join(step.text for step in tokens), [step.token.logprob for step in tokens]


def alone(engine, wanted):
    return told(engine.run(wanted))


def together(engine, jobs, late=0):
    """Rounds as a worker makes them. The job at `late` is begun when others have written some."""
    runs = {number: engine.run(one) for number, one in enumerate(jobs)}
    found = {number: [] for number in runs}
    held_back = {late} if late else set()
    for number, run in runs.items():
        while number not in held_back and not (found[number] and found[number][-1].token):
            found[number].append(next(run))
    rounds = 0
    while runs:
        rounds += 1
        if rounds == 4:
            held_back.clear()
        engine.compute([runs[number] for number in runs if number not in held_back])
        for number in [n for n in runs if n not in held_back]:
            step = next(runs[number], None)
            if step is None:
                del runs[number]
            else:
                found[number].append(step)
    return [told(found[number]) for number in range(len(jobs))]


MIXED = (
    job("A short one."),
    job("Another, somewhat longer, with more to be said. " * 5, tokens=20),
    job("By chance?", temperature=1.0, seed=3),
    job("In a form.", tokens=40, guide=JSON),
    job("By chance, in a form.", tokens=40, guide=JSON, temperature=1.2, seed=8),
    job("A letter.", tokens=3, guide=Guide(kind="regex", text="[a-c]")),
    job("Not that again.", frequency_penalty=1.5, logprobs=2),
)


@pytest.mark.parametrize("late", [0, 2, 3])
def test_answers_written_together_are_those_that_each_gets_alone(engine, forgetful, late):
    expected = [alone(forgetful, one) for one in MIXED]

    for (text, logprobs), (same, apart) in zip(
        together(engine, MIXED, late), expected, strict=True
    ):
        assert text == same
        assert logprobs == pytest.approx(apart, abs=2e-3)


def test_one_that_is_dropped_or_ends_is_not_missed_by_the_others(engine, forgetful):
    runs = [engine.run(one) for one in MIXED[:3]]
    found = [[], [], []]
    for number, run in enumerate(runs):
        while not (found[number] and found[number][-1].token):
            found[number].append(next(run))
    engine.compute(runs)
    runs[0].close()  # between the run of the model and its look at it
    left = {1: runs[1], 2: runs[2]}
    for number, run in left.items():
        found[number].append(next(run))
    while left:
        engine.compute(list(left.values()))
        for number, run in list(left.items()):
            step = next(run, None)
            if step is None:
                del left[number]
            else:
                found[number].append(step)

    assert told(found[1])[0] == alone(forgetful, MIXED[1])[0]
    assert told(found[2])[0] == alone(forgetful, MIXED[2])[0]
    assert engine._rows.kv_bytes == 0


def test_a_prompt_that_has_just_been_read_serves_others_at_the_same_time(tiny):
    engine = opened(tiny)
    runs = [engine.run(job(f"Number {n}.")) for n in range(3)]
    reused = []
    for run in runs:
        step = next(run)
        while step.token is None:
            step = next(run)
        reused.append(step.reused)
    for run in runs:
        run.close()

    assert reused[0] == 0
    assert min(reused[1:]) > 80


def test_what_was_read_for_a_form_serves_all_forms(tiny):
    engine = opened(tiny)
    alone(engine, job("A letter."))

    for guide in (None, JSON, Guide(kind="regex", text="[a-c]")):
        steps = list(engine.run(job("A letter.", tokens=40, guide=guide)))
        assert steps[-1].reused == engine.count_tokens(job("A letter.").messages) - 2


def test_the_guide_s_model_is_loaded_for_forms_alone(tiny):
    engine = opened(tiny)
    for one in MIXED[:3]:
        alone(engine, one)
    assert engine._guide_model is None

    alone(engine, MIXED[3])
    assert engine._guide_model is not None


def test_a_row_that_finds_no_memory_is_told_and_the_others_go_on(tiny, forgetful):
    length = opened(tiny).count_tokens(job("The first.").messages) + 12
    engine = opened(tiny, opened(tiny)._rows.token_bytes * bucket(length), keep_bytes=0)
    first, second = engine.run(job("The first.")), engine.run(job("The second."))
    steps = [next(first)]

    with pytest.raises(Unavailable, match="memory for conversations") as caught:
        next(second)
    assert caught.value.retryable
    while (step := next(first, None)) is not None:
        steps.append(step)
    assert told(steps) == alone(forgetful, job("The first."))
    assert alone(engine, job("The second."))[0]


def test_a_closed_job_gives_its_row_back_wherever_it_is(engine):
    for steps in (0, 1, 2, 9):
        run = engine.run(job("Broken off. " * 30))
        for _ in range(steps):
            next(run)
        run.close()
        assert engine._rows.kv_bytes == 0
        assert next(run, None) is None


def test_a_wrong_job_takes_no_row(engine):
    with pytest.raises(Incapable):
        next(engine.run(job("word " * 5000)))
    assert engine._rows.kv_bytes == 0


def test_a_graph_whose_rows_can_be_run_is_run_so(tiny):
    engine = open_engine(EngineOptions(folder=str(tiny), threads=1, at_once=3))

    assert engine.info.engine.startswith("onnxruntime 1.")
    assert engine.together == 3


def test_any_other_is_left_to_the_runtime(tiny, tmp_path):
    folder = edited(tiny, tmp_path / "mixed", mixes_its_rows)
    engine = open_engine(EngineOptions(folder=str(folder), threads=1))

    assert engine.info.engine.startswith("onnxruntime-genai ")
    assert engine.together == 1
    assert alone(engine, job("A short one."))[0]


def test_the_guide_s_graph_is_a_valid_one():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(guide_graph(49152))

    onnx.checker.check_model(model, full_check=True)
    assert next(port.name for port in model.graph.output) == "logits"
    assert model.graph.output[0].type.tensor_type.shape.dim[2].dim_value == 49152
