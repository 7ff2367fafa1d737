"""What a model folder says about itself, before anything heavy reads it.

In goes a path, out comes a `ModelFolder`: name and context limits. Needs no runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Unavailable

CONFIG_FILE = "genai_config.json"
MANIFEST_FILE = "firsthop.json"

LONGROPE_SAFE = 4096
"""Most tokens of prompt and answer for the Phi-3 family. Past it these models change to another
position table: an append that crosses the line gives wrong logits without an error, a generated
token that crosses it reads the whole conversation again."""

_LONGROPE_FAMILY = "phi"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A folder ONNX Runtime GenAI can load.

    Attributes:
        model: What the manifest calls it, or the folder's name.
        context_length: What the runtime allows.
        safe_limit: Most tokens of prompt and answer that give right answers.
        build: Which build of the model, quantisation included, as the manifest names it. None:
            nobody says.
        parameters: About how many it has, by its shape; see `_size`. None: its shape is not told.
    """

    path: Path
    model: str
    context_length: int
    safe_limit: int
    build: str | None = None
    parameters: int | None = None

    def limit(self, asked: int | None) -> int:
        """The limit to run with; a caller may ask for less than is safe, not for more."""
        return self.safe_limit if asked is None else min(asked, self.safe_limit)


class _Decoder(msgspec.Struct):
    hidden_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    head_size: int | None = None


class _Model(msgspec.Struct):
    type: str
    context_length: int
    vocab_size: int | None = None
    decoder: _Decoder | None = None


class _Config(msgspec.Struct):
    model: _Model


class _Manifest(msgspec.Struct):
    name: str | None = None
    context_limit: int | None = None
    build: str | None = None


def read_folder(path: Path) -> ModelFolder:
    """Read the folder's `genai_config.json` and, where there is one, the store's manifest.

    Raises:
        Unavailable: Not retryable; says what is missing or wrong, and what to try.
    """
    if not path.is_dir():
        raise _bad(path, "there is no such folder")
    if not (path / CONFIG_FILE).is_file():
        raise _bad(path, f"it has no {CONFIG_FILE}, so it isn't an ONNX Runtime GenAI model folder")
    model = _read(path / CONFIG_FILE, _Config).model
    manifest = _Manifest()
    if (path / MANIFEST_FILE).is_file():
        manifest = _read(path / MANIFEST_FILE, _Manifest)
    safe = model.context_length
    if model.type.startswith(_LONGROPE_FAMILY):
        safe = min(safe, LONGROPE_SAFE)
    if manifest.context_limit is not None:
        safe = min(safe, manifest.context_limit)
    return ModelFolder(
        path=path,
        model=manifest.name or path.name,
        context_length=model.context_length,
        safe_limit=safe,
        build=manifest.build,
        parameters=_size(model),
    )


def _size(model: _Model) -> int | None:
    """About how many parameters, never many too many. None: not all of its shape is told.

    Attention as it is, and a gated feed-forward part of 8/3 of the width, which is the narrowest in
    use: the file does not tell it. SmolLM2-135M comes out at 134 M, Phi-3.5-mini at 3.7 of 3.8 B,
    Qwen2.5-3B, whose part is twice as wide, at 1.9 of 3.1 B.
    """
    shape = model.decoder
    if shape is None or not (shape.hidden_size and shape.num_hidden_layers and model.vocab_size):
        return None
    if not (shape.num_attention_heads and shape.num_key_value_heads and shape.head_size):
        return None
    width = shape.hidden_size
    heads = (shape.num_attention_heads + shape.num_key_value_heads) * shape.head_size
    layer = 2 * width * heads + 8 * width * width
    return shape.num_hidden_layers * layer + model.vocab_size * width


def cannot_load(folder: ModelFolder, exc: Exception) -> Unavailable:
    """What a runtime that failed to load the folder's model is told as."""
    return Unavailable(
        f"the model in {folder.path} can't be loaded: {exc}. "
        "Its files may be damaged or made for another runtime; for a model of the store "
        f"see: firsthop models verify {folder.model}",
        retryable=False,
    )


def _read(file: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as exc:
        raise _bad(file.parent, f"{file.name} can't be read: {exc}") from exc


def _bad(path: Path, why: str) -> Unavailable:
    return Unavailable(
        f"the model in {path} can't be used: {why}. "
        f"Check the path, or get a model: firsthop models pull NAME",
        retryable=False,
    )
