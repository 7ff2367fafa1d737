"""A Llama-architecture GGUF becomes a folder that ONNX Runtime GenAI can run.

In: a `.gguf` file. Out: `model.onnx` with its data, `genai_config.json`, `tokenizer.json`,
`tokenizer_config.json`. It takes numpy, gguf and onnx, and no machine-learning framework;
gguf and onnx come with the `convert` extra and are imported by the first call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ...errors import ModelError

__all__ = ["HIDDEN_OUTPUT", "Converted", "Precision", "convert"]

Precision: TypeAlias = Literal["int4", "int8", "fp32"]
Progress: TypeAlias = Callable[[str, float], None]

HIDDEN_OUTPUT = "hidden_state"
"""The graph output that `hidden_layer` adds; read it with `Generator.get_output`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a conversion wrote.

    Attributes:
        folder: Where ONNX Runtime GenAI finds it.
        name: The model's name, as the GGUF has it. None: it has none.
        licence: SPDX-like word from the GGUF. None: it doesn't say.
        context_length: Tokens of prompt and answer the model was trained for.
        layers: How many; `hidden_layer` goes from 0 to one less.
        hidden_layer: The layer whose input is shown as `HIDDEN_OUTPUT`. None: not shown.
        has_chat_template: Whether the GGUF carried one. Without it no conversation can be put
            into the model's words.
        total_bytes: Size of the folder's files.
    """

    folder: Path
    precision: Precision
    name: str | None
    licence: str | None
    context_length: int
    layers: int
    hidden_layer: int | None
    has_chat_template: bool
    total_bytes: int


def convert(
    source: Path,
    out: Path,
    *,
    precision: Precision = "int4",
    hidden_layer: int | None = None,
    on_progress: Progress | None = None,
) -> Converted:
    """Convert one GGUF file.

    Files are written one by one straight into `out`; after an error, what lies there is of no use.
    A caller who wants all or nothing converts into a fresh folder and moves it.

    Args:
        source: A GGUF of the `llama` architecture, in one file, of any tensor type that the gguf
            package can dequantise.
        out: The folder; it must be empty, or not there yet.
        precision: `int4` keeps 4-bit sources exact (`linear.py` says how) and gives what matters
            most in other sources 8 bits; embedding and output matrix have 8 bits. `int8` has
            8 bits everywhere. `fp32` is the yardstick for the two.
        hidden_layer: Show the residual stream that enters this layer, 0 for the first, as one
            more graph output, `HIDDEN_OUTPUT`, float32 of shape (batch, tokens, hidden).
        on_progress: Called with what is being done and the share of the whole job that is
            finished, 0 to 1, never less than before.

    Raises:
        ModelError: gguf or onnx is not installed; not a GGUF, or one this converter can't do
            right; `out` is not empty; no room on the disk.
    """
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ModelError(f"there is no precision {precision!r}; take one of {known}")
    try:
        from .conversion import run
    except ModuleNotFoundError as exc:
        if exc.name not in {"gguf", "onnx"}:
            raise
        raise ModelError(
            f"converting a GGUF needs the package {exc.name}: "
            'run `pip install "firsthop[convert]"` and try again',
            model=source.name,
        ) from exc
    return run(source, out, precision, hidden_layer, on_progress or (lambda _phase, _share: None))
