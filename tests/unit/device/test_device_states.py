"""The middle layer's state, averaged over an answer's tokens, against a bare session's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from support.other_graphs import edited

from router.device import onnxrun
from router.device.engine import EngineOptions, Guide, Job
from router.device.onnx_genai import OnnxGenAI
from router.device.rows_engine import RowsEngine
from router.device.session import Rows
from router.device.states import MeanState
from router.errors import ModelError
from router.models import Store
from router.types import Message

Array = npt.NDArray[Any]

REAL = "smollm2-135m"
JSON = Guide(
    kind="json",
    text='{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}',
)


def opened(folder: Path, **wishes: Any) -> RowsEngine:
    return RowsEngine(EngineOptions(folder=str(folder), threads=1, **wishes), 1 << 28)


def rows_of(folder: Path, hidden: str | None = None) -> Rows:
    options = EngineOptions(folder=str(folder), threads=1)
    return Rows.open(options, max_rows=4, ceiling_bytes=1 << 28, hidden=hidden)


def job(text: str, tokens: int = 12, *, states: bool = True, **rest: Any) -> Job:
    messages = (Message(role="user", content=text),)
    return Job(messages=messages, max_output_tokens=tokens, states=states, **rest)


@pytest.fixture(scope="module", params=["tiny", REAL])
def folder(request: pytest.FixtureRequest, tiny: Path) -> Path:
    if request.param == "tiny":
        return tiny
    try:
        return Store().path(REAL)
    except ModelError:
        pytest.skip(f"needs the model: firsthop models pull {REAL}")


@pytest.fixture(scope="module")
def engine(folder: Path) -> RowsEngine:
    return opened(folder)


class Bare:
    """The model with its middle shown by the `onnx` package, on a session that knows no rows."""

    def __init__(self, folder: Path, copy: Path) -> None:
        decoder = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]
        layers = decoder["num_hidden_layers"]
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        self._shown = f"blk.{round(layers * 2 / 3)}.residual"
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(self._shown))
        copy.mkdir()
        onnx.save(model, copy / "model.onnx")
        (copy / "model.onnx.data").symlink_to(folder / "model.onnx.data")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # What a link leads to may lie outside the model's folder: it is ours.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        self._session = onnxruntime.InferenceSession(
            (copy / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        heads, size = decoder["num_key_value_heads"], decoder["head_size"]
        self._empty = np.zeros((1, heads, 0, size), np.float32)
        self._past = [n.name for n in self._session.get_inputs() if n.name.startswith("past")]
        self._presents = [name.replace("past_key_values", "present") for name in self._past]

    def greedy(self, prompt: list[int], tokens: int, ends: frozenset[int]) -> list[Array]:
        """The states of the tokens that it writes and reads again, one by one."""
        past = dict.fromkeys(self._past, self._empty)
        given, length, states = list(prompt), 0, []
        for number in range(tokens):
            length += len(given)
            feeds = {
                "input_ids": np.array([given], np.int64),
                "attention_mask": np.ones((1, length), np.int64),
                **past,
            }
            names = ["logits", self._shown, *self._presents]
            logits, state, *presents = self._session.run(names, feeds)
            past = dict(zip(self._past, presents, strict=True))
            if number:
                states.append(state[0, -1])
            given = [int(logits[0, -1].argmax())]
            if given[0] in ends:
                break
        return states


@pytest.fixture(scope="module")
def bare(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    return Bare(folder, tmp_path_factory.mktemp("bare") / "copy")


def expected(bare: Bare, engine: RowsEngine, wanted: Job) -> Array:
    voice = engine._voice
    prompt = voice.prompt.ids(wanted.messages)
    states = bare.greedy(prompt, wanted.max_output_tokens, voice.tongue.ends)
    return np.mean(states, axis=0, dtype=np.float64)


def mean_of(state: bytes | None) -> Array:
    assert state is not None
    return np.frombuffer(state, "<f4")


def last(engine: Any, wanted: Job) -> bytes | None:
    *others, end = engine.run(wanted)
    assert all(step.state is None for step in others)
    state: bytes | None = end.state
    return state


def close(found: Array, wanted: Array) -> bool:
    return bool(np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max())


def test_the_mean_is_that_of_a_bare_session_over_the_same_tokens(engine, bare):
    for wanted in (job("What is the capital of France?"), job("Tell me more.", tokens=30)):
        assert close(mean_of(last(engine, wanted)), expected(bare, engine, wanted))


def test_answers_in_flight_together_have_each_its_own(engine, bare):
    wanted = [job(f"Tell me of the number {n}.", tokens=5 + 4 * n) for n in range(4)]
    runs = dict(enumerate(map(engine.run, wanted)))
    found: dict[int, bytes | None] = {}
    for run in runs.values():
        while next(run).token is None:
            pass
    while runs:
        engine.compute(list(runs.values()))
        for number, run in tuple(runs.items()):
            step = next(run, None)
            if step is None:
                del runs[number]
            else:
                found[number] = step.state

    means = [mean_of(found[n]) for n in range(4)]
    assert all(close(m, expected(bare, engine, w)) for m, w in zip(means, wanted, strict=True))
    assert not close(means[0], means[3])


def test_who_does_not_ask_gets_none_beside_one_that_asks(engine):
    runs = [engine.run(job("One.", 5, states=False)), engine.run(job("Tell me a story.", 9))]
    states: list[list[bytes | None]] = [[], []]
    for run in runs:
        while next(run).token is None:
            pass
    while any(run.hand for run in runs):
        engine.compute(runs)
        for of, run in zip(states, runs, strict=True):
            of += [step.state for step in [next(run, None)] if step]

    assert set(states[0]) == {None}
    assert set(states[1][:-1]) == {None}
    assert mean_of(states[1][-1]).shape == (engine._rows.hidden_size,)


def test_a_run_that_shows_it_is_bit_for_bit_one_that_does_not(folder: Path):
    name = "blk.20.residual" if folder.name != "phi3" else "blk.1.residual"
    plain, edged = rows_of(folder), rows_of(folder, hidden=name)
    prompt, then = list(range(5, 45)), [7, 9, 11, 200, 31]
    found = []
    for rows, shown in ((plain, False), (edged, False), (edged, True)):
        slots = [rows.take(60), rows.take(60)]
        given = [rows.prefill(slot, prompt[n:], shown=shown).copy() for n, slot in enumerate(slots)]
        for token in then:
            given += list(rows.step([(s, token) for s in slots], shown=shown).copy())
        assert (rows.hidden is not None) == shown
        for slot in slots:
            rows.give_back(slot)
        found.append(np.array(given))

    assert found[0].tobytes() == found[1].tobytes()
    assert found[0].tobytes() == found[2].tobytes()


def test_nothing_is_written_to_the_model_s_folder(tiny: Path):
    def digests() -> dict[str, str]:
        files = sorted(tiny.iterdir())
        return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    before = digests()
    engine = opened(tiny)

    assert last(engine, job("Tell me.")) is not None
    assert digests() == before


class Watched(Rows):
    """Rows that note the state of each step."""

    seen: list[Array]

    def step(self, tokens: Any, *, shown: bool = False) -> Array:
        logits = super().step(tokens, shown=shown)
        assert self.hidden is not None
        self.seen.append(self.hidden[0, 0].copy())
        return logits


def test_tokens_that_were_taken_back_are_not_in_it(tiny: Path):
    engine = opened(tiny)
    watched = Watched.open(
        EngineOptions(folder=str(tiny), threads=1),
        max_rows=1,
        ceiling_bytes=1 << 28,
        hidden="blk.1.residual",
    )
    watched.seen = []
    engine._rows = watched
    *_, end = engine.run(job("In a form.", tokens=9, guide=JSON))

    assert end.finish == "length"
    assert len(watched.seen) == 8
    assert close(mean_of(end.state), np.mean(watched.seen, axis=0))


def test_an_answer_of_no_token_has_none(tiny: Path):
    engine = opened(tiny)
    end = min(engine._voice.tongue.ends)

    assert last(engine, job("Nothing?", logit_bias=((end, 100.0),))) is None
    assert last(engine, job("One.", tokens=1)) is None


def test_a_graph_that_names_no_middle_is_run_without(tiny: Path, tmp_path: Path):
    def renamed(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            for names in (node.input, node.output):
                for at, name in enumerate(names):
                    names[at] = name.replace("blk.1.residual", "elsewhere")

    engine = opened(edited(tiny, tmp_path / "other", renamed))

    assert engine.info.state_layer is None
    assert last(engine, job("Tell me.")) is None


def test_a_value_of_whole_numbers_is_no_state(tiny: Path):
    rows = rows_of(tiny, hidden="mask.total")

    logits = rows.prefill(rows.take(10), [5, 6], shown=True).copy()

    assert (rows.hidden, rows.hidden_size) == (None, 0)
    plain = rows_of(tiny)
    assert logits.tobytes() == plain.prefill(plain.take(10), [5, 6]).tobytes()


def test_a_large_graph_file_is_not_held_in_memory(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    size = (tiny / "model.onnx").stat().st_size

    monkeypatch.setattr(onnxrun, "_MOST_BYTES", size - 1)
    assert opened(tiny).info.state_layer is None
    monkeypatch.setattr(onnxrun, "_MOST_BYTES", size)
    assert opened(tiny).info.state_layer == 1


def test_the_runtime_s_generators_have_none(tiny: Path):
    engine = OnnxGenAI(EngineOptions(folder=str(tiny), threads=1))

    assert engine.info.state_layer is None
    assert last(engine, job("Tell me.")) is None


def test_the_engine_says_which_layer_it_is(tiny: Path):
    assert opened(tiny).info.state_layer == 1


def test_a_mean_of_no_numbers_is_unknown():
    mean = MeanState(2)
    mean.add(np.array([1.0, np.inf], np.float32))

    assert mean.as_bytes() is None
