"""A command in a terminal of its own, driven as a person does: read what it says, then type.

The command is the session's leader and the terminal is its own, so that what asks for a password
finds it where it looks. POSIX.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_LEAD = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One command of Python in a terminal of 100 columns.

    Attributes:
        screen: All that was shown until now, without colours.
    """

    def __init__(self, words: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
        import pty

        self.screen = ""
        self._at = 0
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._ours >= 0:
            os.close(self._ours)

    def until(self, text: str, within_s: float = 30.0) -> None:
        """Read on until `text` is shown, after what was waited for last."""
        give_up = time.monotonic() + within_s
        while text not in self.screen[self._at :]:
            assert time.monotonic() < give_up, f"{text!r} never came:\n{self.screen}"
            assert self._read(), f"it ended before {text!r}:\n{self.screen}"
        self._at = self.screen.index(text, self._at) + len(text)

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        os.write(self._ours, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.write(self._ours, b"\x03")

    def hang_up(self) -> int:
        """Take the terminal away, as closing its window does; the exit code."""
        os.close(self._ours)
        self._ours = -1
        return self._process.wait(timeout=20)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=10)

    def _read(self) -> bool:
        """Take what has come. False: it has ended."""
        ready, _, _ = select.select([self._ours], [], [], 20.0)
        if not ready:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise AssertionError(f"silence after:\n{self.screen}")
        try:
            came = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            came = b""
        self.screen += _CODES.sub("", came.decode(errors="replace")).replace("\r", "")
        return bool(came)
