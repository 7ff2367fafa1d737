"""A GGUF that can't be converted rightly is refused by name, and nothing is written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from router.errors import ModelError
from router.models.gguf import convert
from tests.support.tiny_gguf import TinyLlama, write_tiny_gguf


def refusal(tmp_path: Path, **how: Any) -> str:
    """What the converter says about such a file."""
    write_tiny_gguf(tmp_path / "tiny.gguf", **how)
    with pytest.raises(ModelError) as caught:
        convert(tmp_path / "tiny.gguf", tmp_path / "out")
    assert caught.value.model == "tiny.gguf"
    assert not (tmp_path / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"llama.block_count": None}, "lack llama.block_count"),
        ({"llama.block_count": 3}, "the tensor blk.2.attn_norm.weight is missing"),
        ({"llama.feed_forward_length": 128}, "the tensor blk.0.ffn_gate.weight has the shape"),
        ({"llama.attention.head_count": 0}, "llama.attention.head_count in the metadata is 0"),
        ({"llama.context_length": "long"}, "llama.context_length in the metadata is 'long'"),
        ({"llama.rope.scaling.type": "yarn"}, "rotary scaling of the kind 'yarn'"),
        ({"llama.rope.scale_linear": 4.0}, "linear rotary scaling"),
        ({"llama.expert_count": 8}, "mixture of experts"),
        ({"llama.attention.sliding_window": 64}, "sliding-window"),
        ({"llama.rope.dimension_count": 8}, "rotate only in part"),
        ({"llama.attention.value_length": 8}, "values of another size"),
        ({"split.count": 2}, "one part of several"),
        ({"tokenizer.ggml.model": "bert"}, "known are 'gpt2' and 'llama'"),
        ({"tokenizer.ggml.model": None}, "known are 'gpt2' and 'llama'"),
        ({"tokenizer.ggml.pre": "tekken"}, "'tekken'; known are gpt-2, llama-bpe, qwen2, smollm"),
        ({"tokenizer.ggml.add_space_prefix": True}, "puts a space first"),
        ({"tokenizer.ggml.eos_token_id": 100_000}, "eos_token_id is 100000"),
        ({"tokenizer.ggml.tokens": None}, "0 tokens"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "the same text"),
        ({"tokenizer.ggml.tokens": [str(i) for i in range(999)]}, "999 tokens, but an embedding"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "but the kinds of 2"),
        (
            {"tokenizer.ggml.token_type": None, "tokenizer.ggml.eos_token_id": None},
            "no token that ends an answer",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_metadata_that_lead_nowhere_are_refused(
    metadata: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert said in refusal(tmp_path, metadata=metadata)


def test_a_sentencepiece_vocabulary_without_scores_is_refused(tmp_path: Path) -> None:
    lacking = {"tokenizer.ggml.scores": None}

    assert "lacks its scores" in refusal(tmp_path, spm=True, metadata=lacking)


@pytest.mark.parametrize(
    ("tensor", "array"),
    [
        ("blk.0.attn_q.bias", np.zeros(64, np.float32)),
        ("blk.0.attn_q_norm.weight", np.zeros(16, np.float32)),
        ("blk.0.ffn_gate_exps.weight", np.zeros((4, 64), np.float32)),
    ],
)
def test_a_tensor_the_graph_would_leave_out_is_refused(
    tensor: str, array: Any, tmp_path: Path
) -> None:
    assert tensor in refusal(tmp_path, tensors={tensor: array})


def test_a_precision_that_is_not_known_is_refused(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")

    with pytest.raises(ModelError, match="no precision 'int2'; take one of int4, int8, fp32"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out", precision="int2")  # type: ignore[arg-type]


def test_metadata_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    path.write_bytes(path.read_bytes().replace(b"Tiny", b"\xff\xfe\xfd\xfc"))

    with pytest.raises(ModelError, match=r"general\.name in the metadata is not UTF-8"):
        convert(path, tmp_path / "out")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    broken = np.full((96, 64), np.nan, np.float32)
    write_tiny_gguf(tmp_path / "tiny.gguf", tensors={"blk.0.ffn_up.weight": broken})

    with pytest.raises(ModelError, match=r"blk\.0\.ffn_up\.weight holds numbers that are not fin"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, tensors={"blk.1.ffn_down.weight": None})

    assert "blk.1.ffn_down.weight is missing" in said


def test_rotary_factors_of_a_wrong_length_are_refused(tmp_path: Path) -> None:
    assert "rope_freqs.weight has the shape (3,)" in refusal(tmp_path, rope_factors=np.ones(3))


def test_sizes_that_do_not_fill_blocks_are_refused(tmp_path: Path) -> None:
    assert "multiples of 32" in refusal(tmp_path, model=TinyLlama(feed_forward=80))


@pytest.mark.parametrize(
    "model", [TinyLlama(head_size=24), TinyLlama(heads=6, kv_heads=4)], ids=["size", "number"]
)
def test_heads_that_the_runtime_cannot_group_are_refused(model: TinyLlama, tmp_path: Path) -> None:
    assert "multiples of 16" in refusal(tmp_path, model=model)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    with pytest.raises(ModelError, match="the architecture is gemma3; only llama"):
        convert(path, tmp_path / "out")


def test_a_tensor_type_that_cannot_be_dequantised_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path, tied=True)
    # The type's number in the tensor's head, F32 (0), becomes I32 (26), of the same size.
    name = b"blk.0.ffn_gate.weight"
    head = bytearray(path.read_bytes())
    at = head.index(name) + len(name) + 4 + 2 * 8
    assert head[at : at + 4] == bytes(4)
    head[at] = 26
    path.write_bytes(head)

    with pytest.raises(ModelError, match=r"blk\.0\.ffn_gate\.weight is of type I32"):
        convert(path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 a zip file", b"\x00" * 64])
def test_a_file_that_is_no_gguf_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    with pytest.raises(ModelError, match="not a GGUF file"):
        convert(path, tmp_path / "out")


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.gguf: can't be read"):
        convert(tmp_path / "nowhere.gguf", tmp_path / "out")


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.01, 0.02, 0.1, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_an_error_of_ours(share: float, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(4, int(share * len(whole)))])

    with pytest.raises(ModelError, match="damaged or cut short"):
        convert(path, tmp_path / "out")


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_that_is_not_there_is_refused(layer: int, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")

    with pytest.raises(ModelError, match=f"no layer {layer}; it has 0 to 1"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out", hidden_layer=layer)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")

    with pytest.raises(ModelError, match="not an empty folder"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out")

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["letter.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "out").mkdir()

    assert convert(tmp_path / "tiny.gguf", tmp_path / "out").folder == tmp_path / "out"


def test_too_little_room_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    # Rotary tables for so long a context are larger than any disk.
    endless = {"llama.context_length": 10**13}
    write_tiny_gguf(tmp_path / "tiny.gguf", metadata=endless)

    with pytest.raises(ModelError, match=r"needs about \d+ MB, but the disk .* has \d+ MB left"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out")

    assert not any((tmp_path / "out").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_disk_that_fills_up_on_the_way_is_an_error_of_ours(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    # A process that may write no file over 100 kB; the system refuses as a full disk does.
    code = f"""
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from router.errors import ModelError
from router.models.gguf import convert
try:
    convert(Path({str(tmp_path / "tiny.gguf")!r}), Path({str(tmp_path / "out")!r}))
except ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"can't write to {tmp_path / 'out'}: {os.strerror(errno.EFBIG)}" in done.stdout
