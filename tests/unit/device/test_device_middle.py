"""The middle layer of a graph's file, found and shown without a package that knows the format."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.tiny_gguf import TinyLlama, write_tiny_gguf

from router.device.middle import SHOWN, Contents, Middle, contents_of, middle_of, output_of
from router.models.gguf import HIDDEN_OUTPUT, convert


def config(layers: object) -> dict[str, object]:
    return {"model": {"decoder": {"num_hidden_layers": layers}}}


def holds(*made: str, outputs: tuple[str, ...] = (), **properties: str) -> Contents:
    return Contents(made=frozenset(made), outputs=frozenset(outputs), properties=properties)


def test_what_a_file_holds_is_what_the_format_s_own_package_finds(tiny: Path):
    graph = onnx.load(tiny / "model.onnx", load_external_data=False).graph

    found = contents_of(memoryview((tiny / "model.onnx").read_bytes()))

    assert found.outputs == {port.name for port in graph.output}
    assert found.made == {name for node in graph.node for name in node.output}


def test_bytes_behind_the_file_are_one_output_more_and_nothing_else(tiny: Path):
    plain = (tiny / "model.onnx").read_bytes()
    before = onnx.load_model_from_string(plain)
    after = onnx.load_model_from_string(plain + output_of("blk.1.residual"))

    assert after.graph.output.pop().name == "blk.1.residual"
    assert after == before
    assert len(output_of("blk.1.residual")) < 30


def test_a_long_name_has_its_length_said_in_two_bytes(tiny: Path):
    name = "x" * 300

    model = onnx.load_model_from_string((tiny / "model.onnx").read_bytes() + output_of(name))

    assert model.graph.output[-1].name == name
    assert name in contents_of(memoryview(model.SerializeToString())).outputs


@pytest.mark.parametrize(
    ("layers", "name", "layer"),
    [
        (30, "blk.20.residual", 20),
        (32, "/model/layers.21/input_layernorm/output_3", 21),
        (2, "blk.1.residual", 1),
    ],
    ids=["SmolLM2-135M", "Phi-3.5-mini", "two"],
)
def test_the_middle_is_two_thirds_of_the_way_up(layers: int, name: str, layer: int):
    found = middle_of(config(layers), holds(name, "logits"))

    assert found == Middle(layer=layer, name=name)


@pytest.mark.parametrize("layers", [1, None, "many"])
def test_without_layers_there_is_no_middle(layers: object):
    assert middle_of(config(layers), holds("blk.1.residual")) is None
    assert middle_of({"model": {}}, holds("blk.1.residual")) is None


def test_a_graph_with_other_names_has_none():
    assert middle_of(config(30), holds("hidden.20", "blk.12.residual")) is None


def test_a_layer_that_the_folder_shows_already_is_the_one(tmp_path: Path):
    write_tiny_gguf(tmp_path / "tiny.gguf", TinyLlama(layers=3))
    convert(tmp_path / "tiny.gguf", tmp_path / "out", precision="fp32", hidden_layer=1)

    contents = contents_of(memoryview((tmp_path / "out" / "model.onnx").read_bytes()))

    assert middle_of(config(3), contents) == Middle(layer=1, name=SHOWN)
    assert SHOWN == HIDDEN_OUTPUT
    assert "blk.2.residual" in contents.made


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_file_that_breaks_off_or_is_another_holds_nothing(tiny: Path, cut: int):
    whole = (tiny / "model.onnx").read_bytes()

    assert contents_of(memoryview(whole[:-cut])).made == frozenset()
    assert contents_of(memoryview(b"\xff" * 200)).outputs == frozenset()
    assert contents_of(memoryview(b"\x0f\x00")).outputs == frozenset()
