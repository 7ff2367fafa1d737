"""One observer, its queue and its thread: whoever is slow or stuck holds up nobody else.

Comes in: what is over, from the path of requests, at the cost of an append. Goes out: the same, to
the observer, in order. What it does not take waits up to a bound; then the oldest is lost, counted
and logged, as a log that nobody reads must not eat the memory.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .after import Observer, Over, Turned

log = logging.getLogger("firsthop.sidecar")

GATHER_S = 0.25
MOST_WAITING = 10_000
END_S = 4.0
"""Seconds that an observer gets to take what is left; more than its own end may take."""

T = TypeVar("T")


class Lane:
    """Tells one observer. `add` is for the path, all else for any thread.

    Attributes:
        observer: Who is told.
    """

    def __init__(self, observer: Observer) -> None:
        """The thread starts with what is added first."""
        self.observer = observer
        self._queue: deque[Over | Turned] = deque(maxlen=MOST_WAITING)
        self._lost = 0
        self._some = threading.Event()
        self._called = False
        self._ending = threading.Event()
        self._telling = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, seen: Over | Turned) -> None:
        """Tell of it a little later."""
        if len(self._queue) == MOST_WAITING:
            self._lost += 1
        self._queue.append(seen)
        if not self._called:
            self._called = True
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="firsthop-after", daemon=True
                )
                self._thread.start()

    def then(self, look: Callable[[], T]) -> T:
        """Tell of all that is over by now, and look before more is told."""
        with self._telling:
            self._tell()
            return look()

    def close(self) -> None:
        """Tell what is left and let the observer close, or leave it if it is stuck."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._some.set()
        last = threading.Thread(target=self._end, name="firsthop-after-end", daemon=True)
        last.start()
        last.join(END_S)
        if last.is_alive():
            name = type(self.observer).__name__
            log.error("%s takes nothing: %d entries are lost", name, len(self._queue))

    def _end(self) -> None:
        if self._thread is not None:
            self._thread.join()
        self._tell_safely()
        self.observer.close()

    def _tell(self) -> None:
        seen: list[Over | Turned] = []
        while self._queue:
            seen.append(self._queue.popleft())
        lost, self._lost = self._lost, 0
        if lost:
            log.error("%s was slow: %d entries are lost", type(self.observer).__name__, lost)
        if seen:
            self.observer.saw(seen)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._some.wait()
            self._ending.wait(GATHER_S)
            self._some.clear()
            self._called = False  # after it, or who adds between the two would not be heard
            self._tell_safely()

    def _tell_safely(self) -> None:
        try:
            self.then(_nothing)
        except Exception:  # the thread's door: what is told next must not suffer for it
            log.exception("what is over could not be told")


def _nothing() -> None: ...
