"""A ready-made model from a Hugging Face repository: which folder, which files, and are they right.

In goes a `HubSource`; out comes a staged folder whose every file was held to a checksum. The
folder is the one with a `genai_config.json`; the names of the files are read from that config.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ModelError
from . import disk
from .catalogue import HubSource
from .folder import CONFIG
from .hub import Hub, Listing, RemoteFile
from .manifest import FILE_NAME, FileEntry
from .progress import Meter

# What tokenizers and chat templates come in. Scripts and pages of the repository stay there.
_TEXTS = frozenset({".json", ".jinja", ".model", ".txt"})
# Parts of a path on Windows: a name with one of them could lead out of the folder.
_SEPARATORS = frozenset("\\:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A staged, checked folder.

    Attributes:
        folder: Where the files lie now.
        revision: The commit they are of.
        files: What goes into the manifest.
    """

    folder: Path
    revision: str
    files: tuple[FileEntry, ...]


def fetch(
    model: str,
    source: HubSource,
    hub: Hub,
    staging: Path,
    meter: Meter,
    need_room: Callable[[int], None],
) -> Fetched:
    """Bring the model's files into a folder below `staging`, named after the commit.

    What an earlier, broken-off pull of the same commit left there is used; the rest is swept away.

    Args:
        need_room: Raises when so many bytes more don't fit on the disk.

    Raises:
        ModelError: The hub, the repository or a checksum is at fault.
        OSError: The disk is.
    """
    meter.begin("look", detail=source.repo)
    listing = hub.listing(source.repo, source.revision)
    if len(source.revision) == 40 and listing.commit != source.revision:
        raise ModelError(
            f"the hub answered for commit {listing.commit} of {source.repo}, "
            f"but {source.revision} is pinned",
            model=model,
        )
    where = _folder(model, source, listing)
    folder = staging / listing.commit[:12]
    disk.sweep(staging, keep=folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    load = _Load(model=model, source=source, hub=hub, listing=listing, folder=folder, meter=meter)
    inside = _inside(listing, where)
    load.bring([hub.describe(listing, inside[CONFIG])])
    names = _names(model, _config(model, folder / CONFIG), list(inside))
    files = [hub.describe(listing, inside[name]) for name in names]
    need_room(sum(load.missing_bytes(file) for file in files))
    return Fetched(folder=folder, revision=listing.commit, files=load.bring(files))


def size_bytes(model: str, source: HubSource, hub: Hub) -> int:
    """About what a pull fetches: all of the folder, a little more than is taken of it.

    Raises: ModelError as `fetch`.
    """
    listing = hub.listing(source.repo, source.revision)
    inside = _inside(listing, _folder(model, source, listing))
    return sum(hub.describe(listing, path).bytes for path in inside.values())


def _inside(listing: Listing, where: str) -> dict[str, str]:
    """Name to path of the files directly in the folder `where`; safe to use as names on a disk."""
    paths = {PurePosixPath(path): path for path in sorted(listing.files)}
    return {
        pure.name: path
        for pure, path in paths.items()
        if str(pure.parent) == where
        and pure.name != ".."
        and not _SEPARATORS.intersection(pure.name)
    }


def _folder(model: str, source: HubSource, listing: Listing) -> str:
    folders = sorted(
        str(path.parent) for path in map(PurePosixPath, listing.files) if path.name == CONFIG
    )
    fitting = [folder for folder in folders if f"{folder}/".startswith(source.folder)]
    if not folders:
        raise ModelError(
            f"{source.repo} holds no {CONFIG}, so it has no folder that ONNX Runtime GenAI can run",
            model=model,
        )
    return (fitting or folders)[0]


def _names(model: str, config: object, inside: list[str]) -> list[str]:
    """The files to take: what the config names, the weights beside it, tokenizer and template."""
    named = set(_file_names(config))
    if missing := named.difference(inside):
        raise ModelError(
            f"{CONFIG} names {', '.join(sorted(missing))}, which the hub's folder doesn't hold",
            model=model,
        )
    if not named:
        raise ModelError(f"{CONFIG} names no model file", model=model)

    def wanted(name: str) -> bool:
        # Weights beside model.onnx are called model.onnx.data, or model.onnx_data by older tools.
        beside = any(name.startswith((f"{one}.", f"{one}_")) for one in named)
        return name in named or beside or PurePosixPath(name).suffix in _TEXTS

    return [name for name in inside if wanted(name) and name != FILE_NAME]


def _file_names(config: object) -> Iterator[str]:
    """Every value of a key `filename`, however deep: decoder, encoder, pipeline stages."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "filename" and isinstance(value, str):
                yield value
            else:
                yield from _file_names(value)
    elif isinstance(config, list):
        for value in config:
            yield from _file_names(value)


def _config(model: str, file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except ValueError as exc:
        raise ModelError(f"the hub's {CONFIG} isn't JSON: {exc}", model=model) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """Brings files of one listing into `folder`, and holds each to its checksum."""

    model: str
    source: HubSource
    hub: Hub
    listing: Listing
    folder: Path
    meter: Meter

    def bring(self, files: list[RemoteFile]) -> tuple[FileEntry, ...]:
        """Fetch all, then check all: two phases, so that each has one bar."""
        total = sum(file.bytes for file in files)
        missing = sum(self.missing_bytes(file) for file in files)
        begun_before = {file.path for file in files if self._here(file).exists()}
        self.meter.begin("download", total=total, done=total - missing)
        for file in files:
            self._fetch(file)
        self.meter.begin("check", total=total)
        return tuple(self._checked(file, file.path in begun_before) for file in files)

    def missing_bytes(self, file: RemoteFile) -> int:
        """Bytes of the file that are not in the folder yet."""
        here = self._here(file)
        return max(0, file.bytes - (here.stat().st_size if here.exists() else 0))

    def _here(self, file: RemoteFile) -> Path:
        return self.folder / PurePosixPath(file.path).name

    def _fetch(self, file: RemoteFile) -> None:
        self.meter.detail(self._here(file).name)
        self.hub.fetch(self.listing, file, self._here(file), self.meter)

    def _checked(self, file: RemoteFile, begun_before: bool) -> FileEntry:
        here = self._here(file)
        self.meter.detail(here.name)
        found = disk.digest(here, self.meter)
        pinned = self.source.sha256.get(here.name)
        if pinned or file.sha256:
            kind, wanted, got = "sha256", pinned or file.sha256, found.sha256
        else:
            kind, wanted, got = "git sha1", file.git_sha1, found.git_sha1
        if got != wanted:
            here.unlink()
            if begun_before:
                # What lay there from a broken-off pull may be at fault: once more, from the start.
                self.meter.begin("download", total=file.bytes)
                self._fetch(file)
                self.meter.begin("check", total=file.bytes)
                return self._checked(file, begun_before=False)
            raise ModelError(
                f"{file.path} of {self.listing.repo} at {self.listing.commit[:12]} came with "
                f"{kind} {got}, but {wanted} is {'pinned' if pinned else 'what the hub says'}. "
                "It is deleted, nothing was installed. Pull again; if it stays so, something "
                "between here and the hub changes files",
                model=self.model,
            )
        disk.flush(here)
        checked = "pinned sha256" if pinned else f"hub {kind}"
        return FileEntry(path=here.name, bytes=found.bytes, sha256=found.sha256, checked=checked)
