"""Several workers behind one socket: started, watched, replaced, and ended together.

Comes in: a plan, a socket that listens, and signals. Goes out: processes (`worker.py`), and what
the log has to say of them. This process answers nothing and reads neither config nor ledger. It
forks nothing: a fresh interpreter has none of its state. The first worker comes alone, so that what
is wrong with the config is said once; the others follow when it answers.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from ..device.fresh import environment
from ..errors import ConfigError
from . import summed
from .board import MOST_WORKERS, Board
from .listening import on_terminal
from .orders import Orders, Plan, Ready
from .shared import bury

log = logging.getLogger("firsthop.sidecar")

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SETTLED_S = 60.0
"""A worker that has lived so long did not die of how it was started."""
CLOSING_S = 15.0
"""Beside the grace: for the ledger, the logs, and what waits for its turn."""
_LOOK_S = 1.0
_SOON_S = 0.05
_GONE_S = 5.0
"""Seconds after which a process that has let go of us and does not end is ended."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One place among the workers, and who has it now.

    Attributes:
        process: None: nobody; `due` says when somebody is to.
        control: To it. None: it has let go, at `let_go`, or there is nobody.
        answers: Whether it has said so.
        behind: It was not told to read again, as it did not answer yet, and has to be.
        due: On the monotonic clock, as all times here. None: it is not known yet, or there is one.
        short: Lives in a row that were short.
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


