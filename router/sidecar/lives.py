"""One place among a server's workers, and the lives that have it one after another.

Comes in: what the supervisor sees of a process. Goes out: signals to it, and when the next is due.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SETTLED_S = 60.0
"""A worker that has lived so long did not die of how it was started."""


@dataclass(slots=True, eq=False)
class Worker:
    """One place among the workers, and who has it now.

    Attributes:
        process: None: nobody; `due` says when somebody is to.
        control: To it. None: it has let go, at `let_go`, or there is nobody.
        answers: Whether it has said so.
        behind: It was not told to read again, as it did not answer yet, and has to be.
        due: On the monotonic clock, as all times here. None: it is not known yet, or there is one.
        short: Lives in a row that were short.
        hung: When it was told to end, as it hung. None: it does not, as far as is known.
    """

    number: int
    process: subprocess.Popen[bytes] | None = None
    control: socket.socket | None = None
    answers: bool = False
    behind: bool = False
    begun: float = 0.0
    let_go: float = 0.0
    due: float | None = None
    short: int = 0
    hung: float | None = None

    def tell(self, number: int) -> None:
        """Send its process a signal, if there is one; one that is stopped shall heed it too."""
        if self.process is None:
            return
        self.process.send_signal(number)
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGCONT)

    def again(self) -> float:
        """Have its place filled: at once, or after a while if its lives are short.

        Returns: seconds until then.
        """
        now = time.monotonic()
        self.short = 0 if now - self.begun >= SETTLED_S else self.short + 1
        wait_s = 0.0
        if self.short > 1:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self.short - 2, 16))
        self.due = now + wait_s
        return wait_s


def how(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"
