"""Where clients and a device worker meet: names of files in a private folder, and nothing else.

In go the engine's options, out comes a `Place`. Everybody who asks for the same model with the
same options gets the same place, and so shares one worker. No other user can look into the folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import Unavailable
from . import wire
from .engine import EngineOptions
from .folder import CONFIG_FILE

Transport = Literal["unix", "tcp"]

# Where the kernel keeps a Unix socket's path there is room for 104 bytes at least.
_LONGEST_SOCKET_PATH = 100
_LONGEST_NAME = len("/0123456789abcdef.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One meeting place.

    Attributes:
        folder: Private to the user.
        name: Hash of what the worker serves.
        transport: ``"tcp"`` is for platforms whose Python has no Unix sockets.
    """

    folder: str
    name: str
    transport: Transport

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return Path(self.folder, f"{self.name}.sock")

    @property
    def card(self) -> Path:
        """For TCP: the file with the port and the keys."""
        return Path(self.folder, f"{self.name}.card")

    @property
    def lock(self) -> Path:
        """Held by whoever starts a worker, and by a worker as it leaves."""
        return Path(self.folder, f"{self.name}.lock")

    @property
    def paper(self) -> Path:
        """Says which process the worker is."""
        return Path(self.folder, f"{self.name}.pid")

    @property
    def log(self) -> Path:
        """What the worker wrote to its standard error."""
        return Path(self.folder, f"{self.name}.log")


def place_for(
    options: EngineOptions, *, folder: Path | None = None, transport: Transport | None = None
) -> Place:
    """The place for these options.

    Args:
        options: With the real path of the model's folder.
        folder: Meet there, not in the user's own runtime folder. For tests.
        transport: None: Unix sockets where there are any.

    Raises:
        Unavailable: Not retryable: no folder that is ours alone can be had.
        OSError: The model's configuration can't be read.
    """
    if transport is None:
        transport = "tcp" if sys.platform == "win32" else "unix"
    parent = folder if folder is not None else _runtime_folder()
    return Place(folder=str(_private(parent)), name=_name(options), transport=transport)


def _name(options: EngineOptions) -> str:
    try:
        version = metadata.version("firsthop")
    except metadata.PackageNotFoundError:
        version = "unknown"
    said = msgspec.json.encode([wire.VERSION, version, asdict(options)])
    config = Path(options.folder, CONFIG_FILE).read_bytes()
    return hashlib.sha256(said + b"\0" + config).hexdigest()[:16]


def _runtime_folder() -> Path:
    if sys.platform == "win32":  # below the user's profile, which other users can't read
        return Path(tempfile.gettempdir(), "firsthop")
    given = os.environ.get("XDG_RUNTIME_DIR")
    wanted = [Path(given, "firsthop")] if given and _is_ours_alone(Path(given)) else []
    wanted.append(Path(tempfile.gettempdir(), f"firsthop-{os.getuid()}"))
    for folder in wanted:
        if len(os.fsencode(folder)) + _LONGEST_NAME <= _LONGEST_SOCKET_PATH:
            return folder
    return Path(f"/tmp/firsthop-{os.getuid()}")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise _not_ours(folder, str(exc)) from exc
    if not _is_ours_alone(folder):
        raise _not_ours(folder, "it is not a folder that this user owns and others can't enter")
    return folder


def _is_ours_alone(folder: Path) -> bool:
    if sys.platform == "win32":  # the profile's access list says it, not the mode
        return folder.is_dir()
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _not_ours(folder: Path, why: str) -> Unavailable:
    return Unavailable(
        f"the device worker needs a folder that is this user's alone, and {folder} can't be it: "
        f"{why}. Remove it, or set XDG_RUNTIME_DIR (or TMPDIR) to a folder of your own",
        retryable=False,
    )
