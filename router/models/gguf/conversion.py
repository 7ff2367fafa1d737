"""One conversion from end to end: read, check, write the graph, write the three documents.

In: a path and what is wanted. Out: a folder and a `Converted`. The public door with its promises
is `convert` in `__init__.py`.
"""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

from . import Converted, Precision, Progress
from .genai import genai_config
from .graph import Shape, add_decoder
from .llama import plan_bits, read_shape, read_weight
from .onnxfile import OnnxFile
from .source import Source
from .tokenizer import Tokenizer, read_tokenizer

# Shares of the whole job, as measured on a model of 30 layers.
_READ_SHARE, _LAYERS_SHARE = 0.2, 0.95
# Bytes of a weight with its share of scales and zero points, rounded up.
_BYTES = {"int4": 0.75, "int8": 1.15, "fp32": 4.0}
_EMBEDDING_BYTES = {"int4": 1.15, "int8": 1.15, "fp32": 4.0}
_SPARE_BYTES = 32 << 20


def run(
    path: Path, out: Path, precision: Precision, hidden_layer: int | None, on_progress: Progress
) -> Converted:
    """Convert; `convert` says what the arguments mean and what raises."""
    on_progress("reading", 0.0)
    source = Source(path)
    shape = read_shape(source)
    if hidden_layer is not None and not 0 <= hidden_layer < shape.layers:
        raise source.error(f"there is no layer {hidden_layer}; it has 0 to {shape.layers - 1}")
    tokenizer = read_tokenizer(source, vocab=shape.vocab, context_length=shape.context_length)
    on_progress("writing weights", _READ_SHARE)
    try:
        _prepare(source, shape, precision, out)
        _write_graph(source, shape, precision, hidden_layer, out, on_progress)
        _write_documents(shape, tokenizer, out)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise source.error(
                f"no room is left on the disk of {out}; free some, try again"
            ) from exc
        raise source.error(f"can't write to {out}: {exc.strerror or exc}") from exc
    on_progress("done", 1.0)
    return Converted(
        folder=out,
        precision=precision,
        name=source.text("general.name"),
        licence=source.text("general.license"),
        context_length=shape.context_length,
        layers=shape.layers,
        hidden_layer=hidden_layer,
        has_chat_template="chat_template" in tokenizer.config,
        total_bytes=sum(file.stat().st_size for file in out.iterdir()),
    )


def _prepare(source: Source, shape: Shape, precision: Precision, out: Path) -> None:
    """Make the folder and see that the model will fit."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise source.error(f"{out} is not an empty folder; choose another one")
    out.mkdir(parents=True, exist_ok=True)
    needed, free = _estimate_bytes(shape, precision), shutil.disk_usage(out).free
    if needed > free:
        raise source.error(
            f"the model needs about {needed >> 20} MB, but the disk of {out} has "
            f"{free >> 20} MB left; free some room or choose another place"
        )


def _estimate_bytes(shape: Shape, precision: Precision) -> int:
    """An upper bound of the folder's size."""
    attention = (2 * shape.heads + 2 * shape.kv_heads) * shape.head_size * shape.hidden
    layers = shape.layers * (attention + 3 * shape.hidden * shape.feed_forward)
    embeddings = shape.vocab * shape.hidden * (1 if shape.tied else 2)
    rotary = shape.context_length * shape.head_size * 4
    numbers = layers * _BYTES[precision] + embeddings * _EMBEDDING_BYTES[precision]
    return int(numbers) + rotary + _SPARE_BYTES


def _write_graph(
    source: Source,
    shape: Shape,
    precision: Precision,
    hidden_layer: int | None,
    out: Path,
    on_progress: Progress,
) -> None:
    def on_layer(finished: int) -> None:
        share = finished / shape.layers
        on_progress("writing weights", _READ_SHARE + share * (_LAYERS_SHARE - _READ_SHARE))

    with OnnxFile(out) as file:
        add_decoder(
            file,
            shape,
            lambda name: read_weight(source, shape, name),
            lambda name: plan_bits(source, shape, precision, name),
            hidden_layer=hidden_layer,
            on_layer=on_layer,
        )
        shown = "" if hidden_layer is None else str(hidden_layer)
        file.save(producer="firsthop", properties={"precision": precision, "hidden_layer": shown})


def _write_documents(shape: Shape, tokenizer: Tokenizer, out: Path) -> None:
    config = genai_config(
        shape,
        model_type="llama",
        bos_id=tokenizer.bos_id,
        eos_ids=tokenizer.eos_ids,
        pad_id=tokenizer.pad_id,
    )
    documents: dict[str, dict[str, Any]] = {
        "genai_config.json": config,
        "tokenizer.json": tokenizer.document,
        "tokenizer_config.json": tokenizer.config,
    }
    for name, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (out / name).write_text(text, encoding="utf-8", newline="\n")