class Supervisor:
    """Keeps a number of workers."""

    def __init__(
        self, plan: Plan, count: int, listening: socket.socket, announce: Callable[[str], None]
    ) -> None:
        """Nothing is started.

        Args:
            listening: What the workers accept from. Closed when they are told to stop.
            announce: Is told the policy's name when the first of them answers.

        Raises: ConfigError, where there can't be so many.
        """
        _check(count)
        try:
            self._board = Board.make(count)
        except OSError as exc:
            raise ConfigError(f"what they share can't be made: {exc}", field="--workers") from exc
        self._plan = plan
        self._listening = listening
        self._announce = announce
        self._workers = [_Worker(number) for number in range(count)]
        self._waiting = selectors.DefaultSelector()
        self._had_terminal = on_terminal()
        self._began = False
        self._stops_by: float | None = None
        self._code = 0

    def run(self) -> int:
        """Until SIGTERM or Ctrl-C, and then until all have ended in good order.

        Returns: 0; or the first worker's exit code, when it never came up.

        Raises: KeyboardInterrupt, after Ctrl-C.
        """
        told: list[int] = []
        try:
            with self._noting(told):
                self._start(self._workers[0])
                while self._stops_by is None or any(w.process for w in self._workers):
                    for key, _ in self._waiting.select(self._patience_s()):
                        self._hear(key.fileobj, key.data)  # type: ignore[arg-type]
                    while told:
                        self._heed(told.pop(0))
                    self._look()
        finally:
            self._kill()
            self._waiting.close()
            self._board.close()
        return self._code

    @contextlib.contextmanager
    def _noting(self, told: list[int]) -> Iterator[None]:
        """Note signals, and wake up for each. Ctrl-C is told by KeyboardInterrupt afterwards."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._waiting.register(ours, selectors.EVENT_READ)
        seen: set[int] = set()

        def note(number: int, frame: object) -> None:
            told.append(number)
            seen.add(number)
            with contextlib.suppress(OSError):
                theirs.send(b".")

        heeded = [signal.SIGTERM, signal.SIGINT]
        if sys.platform != "win32":
            heeded.append(signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._waiting.unregister(ours)
            ours.close()
            theirs.close()
        if signal.SIGINT in seen:
            raise KeyboardInterrupt

    def _patience_s(self) -> float:
        if any(w.process and w.control is None for w in self._workers):
            return _SOON_S
        now = time.monotonic()
        due = [w.due - now for w in self._workers if w.due is not None]
        return max(0.0, min([_LOOK_S, *due]))

    def _hear(self, peer: socket.socket, worker: _Worker | None) -> None:
        """A worker says that it answers, or lets go; or a signal has come."""
        said = b""
        with contextlib.suppress(OSError):
            said = peer.recv(65536)
        if worker is None:
            return
        if not said:
            self._waiting.unregister(peer)
            peer.close()
            worker.control, worker.let_go = None, time.monotonic()
            return
        worker.answers = True
        if worker.behind and worker.process is not None and sys.platform != "win32":
            worker.behind = False
            worker.process.send_signal(signal.SIGHUP)
        if not self._began:
            self._began = True
            self._announce(msgspec.json.decode(said, type=Ready).policy)
            for other in self._workers[1:]:
                other.due = 0.0

    def _heed(self, number: int) -> None:
        if sys.platform != "win32" and number == signal.SIGHUP:
            if on_terminal() or not self._had_terminal:
                self._reload()
                return
        elif number == signal.SIGINT and self._stops_by is not None:
            self._tell_all(signal.SIGINT)  # the second time: at once
            return
        self._stop()

    def _stop(self) -> None:
        if self._stops_by is not None:
            return
        self._stops_by = time.monotonic() + self._plan.grace_s + CLOSING_S
        self._listening.close()  # else who comes now would wait for nobody
        for worker in self._workers:
            worker.due = None
        self._tell_all(signal.SIGTERM)

    def _reload(self) -> None:
        """Let all read again; one that is starting later, as the signal would end it now."""
        for worker in self._workers:
            worker.behind = not worker.answers
            if worker.process is not None and worker.answers and sys.platform != "win32":
                worker.process.send_signal(signal.SIGHUP)

    def _tell_all(self, number: int) -> None:
        for worker in self._workers:
            if worker.process is not None:
                worker.process.send_signal(number)

    # Workers.

    def _look(self) -> None:
        """Who has ended? Who is due? Who takes too long?"""
        now = time.monotonic()
        for worker in self._workers:
            process = worker.process
            if process is None:
                if worker.due is not None and worker.due <= now:
                    self._start(worker)
            elif process.poll() is not None:
                self._ended(worker, process)
            elif worker.control is None and now - worker.let_go > _GONE_S:
                process.kill()
        if self._stops_by is not None and now > self._stops_by and self._kill():
            log.error("workers did not end in their grace, and were killed")

    def _start(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        inherited = (self._listening.fileno(), theirs.fileno(), self._board.fd)
        orders = Orders(
            plan=self._plan,
            number=worker.number,
            workers=len(self._workers),
            listening=inherited[0],
            control=inherited[1],
            board=inherited[2],
        )
        command = [sys.executable, "-P", "-m", "firsthop.sidecar.worker"]
        worker.due, worker.behind, worker.begun = None, False, time.monotonic()
        try:
            worker.process = subprocess.Popen(
                [*command, msgspec.json.encode(orders).decode()],
                stdin=subprocess.DEVNULL,
                env=environment(),
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C is meant for us, and we tell them
            )
        except OSError as exc:
            ours.close()
            if not self._began:
                raise
            log.error("worker %d can't be started: %s", worker.number, exc)
            self._again(worker)
            return
        finally:
            theirs.close()
        worker.control = ours
        self._waiting.register(ours, selectors.EVENT_READ, worker)

    def _ended(self, worker: _Worker, process: subprocess.Popen[bytes]) -> None:
        worker.process, worker.answers = None, False
        if worker.control is not None:
            self._waiting.unregister(worker.control)
            worker.control.close()
            worker.control = None
        self._board.clear(worker.number)
        if self._stops_by is not None:
            return
        if not self._began:
            self._code = process.returncode if process.returncode > 0 else 1
            self._stop()
            return
        try:
            bury(self._board, worker.number)
            self._board.leave(worker.number, summed.left_by)
        except Exception:  # a door: the others answer on
            log.exception("what worker %d left could not be counted", worker.number)
        wait_s = self._again(worker)
        log.error(
            "worker %d, process %d, ended: %s; another is started%s",
            worker.number,
            process.pid,
            _how(process.returncode),
            f" in {wait_s:.1f} s" if wait_s else "",
        )

    def _again(self, worker: _Worker) -> float:
        """Have its place filled: at once, or after a while if its lives are short.

        Returns: seconds until then.
        """
        now = time.monotonic()
        worker.short = 0 if now - worker.begun >= SETTLED_S else worker.short + 1
        wait_s = 0.0
        if worker.short > 1:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(worker.short - 2, 16))
        worker.due = now + wait_s
        return wait_s

    def _kill(self) -> bool:
        """End who is left at once. Returns: whether there was somebody."""
        left = [w.process for w in self._workers if w.process and w.process.poll() is None]
        for process in left:
            process.kill()
        return bool(left)


def _check(count: int) -> None:
    if sys.platform == "win32":
        raise ConfigError(
            "one process answers on Windows: a socket can't be inherited by several there",
            field="--workers",
        )
    if not 1 <= count <= MOST_WORKERS:
        raise ConfigError(f"there can be 1 to {MOST_WORKERS}", field="--workers")


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"
