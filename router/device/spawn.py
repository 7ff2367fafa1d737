"""A device worker is started, and its end is noticed.

In goes a place and what to serve there, out comes a `Child`. Never by fork: a fresh interpreter
has none of the app's threads, locks and connections.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from ..errors import Unavailable
from .engine import EngineOptions
from .fresh import environment
from .place import Place
from .serving import Limits
from .speed_file import file_for
from .worker import Orders

_LARGE_PAGES = "glibc.malloc.hugetlb"
"""The setting by which Linux's C library asks for large pages. Weights in small ones are read
slower, the more so the more scattered they happen to lie."""

_LAST_WORDS_BYTES = 2000
_LAST_WORDS_LINES = 4


class Child:
    """A worker this process has started. Reaped as soon as it ends, so no zombie stays."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._ended = threading.Event()
        threading.Thread(target=self._reap, name="firsthop-reaper", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self._ended.is_set()

    @property
    def content(self) -> bool:
        """Whether it ended because there was nothing left to do."""
        return self._process.returncode == 0

    def kill(self) -> None:
        """End it now; nothing happens if it has ended."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def obituary(self) -> str:
        """How it ended. Empty while it lives."""
        code = self._process.returncode
        if code is None:
            return ""
        return f"exit code {code}" if code >= 0 else _signal_name(-code)

    def last_words(self) -> str:
        """How it ended, and the last lines of its log.

        Only for one that never got ready: what a worker that has served wrote may be somebody
        else's business.
        """
        words = self._end_of_log()
        return f"{self.obituary()}; its last words: {words}" if words else self.obituary()

    def _reap(self) -> None:
        self._process.wait()
        self._ended.set()

    def _end_of_log(self) -> str:
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LAST_WORDS_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-_LAST_WORDS_LINES:])


def spawn(place: Place, options: EngineOptions, limits: Limits) -> Child:
    """Start a worker for `options` at `place`. It loads first, and listens then.

    Raises:
        Unavailable: Not retryable: it can't even be started.
    """
    if not sys.executable:
        raise Unavailable(
            "the device worker can't be started: this Python doesn't know its own executable "
            "(sys.executable is empty, as in some embedded interpreters)",
            retryable=False,
        )
    orders = Orders(
        options=options,
        place=place,
        limits=limits,
        starter=os.getpid(),
        speeds=str(file_for(place.name)),
    )
    command = [sys.executable, "-P", "-m", "firsthop.device.worker"]
    command.append(msgspec.json.encode(orders).decode())
    try:
        with place.log.open("wb") as log:
            process = _popen(command, log.fileno(), place.folder, options.nice)
    except OSError as exc:
        raise Unavailable(
            f"the device worker can't be started with {sys.executable}: {exc}", retryable=False
        ) from exc
    return Child(process, place.log)


def _popen(command: list[str], log: int, folder: str, nice: int) -> subprocess.Popen[bytes]:
    """Start it apart from our terminal and process group: Ctrl-C is meant for us."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        if nice > 0:
            flags |= subprocess.BELOW_NORMAL_PRIORITY_CLASS
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=folder,
            env=_environment(),
            creationflags=flags,
        )
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        cwd=folder,
        env=_environment(),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Ours, with the runtime's telemetry off, and large pages asked for where nobody has chosen
    already."""
    found = {**environment(), "ORT_DISABLE_TELEMETRY": "1"}
    chosen = found.get("GLIBC_TUNABLES", "")
    if sys.platform == "linux" and _LARGE_PAGES not in chosen:
        found["GLIBC_TUNABLES"] = f"{chosen}:{_LARGE_PAGES}=1".lstrip(":")
    return found


def _signal_name(number: int) -> str:
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"
