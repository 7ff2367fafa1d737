"""What is done once a request is over, off its path: metrics, the access log, traces.

Comes in: every request's end, as the street books it, and what the door turned away. Goes out:
the same, to each `Observer`, by a `Lane` of its own and a little later. On the path it costs an
append to each one's queue. Their threads sleep as long as nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from ..compose import Router
from ..drive.orchestrator import Orchestrator
from ..ledger.entry import Closed, Sink
from ..quick import quick
from .callers import Callers
from .lane import Lane

T = TypeVar("T")


@quick
@dataclass(frozen=True, slots=True)
class Over:
    """A request that went down the street and has ended.

    Attributes:
        parent: The caller's `traceparent` header. None: there was none, or nobody traces.
    """

    closed: Closed
    parent: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A request that the door turned away.

    Attributes:
        at: Seconds since 1970-01-01 UTC.
        code: As its caller was told.
        key: Whose key it brought. None: none that holds.
    """

    at: float
    status: int
    code: str
    key: str | None = None


class Observer(Protocol):
    """Is told of what is over. Called by one thread at a time."""

    traces: bool
    """Whether it wants `Over.parent`."""

    def saw(self, seen: Sequence[Over | Turned]) -> None:
        """Some have ended, in order."""
        ...

    def reopen(self) -> None:
        """Open anew what it writes to, as a log that was moved away."""
        ...

    def close(self) -> None:
        """There will be no more. Called once."""
        ...


class After:
    """A `Sink` before the ledger, which books first."""

    def __init__(
        self, ledger: Sink, observers: Sequence[Observer], callers: Callers | None = None
    ) -> None:
        """Threads start with the first request that ends."""
        self.begin = ledger.begin
        self.end = ledger.end
        self._ledger = ledger
        self._lanes = tuple(Lane(observer) for observer in observers)
        self._callers = callers
        self._traces = any(observer.traces for observer in observers)
        self._parents: dict[str, bytes] = {}

    @classmethod
    def of(
        cls, router: Router, observers: Sequence[Observer], callers: Callers | None = None
    ) -> After:
        """Stand before `router`'s ledger."""
        home = router.street.home
        after = cls(home.ledger, observers, callers)
        router.street = Orchestrator(replace(home, ledger=after))
        return after

    def enter(self, decision_id: str, headers: Mapping[bytes, bytes]) -> None:
        """A request goes down the street."""
        if self._traces and (parent := headers.get(b"traceparent")):
            self._parents[decision_id] = parent

    def leave(self, decision_id: str) -> None:
        """It has come back, however; most often it was booked before."""
        if self._callers is not None:
            self._callers.let_go(decision_id)
        if self._traces:
            self._parents.pop(decision_id, None)

    def close_request(self, request: Closed) -> None:
        """See `Sink`."""
        self._ledger.close_request(request)
        if self._callers is not None:
            self._callers.settle(request.outcome)
        over = Over(
            request, self._parents.get(request.outcome.decision_id) if self._traces else None
        )
        for lane in self._lanes:
            lane.add(over)

    def turned(self, turned: Turned) -> None:
        """The door has turned one away."""
        for lane in self._lanes:
            lane.add(turned)

    def then(self, look: Callable[[], T]) -> T:
        """Tell the first observer of all that is over by now, and look before it is told of more.

        From any thread; none of the others can hold this up.
        """
        return self._lanes[0].then(look)

    def reopen(self) -> None:
        """Let each observer open anew what it writes to. From any thread."""
        for lane in self._lanes:
            lane.then(lane.observer.reopen)

    def close(self) -> None:
        """Tell what is left, and let the observers close. Safe to call twice."""
        for lane in self._lanes:
            lane.close()
