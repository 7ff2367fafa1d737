"""What stands in the store, for reading: no lock, no write, no network.

In goes the store's root; out come frozen values about models that are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ModelError
from . import disk, manifest
from .catalogue import is_name
from .manifest import FileEntry, Manifest
from .progress import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A model in the store.

    Attributes:
        path: Its folder, to be given to ONNX Runtime GenAI.
        manifest: Where it came from, its limits, its files and their checksums.
    """

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def size_bytes(self) -> int:
        """Bytes of its files."""
        return sum(entry.bytes for entry in self.manifest.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """What was found where a file should be. `path` is relative to the model's folder."""

    path: str
    state: Literal["ok", "missing", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A model's files, held to the checksums in its manifest."""

    name: str
    path: Path
    files: tuple[FileCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every file is as it was when the model was placed."""
        return all(check.state == "ok" for check in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model a config named, by its name or by a folder.

    Attributes:
        name: The model's name, or the folder's.
        context_limit: Most tokens prompt and answer may have together. None: nobody says.
        manifest: None: the folder isn't the store's.
    """

    name: str
    path: Path
    context_limit: int | None
    manifest: Manifest | None


def names(root: Path) -> list[str]:
    """Names of the folders that may hold models, sorted."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if is_name(entry.name) and entry.is_dir())


def newest(root: Path, name: str) -> Installed | None:
    """The model of that name. None: there is none.

    One build is kept, but a kill just after a move can leave an older one beside it.

    Raises:
        ModelError: There is nothing but a folder whose manifest can't be read.
    """
    good: list[Installed] = []
    bad: list[ModelError] = []
    home = root / name
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        try:
            read = manifest.read(path)
        except ModelError as exc:
            bad.append(exc)
            continue
        if read is not None:
            good.append(Installed(path=path, manifest=read))
    if bad and not good:
        raise bad[0]
    return max(good, key=lambda one: one.manifest.created, default=None)


def fault(installed: Installed) -> str | None:
    """Why a model must not be used, as far as one sees without reading its files. None: fine."""
    if installed.manifest.verified_at is None:
        return "the last check of its files found a fault"
    for entry in installed.manifest.files:
        try:
            size = (installed.path / entry.path).stat().st_size
        except FileNotFoundError:
            return f"{entry.path} is missing"
        if size != entry.bytes:
            return f"{entry.path} has {size} bytes and should have {entry.bytes}"
    return None


def check(installed: Installed, meter: Meter) -> Report:
    """Read every file and hold it to its checksum."""
    meter.begin("check", total=installed.size_bytes)
    files = tuple(_check(installed.path, entry, meter) for entry in installed.manifest.files)
    return Report(name=installed.name, path=installed.path, files=files)


def _check(path: Path, entry: FileEntry, meter: Meter) -> FileCheck:
    meter.detail(entry.path)
    try:
        right = disk.digest(path / entry.path, meter).sha256 == entry.sha256
    except FileNotFoundError:
        return FileCheck(path=entry.path, state="missing")
    return FileCheck(path=entry.path, state="ok" if right else "changed")
