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
    """

    path: Path
    model: str
    context_length: int
    safe_limit: int
    build: str | None = None

    def limit(self, asked: int | None) -> int:
        """The limit to run with; a caller may ask for less than is safe, not for more."""
        return self.safe_limit if asked is None else min(asked, self.safe_limit)


class _Model(msgspec.Struct):
    type: str
    context_length: int


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
    )


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
