"""Who may write, and how a staged folder becomes a model: the store's lock, its move, its broom.

In goes a `Site`, the store's root with the places below it; out comes a model where readers look,
or nothing at all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ModelError
from . import disk, manifest
from .manifest import Manifest
from .progress import Meter

ROOT_ENV = "FIRSTHOP_MODELS"
_TELL_EVERY_S = 1.0


def default_root() -> Path:
    """``FIRSTHOP_MODELS``, or the folder for caches of this user on this system."""
    if given := os.environ.get(ROOT_ENV):
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("firsthop", appauthor=False), "models")


@dataclass(frozen=True, slots=True)
class Site:
    """The store's root, and where things lie below it."""

    root: Path

    def home(self, name: str) -> Path:
        """Where the builds of a model are."""
        return self.root / name

    def staging(self, name: str) -> Path:
        """Where a pull works. One file system with `home`, or the last move would be a copy."""
        return self.root / ".staging" / name

    def lock(self, name: str) -> Path:
        """The file that is locked; it stays when nobody holds it."""
        return self.root / ".locks" / f"{name}.lock"


@contextlib.contextmanager
def held(site: Site, name: str, meter: Meter | None) -> Iterator[None]:
    """Hold the lock on a model. The system lets go of it when a process dies.

    Args:
        meter: Is told once a second that we wait. None: don't wait.

    Raises:
        ModelError: Another process has it, and we weren't to wait.
    """
    from filelock import FileLock, Timeout

    file = site.lock(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(file))
    patience_s = 0.0
    while True:
        try:
            lock.acquire(timeout=patience_s)
            break
        except Timeout as exc:
            if meter is None:
                raise ModelError(
                    f"{name} is being pulled or removed by another process; try when it is done",
                    model=name,
                ) from exc
            meter.begin("wait")
            patience_s = _TELL_EVERY_S
    try:
        yield
    finally:
        # A pull that failed before it had anything leaves nothing for `remove` to find.
        with contextlib.suppress(OSError):
            site.staging(name).rmdir()
        lock.release()


def place(site: Site, staged: Path, paper: Manifest, meter: Meter) -> tuple[Path, Manifest]:
    """Write the manifest and move the folder to where readers look; then sweep up.

    `paper.build` is made unique: never is one folder put in the place of another, so until the
    new one is there the old one is the model.
    """
    home, staging = site.home(paper.name), site.staging(paper.name)
    home.mkdir(parents=True, exist_ok=True)
    old = sorted(home.iterdir())
    paper = replace(paper, build=_free_name(paper.build, {entry.name for entry in old}))
    manifest.write(staged, paper)
    meter.begin("place", detail=paper.build)
    disk.move(staged, home / paper.build)
    for entry in old:
        # Windows keeps a folder that a running engine reads. It is older, so it isn't used.
        with contextlib.suppress(OSError):
            disk.discard(entry, trash=staging)
    clear(staging)
    meter.begin("done", detail=paper.build)
    return home / paper.build, paper


def remove(site: Site, name: str) -> int:
    """Take away a model and what a broken-off pull left. Gives the bytes they had."""
    home, staging = site.home(name), site.staging(name)
    size = disk.size_bytes(home) + disk.size_bytes(staging)
    if home.is_dir():
        disk.discard(home, trash=staging)
    clear(staging)
    return size


def clear(folder: Path) -> None:
    """Empty the folder and remove it, as far as nobody holds what is in it."""
    disk.sweep(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _free_name(build: str, taken: set[str]) -> str:
    tries = (build, *(f"{build}.{count}" for count in range(2, len(taken) + 3)))
    return next(one for one in tries if one not in taken)
