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

import msgspec

from ..device.fresh import environment
from ..errors import ConfigError
from . import summed
from .board import MOST_WORKERS, Board
from .listening import on_terminal
from .lives import Worker, how
from .orders import Orders, Plan, Ready
from .pulse import HUNG_S, Pulse
from .seats import vacate
from .shared import bury

log = logging.getLogger("firsthop.sidecar")

CLOSING_S = 15.0
"""Beside the grace: for the ledger, the logs, and what waits for its turn."""
_LOOK_S = 1.0
_SOON_S = 0.05
_GONE_S = 5.0
"""Seconds after which a process that has let go of us, or hangs and was told to end, is killed."""


class Supervisor:
    """Keeps a number of workers."""

    def __init__(
        self,
        plan: Plan,
        count: int,
        listening: socket.socket,
        announce: Callable[[str], None],
        hung_s: float = HUNG_S,
    ) -> None:
        """Nothing is started.

        Args:
            listening: What the workers accept from. Closed when they are told to stop.
            announce: Is told the policy's name when the first of them answers.
            hung_s: Seconds for which a worker's event loop may stand still.

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
        self._workers = [Worker(number) for number in range(count)]
        self._hung_s = hung_s
        self._pulse = Pulse(count)
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

    def _hear(self, peer: socket.socket, worker: Worker | None) -> None:
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
        self._pulse.anew(worker.number)
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
            worker.tell(number)

    # Workers.

    def _look(self) -> None:
        """Who has ended? Who is due? Who takes too long?"""
        now = time.monotonic()
        self._pulse.look([row.beats for row in self._board.rows()], now)
        for worker in self._workers:
            process = worker.process
            if process is None:
                if worker.due is not None and worker.due <= now:
                    self._start(worker)
            elif process.poll() is not None:
                # What it leaves is counted under the lock, for which nobody must wait here.
                if self._stops_by is not None or self._board.holder() is None:
                    self._ended(worker, process)
            elif self._overdue(worker, now):
                process.kill()
        if self._stops_by is None:
            self._end_hung(now)
        if self._stops_by is not None and now > self._stops_by and self._kill():
            log.error("workers did not end in their grace, and were killed")

    def _overdue(self, worker: Worker, now: float) -> bool:
        """Whether it had to have ended by now; one that came round again has its grace first."""
        if worker.control is None:
            return now - worker.let_go > _GONE_S
        if worker.hung is None:
            return False
        still_s = self._pulse.still_s(worker.number)
        late = now - worker.hung > self._plan.grace_s + CLOSING_S
        return late or still_s > self._hung_s + _GONE_S

    def _end_hung(self, now: float) -> None:
        """Tell those that hang to end; of several only who holds the lock the others wait for."""
        still = [
            w for w in self._workers if w.process and self._pulse.still_s(w.number) > self._hung_s
        ]
        hung = [w for w in still if w.answers and w.hung is None]
        holder = self._board.holder() if hung else None
        by = next((w for w in self._workers if w.process and w.process.pid == holder), None)
        if by is not None:
            if by not in still:
                return  # the next look tells more
            for worker in hung:
                self._pulse.anew(worker.number)
            hung = [by] if by.hung is None else []
        for worker in hung:
            assert worker.process is not None
            worker.hung = now
            log.error(
                "worker %d, process %d, hangs: its event loop has not come round for %.0f s, so it "
                "is ended", worker.number, worker.process.pid, self._pulse.still_s(worker.number),
            )  # fmt: skip
            worker.tell(signal.SIGTERM)

    def _start(self, worker: Worker) -> None:
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
        self._pulse.anew(worker.number)
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
            worker.again()
            return
        finally:
            theirs.close()
        worker.control = ours
        self._waiting.register(ours, selectors.EVENT_READ, worker)

    def _ended(self, worker: Worker, process: subprocess.Popen[bytes]) -> None:
        hung = worker.hung is not None
        worker.process, worker.answers, worker.hung = None, False, None
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
            vacate(self._board, worker.number)
            bury(self._board, worker.number)
            self._board.leave(worker.number, summed.left_by, hung=hung)
        except Exception:  # a door: the others answer on
            log.exception("what worker %d left could not be counted", worker.number)
        wait_s = worker.again()
        log.error(
            "worker %d, process %d, ended: %s; another is started%s",
            worker.number,
            process.pid,
            how(process.returncode),
            f" in {wait_s:.1f} s" if wait_s else "",
        )

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
