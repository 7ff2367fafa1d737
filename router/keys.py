"""Where a target's key lies (environment, a file, the system's keyring), and the key as it is now.

Comes in: a place, as the config names it. Goes out: the key, and errors that name the place and
never the key. A file is looked at before each call, so that a key that was put there is used from
the next request on. The environment and the keyring are read again by `Key.reload` only: the one
hardly changes in a running process, the other may ask its user for a password.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .redaction import guard_logs, remember

log = logging.getLogger("firsthop")

MAX_BYTES = 16_384
INSTALL = "pip install 'firsthop[keyring]'"


@dataclass(frozen=True, slots=True)
class InEnv:
    """An environment variable."""

    name: str
    environ: Mapping[str, str] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"the environment variable {self.name}"

    def read(self) -> str:
        """The key. Raises: ConfigError."""
        value = self.environ.get(self.name)
        if not value:
            raise ConfigError(f"{self} is not set")
        return value


@dataclass(frozen=True, slots=True)
class InFile:
    """A file that holds the key and nothing else; a line feed at its end doesn't count."""

    path: Path

    def __str__(self) -> str:
        return f"the file {self.path}"

    def read(self) -> str:
        """The key. Raises: ConfigError."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else None
            raise ConfigError(f"{self} cannot be read: {why or exc}") from exc
        try:
            key = raw.removeprefix(b"\xef\xbb\xbf").decode().strip()
        except UnicodeDecodeError:
            key = "\n"
        if not key:
            raise ConfigError(f"{self} is empty")
        if len(raw) > MAX_BYTES or not key.isprintable():
            raise ConfigError(f"{self} holds something else than one key on one line")
        return key

    def marks(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from the next without reading it."""
        try:
            facts = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino

    def too_open(self) -> str | None:
        """Who beside its owner may read it, and what to do. None: nobody, or it can't be told.

        On Windows it can't: who may read is said by access lists, not by the mode.
        """
        if sys.platform == "win32":
            return None
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
        except (OSError, ValueError):
            return None
        if not mode & 0o077:
            return None
        who = "everybody" if mode & 0o007 else "its group"
        return f"{self} is open to {who} (mode {mode:04o}); run: chmod 600 {self.path}"


@dataclass(frozen=True, slots=True)
class InKeyring:
    """An entry of the operating system's keyring, read through the package `keyring`."""

    service: str
    user: str

    def __str__(self) -> str:
        return f"the keyring's entry {self.service} / {self.user}"

    def read(self) -> str:
        """The key. Raises: ConfigError."""
        keyring = _keyring()
        try:
            key: str | None = keyring.get_password(self.service, self.user)
        except keyring.errors.KeyringError as exc:
            raise _refused(exc) from exc
        if not key:
            raise ConfigError(
                f"{self} is not there", hint=f"run: keyring set {self.service} {self.user}"
            )
        return key

    def write(self, key: str) -> None:
        """Keep `key` there. Raises: ConfigError."""
        keyring = _keyring()
        try:
            keyring.set_password(self.service, self.user, key)
        except keyring.errors.KeyringError as exc:
            raise _refused(exc) from exc


Place = InEnv | InFile | InKeyring


class Key:
    """One target's key. Every method may be called from any thread; its `repr` never shows it.

    Attributes:
        place: Where it lies.
    """

    __slots__ = ("_marks", "_value", "_working", "place")

    def __init__(self, place: Place) -> None:
        """Read it for the first time. Raises: ConfigError."""
        self.place = place
        self._working = threading.Lock()
        self._marks = place.marks() if isinstance(place, InFile) else None
        self._value = _read(place)
        if isinstance(place, InFile) and (open_to := place.too_open()):
            log.warning("%s", open_to)

    def __call__(self) -> str:
        """The key as it is now; a file is read again when it has changed.

        A file that is gone, empty or half written leaves the last good key in use, and says so in
        the log.
        """
        if isinstance(self.place, InFile):
            marks = self.place.marks()
            if marks != self._marks:
                with self._working:
                    self._marks = marks
                    try:
                        self._value = _read(self.place)
                    except ConfigError as exc:
                        log.warning("%s; the key it held before stays in use", exc)
        return self._value

    def reload(self) -> None:
        """Read it again wherever it lies. Raises: ConfigError; the last good key stays in use."""
        with self._working:
            if isinstance(self.place, InFile):
                self._marks = self.place.marks()
            self._value = _read(self.place)

    def __repr__(self) -> str:
        return f"Key({self.place})"


def keep_in_file(path: Path, key: str) -> None:
    """Write a new file that only its owner may read. Raises: ConfigError; never over another file.

    On Windows it gets the access rights of its folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(key + "\n")
    except FileExistsError as exc:
        raise ConfigError("is there already; nothing was changed", file=path) from exc
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else None
        raise ConfigError(f"the key can't be written there: {why or exc}", file=path) from exc


def keyring_usable() -> bool:
    """Whether there is a keyring that can hold a key. Asks for nothing and unlocks nothing."""
    try:
        keyring = _keyring()
    except ConfigError:
        return False
    return float(keyring.get_keyring().priority) > 0


def _read(place: Place) -> str:
    key = place.read()
    remember(key)
    guard_logs()
    return key


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ImportError as exc:
        raise ConfigError("the system's keyring needs another package", hint=INSTALL) from exc
    return keyring


def _refused(error: Exception) -> ConfigError:
    said = str(error).strip().splitlines()
    why = said[0] if said else type(error).__name__
    return ConfigError(f"the system's keyring can't be used: {why}")
