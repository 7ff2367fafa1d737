"""`firsthop.json`, the paper that lies beside each model's files: where they came from, and
their checksums.

In goes a folder; out comes a frozen `Manifest`, or None, or an error that says what is wrong
with the file. Written last and whole, so a folder without one is not a model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ModelError
from . import disk

FILE_NAME = "firsthop.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a model.

    Attributes:
        path: Relative to the model's folder, with forward slashes.
        bytes: Size.
        sha256: Of the file as it was when the model was placed.
        checked: What `sha256` was held against then: ``pinned sha256`` (our own), ``hub sha256``
            or ``hub git sha1`` (what the hub said of that commit), ``made here`` (converted on
            this machine from weights that were checked, or that the user gave).
    """

    path: str
    bytes: int
    sha256: str
    checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a model in the store. None means not known.

    Attributes:
        name: The model's name.
        source: ``hub:OWNER/REPO``, ``pypi:PACKAGE==VERSION`` or ``file:NAME``.
        revision: Commit; version; or ``sha256:`` of the user's file.
        build: Name of its folder under the model's name.
        precision: Of a converted model. None: it came ready-made.
        hidden_layer: Layer whose incoming residual state is a graph output too. None: none is.
        licence: SPDX identifier. None: the store wasn't told.
        context_limit: Most tokens prompt and answer may have together.
        converter: What made the files, with its version. None: they came ready-made.
        created: ISO 8601, UTC.
        verified_at: When the files were last held to these checksums and all were right. None: the
            last check found a fault, so the model is not used until it is pulled again.
    """

    format: int = FORMAT
    name: str
    source: str
    revision: str
    build: str
    precision: str | None
    hidden_layer: int | None
    licence: str | None
    context_limit: int | None
    converter: str | None
    created: str
    verified_at: str | None
    files: tuple[FileEntry, ...]


def write(folder: Path, manifest: Manifest) -> None:
    """Write it into `folder` in one move, so that a reader sees the old one or the new one."""
    target = folder / FILE_NAME
    draft = folder / f".{FILE_NAME}.new"
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    disk.flush(draft)
    disk.move(draft, target)


def read(folder: Path) -> Manifest | None:
    """The manifest in `folder`. None: there is no such file.

    Raises:
        ModelError: There is one, and it can't be understood.
    """
    import msgspec

    file = folder / FILE_NAME
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as exc:
        raise _unreadable(file, str(exc)) from exc
    if manifest.format != FORMAT:
        raise _unreadable(file, f"format {manifest.format}, this version knows {FORMAT}")
    return manifest


def _unreadable(file: Path, why: str) -> ModelError:
    name = file.parent.parent.name
    return ModelError(
        f"{file} can't be read ({why}). To mend it: firsthop models rm {name}, "
        f"then firsthop models pull {name}",
        model=name,
    )
