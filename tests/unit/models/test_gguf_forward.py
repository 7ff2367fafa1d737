"""The converted folder computes what the GGUF's weights say, as a reference in numpy has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime_genai as og
import pytest

from router.models.gguf import HIDDEN_OUTPUT, Precision, convert
from tests.support.tiny_gguf import TinyLlama, write_tiny_gguf

Array = npt.NDArray[np.float64]
Kind = gguf.GGMLQuantizationType

IDS = [1, *np.random.default_rng(3).integers(3, 450, 40).tolist(), 2]


class Running:
    """A folder, loaded by the real runtime."""

    def __init__(self, folder: Path) -> None:
        model = og.Model(str(folder))
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=64)
        self.generator = og.Generator(model, params)

    def append(self, ids: Sequence[int], output: str = "logits") -> Array:
        self.generator.append_tokens(np.array(ids, np.int32))
        batch = np.asarray(self.generator.get_output(output), np.float64)
        return batch.reshape(batch.shape[1:])


def converted(model: TinyLlama, tmp_path: Path, **how: object) -> tuple[TinyLlama, Path]:
    """Write the model as a GGUF and convert it."""
    precision: Precision = how.pop("precision", "fp32")  # type: ignore[assignment]
    hidden_layer: int | None = how.pop("hidden_layer", None)  # type: ignore[assignment]
    source = tmp_path / "tiny.gguf"
    model = write_tiny_gguf(source, model, **how)  # type: ignore[arg-type]
    out = tmp_path / "out"
    convert(source, out, precision=precision, hidden_layer=hidden_layer)
    return model, out


def log_softmax(logits: Array) -> Array:
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))


def mean_kl(reference: Array, logits: Array) -> float:
    p, q = log_softmax(reference), log_softmax(logits)
    return float((np.exp(p) * (p - q)).sum(-1).mean())


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(
    "model",
    [TinyLlama(), TinyLlama(kv_heads=4), TinyLlama(kv_heads=1, layers=3), TinyLlama(head_size=32)],
    ids=["grouped", "full", "one key head, three layers", "wide heads"],
)
def test_fp32_gives_the_logits_of_the_reference(
    model: TinyLlama, tied: bool, tmp_path: Path
) -> None:
    model, folder = converted(model, tmp_path, tied=tied)
    expected, _ = model.forward(IDS)

    logits = Running(folder).append(IDS)

    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=0)
    assert expected.std() > 0.5, "a flat reference would prove nothing"


def test_rotary_factors_of_the_gguf_are_obeyed(tmp_path: Path) -> None:
    factors = np.array([1, 1, 1, 2, 4, 8, 8, 8])
    model, folder = converted(TinyLlama(), tmp_path, rope_factors=factors)
    expected, _ = model.forward(IDS)
    del model.weights["rope_freqs.weight"]
    without, _ = model.forward(IDS)

    logits = Running(folder).append(IDS)

    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=0)
    assert np.abs(without - expected).max() > 0.05


def test_a_prompt_in_pieces_gives_the_same_logits_as_at_once(tmp_path: Path) -> None:
    model, folder = converted(TinyLlama(), tmp_path)
    expected, _ = model.forward(IDS)
    running = Running(folder)

    pieces = [running.append(IDS[:17]), running.append(IDS[17:39])]
    pieces += [running.append([token]) for token in IDS[39:]]

    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_hidden_output_is_the_residual_that_enters_the_layer(
    layer: int, tmp_path: Path
) -> None:
    model, folder = converted(TinyLlama(layers=3), tmp_path, hidden_layer=layer)
    expected, entering = model.forward(IDS)
    running = Running(folder)

    hidden = running.append(IDS, HIDDEN_OUTPUT)

    np.testing.assert_allclose(hidden, entering[layer], atol=1e-4, rtol=0)
    logits = np.array(running.generator.get_output("logits"), np.float64)[0]
    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=0)


def test_the_hidden_output_is_there_in_a_quantised_model_too(tmp_path: Path) -> None:
    model, folder = converted(
        TinyLlama(), tmp_path, hidden_layer=1, precision="int4", kind=Kind.Q4_1
    )
    _, entering = model.forward(IDS)

    hidden = Running(folder).append(IDS, HIDDEN_OUTPUT)

    assert np.abs(hidden - entering[1]).max() < 0.05 * np.abs(entering[1]).max()


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.Q8_0, Kind.Q4_1], ids=lambda k: k.name)
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_int8_is_faithful_whatever_the_source(kind: Kind, tied: bool, tmp_path: Path) -> None:
    model, folder = converted(TinyLlama(), tmp_path, precision="int8", kind=kind, tied=tied)
    expected, _ = model.forward(IDS)

    logits = Running(folder).append(IDS)

    assert mean_kl(expected, logits) < 0.01


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1], ids=lambda k: k.name)
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_int4_of_a_4_bit_source_is_as_faithful_as_int8(
    kind: Kind, tied: bool, tmp_path: Path
) -> None:
    model, folder = converted(TinyLlama(), tmp_path, precision="int4", kind=kind, tied=tied)
    expected, _ = model.forward(IDS)
    convert(tmp_path / "tiny.gguf", tmp_path / "int8", precision="int8")

    logits = Running(folder).append(IDS)
    yardstick = Running(tmp_path / "int8").append(IDS)

    assert bits_of(folder, "blk.0.ffn_gate.out") == 4
    assert mean_kl(expected, logits) < 1.5 * mean_kl(expected, yardstick) < 0.015


def test_int4_of_a_fuller_source_spends_8_bits_on_what_matters(tmp_path: Path) -> None:
    model, folder = converted(TinyLlama(layers=8), tmp_path, precision="int4", kind=Kind.F16)
    expected, _ = model.forward(IDS)

    logits = Running(folder).append(IDS)

    assert {bits_of(folder, f"blk.{layer}.attn_qkv.out") for layer in range(8)} == {8}
    assert {bits_of(folder, f"blk.{layer}.ffn_up.out") for layer in range(8)} == {4}
    down = [bits_of(folder, f"blk.{layer}.ffn_down.out") for layer in range(8)]
    assert down == [8, 4, 4, 8, 4, 4, 8, 8]
    assert mean_kl(expected, logits) < 0.4


def test_a_quantised_embedding_lies_on_the_disk_once_when_it_is_tied(tmp_path: Path) -> None:
    (tmp_path / "tied").mkdir()
    (tmp_path / "untied").mkdir()
    _, tied = converted(TinyLlama(), tmp_path / "tied", precision="int4", tied=True)
    _, untied = converted(TinyLlama(), tmp_path / "untied", precision="int4", tied=False)

    saved = data_bytes(untied) - data_bytes(tied)

    model = TinyLlama()
    numbers = model.vocab * model.hidden
    assert saved >= numbers + numbers // 32 * 4


def bits_of(folder: Path, output: str) -> int:
    """The bits of the product that makes `output`."""
    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False).graph
    node = next(node for node in graph.node if output in node.output)
    return next(int(each.i) for each in node.attribute if each.name == "bits")


def data_bytes(folder: Path) -> int:
    return os.path.getsize(folder / "model.onnx.data")
