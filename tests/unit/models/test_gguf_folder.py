"""What a conversion writes beside the weights, and what it says about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime_genai as og
import pytest

from router.models.gguf import Converted, convert
from tests.support.tiny_gguf import SPECIAL, TinyLlama, write_tiny_gguf


def config_of(tmp_path: Path, **metadata: Any) -> dict[str, Any]:
    fields = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
    write_tiny_gguf(tmp_path / "tiny.gguf", metadata=fields)
    convert(tmp_path / "tiny.gguf", tmp_path / "out")
    text = (tmp_path / "out" / "genai_config.json").read_text(encoding="utf-8")
    model: dict[str, Any] = json.loads(text)["model"]
    return model


def test_a_conversion_says_what_it_wrote(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    out = tmp_path / "deep" / "out"

    done = convert(tmp_path / "tiny.gguf", out, precision="int8", hidden_layer=1)

    assert done == Converted(
        folder=out,
        precision="int8",
        name="Tiny",
        licence="apache-2.0",
        context_length=128,
        layers=2,
        hidden_layer=1,
        has_chat_template=True,
        total_bytes=sum(file.stat().st_size for file in out.iterdir()),
    )
    assert sorted(file.name for file in out.iterdir()) == [
        "genai_config.json",
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_what_the_gguf_does_not_say_is_unknown(tmp_path: Path) -> None:
    silent = {"general.name": None, "general.license": None, "tokenizer.chat_template": None}
    write_tiny_gguf(tmp_path / "tiny.gguf", metadata=silent)

    done = convert(tmp_path / "tiny.gguf", tmp_path / "out")

    assert (done.name, done.licence, done.has_chat_template) == (None, None, False)


def test_the_config_carries_the_shape_and_the_context_limit(tmp_path: Path) -> None:
    model = config_of(tmp_path)

    assert model["type"] == "llama"
    assert model["context_length"] == 128
    assert model["vocab_size"] == TinyLlama().vocab
    assert model["bos_token_id"] == 1
    decoder = model["decoder"]
    assert (decoder["num_attention_heads"], decoder["num_key_value_heads"]) == (4, 2)
    assert (decoder["head_size"], decoder["hidden_size"]) == (16, 64)
    assert decoder["num_hidden_layers"] == 2


def test_every_end_token_the_metadata_name_ends_an_answer_and_eos_comes_first(
    tmp_path: Path,
) -> None:
    model = config_of(tmp_path, eos_token_id=7, eot_token_id=9, eom_token_id=11)

    assert model["eos_token_id"][:3] == [7, 9, 11]


def test_control_tokens_known_to_end_a_turn_end_it_though_the_metadata_forget_them(
    tmp_path: Path,
) -> None:
    model = config_of(tmp_path, eos_token_id=None)

    assert model["eos_token_id"] == [SPECIAL.index("<|endoftext|>"), SPECIAL.index("<|im_end|>")]


def test_padding_is_an_end_token_unless_the_metadata_name_one(tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()

    assert config_of(tmp_path)["pad_token_id"] == 2
    assert config_of(tmp_path / "named", padding_token_id=0)["pad_token_id"] == 0


def test_an_answer_stops_at_the_end_token(tmp_path: Path) -> None:
    # The token that the model would choose first is declared to be an end token.
    write_tiny_gguf(tmp_path / "free.gguf")
    first = greedy(convert(tmp_path / "free.gguf", tmp_path / "free").folder)[0]
    write_tiny_gguf(tmp_path / "ends.gguf", metadata={"tokenizer.ggml.eot_token_id": first})

    answer = greedy(convert(tmp_path / "ends.gguf", tmp_path / "ends").folder)

    assert answer == [first]


def greedy(folder: Path) -> list[int]:
    model = og.Model(str(folder))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=24)
    generator = og.Generator(model, params)
    generator.append_tokens([5, 6, 7])
    chosen = []
    while not generator.is_done():
        generator.generate_next_token()
        chosen.append(int(generator.get_next_tokens()[0]))
    return chosen


def test_the_graph_says_which_layer_it_shows(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", hidden_layer=1)

    graph = onnx.load(str(tmp_path / "out" / "model.onnx"), load_external_data=False)

    properties = {each.key: each.value for each in graph.metadata_props}
    assert properties == {"precision": "int4", "hidden_layer": "1"}


def test_progress_never_goes_back_and_ends_at_one(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    seen: list[tuple[str, float]] = []

    convert(tmp_path / "tiny.gguf", tmp_path / "out", on_progress=lambda *at: seen.append(at))

    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert seen[0] == ("reading", 0.0)
    assert seen[-1] == ("done", 1.0)
    assert len({share for phase, share in seen if phase == "writing weights"}) >= 2


@pytest.mark.parametrize("missing", ["gguf", "onnx"])
def test_without_the_extra_the_error_says_how_to_install_it(missing: str, tmp_path: Path) -> None:
    # A process of its own, in which the package can't be found.
    code = f"""
import sys
from pathlib import Path
sys.modules[{missing!r}] = None
from router.errors import ModelError
from router.models.gguf import convert
try:
    convert(Path("a.gguf"), Path("b"))
except ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert missing in done.stdout
    assert 'pip install "firsthop[convert]"' in done.stdout


def test_the_door_is_light_until_something_is_converted() -> None:
    code = "import sys, router.models.gguf; print({'numpy', 'gguf', 'onnx'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
