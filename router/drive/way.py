"""The way to one target: who is on it, whose turn is next, and whether it may be taken at all.

Three things keep a call from being made although the target's breaker is closed: as many calls are
under way as the config allows; the target has asked for quiet; there is no network. The first is
waited for in turn, the second only if it is short, the third not at all.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ..errors import HopError
from ..types import RateLimit, Transit
from .network import Network

LONGEST_WAIT_S = 8.0
"""Most seconds that a request waits because a target asked for it. Beyond, another is asked."""

_NEXT_TO_NOTHING_S = 1e-6
"""What sums of floats may leave of a wait that is over."""
_LOOK_S = 0.005
"""Between two times that it is looked whether another process has given up a seat."""


class Seats(Protocol):
    """Where calls under way are counted, when other processes call the same target too.

    Each call has a number by when it came: smaller ones came earlier, in whichever process.
    """

    def number(self) -> int:
        """Of a call that comes now."""
        ...

    def take(self, number: int) -> bool:
        """Take one for that call, if one is free and nobody elsewhere waits who came earlier."""
        ...

    def give(self) -> None:
        """Give one back."""
        ...

    def wait(self, number: int | None) -> None:
        """Say who waits here first; again and again, else it is forgotten. None: nobody does."""
        ...

    @property
    def taken(self) -> int:
        """How many are, by all processes."""
        ...


@dataclass(slots=True, eq=False)
class _Turn:
    comes: asyncio.Future[None]
    number: int


class Way:
    """The way to one target, shared by all calls to it. For one event loop.

    Attributes:
        in_flight: Calls under way.
        max_in_flight: Most of them at once. None: there is no limit.
        network: What has to be there for it. None: it needs none.
        seats: Where other processes' calls count too; set before the first call. None: only this
            process's count.
        limit: What the target said last of its limits. None: nothing yet.
        last_error: Kind of the error that the last call ended with. None: it ended well, or there
            was none.
    """

    def __init__(
        self,
        *,
        max_in_flight: int | None = None,
        network: Network | None = None,
    ) -> None:
        self.in_flight = 0
        self.max_in_flight = max_in_flight
        self.network = network
        self.seats: Seats | None = None
        self.limit: RateLimit | None = None
        self.last_error: str | None = None
        self._turns: deque[_Turn] = deque()
        self._looks: asyncio.TimerHandle | None = None
        self._asked_s = 0.0
        self._told_at = -math.inf
        self._quiet_until = -math.inf

    @property
    def queued(self) -> int:
        """Calls that wait for their turn."""
        return len(self._turns)

    @property
    def taken(self) -> int:
        """Calls under way, other processes' too where they count."""
        return self.in_flight if self.seats is None else self.seats.taken

    def quiet_s(self, now: float) -> float:
        """Seconds for which the target asked not to be called; 0: it may be."""
        left = self._quiet_until - now
        return left if left > _NEXT_TO_NOTHING_S else 0.0

    def barred(self, now: float, left_s: float | None) -> str:
        """Why a call can't be made in the time that is left. Empty: it can. Changes nothing.

        Args:
            left_s: Seconds until the request's deadline. None: it has none.
        """
        if self.network is not None and self.network.offline:
            return self.network.words()
        quiet_s = self._quiet_until - now
        if quiet_s <= _NEXT_TO_NOTHING_S:
            return ""
        if quiet_s <= LONGEST_WAIT_S and (left_s is None or quiet_s < left_s):
            return ""
        return f"it asked for {_short(self._asked_s)}, and {_short(quiet_s)} of them are left"

    def enter_now(self) -> bool:
        """Take a turn if nobody has to be waited for; whether that was so."""
        full = self.max_in_flight is not None and self.in_flight >= self.max_in_flight
        if full or self._turns:
            return False
        if self.seats is not None and not self.seats.take(self.seats.number()):
            return False
        self.in_flight += 1
        return True

    async def enter(self) -> None:
        """Wait for a turn, first come, first served. Who is cancelled meanwhile has left the queue.

        Each turn, of `enter_now` too, has to be followed by one `leave`.
        """
        if self.enter_now():
            return
        number = 0 if self.seats is None else self.seats.number()
        turn = _Turn(asyncio.get_running_loop().create_future(), number)
        self._turns.append(turn)
        if self.seats is not None:
            self._pass_on(self.seats)
        try:
            await turn.comes
        except asyncio.CancelledError:
            if not turn.comes.cancelled():  # its turn came in the same moment
                self.leave()
            elif turn in self._turns:  # else who left was quicker to pass it over
                self._turns.remove(turn)
            raise

    def leave(self) -> None:
        """A call is over: the next in turn takes its place."""
        if self.seats is not None:
            self.in_flight -= 1
            self.seats.give()
            if self._turns:
                self._pass_on(self.seats)
            return
        while self._turns:
            turn = self._turns.popleft()
            if not turn.comes.done():
                turn.comes.set_result(None)
                return
        self.in_flight -= 1

    def _pass_on(self, seats: Seats) -> None:
        """Let go whose turn it is, among all processes' calls; who is left is looked after soon."""
        if self._looks is not None:
            self._looks.cancel()
        turns = self._turns
        while turns:
            comes = turns[0].comes
            if not comes.done():
                if not seats.take(turns[0].number):
                    break
                self.in_flight += 1
                comes.set_result(None)
            turns.popleft()
        seats.wait(turns[0].number if turns else None)
        loop = asyncio.get_running_loop()
        self._looks = loop.call_later(_LOOK_S, self._pass_on, seats) if turns else None

    def met(self, transit: Transit, *, began: float, now: float) -> None:
        """Learn from an answer's head.

        Args:
            began: When that call was sent, on the clock.
        """
        if transit.limit is not None:
            self.limit = transit.limit
            self._hush(transit.limit.empty_for_s, began, now)
        if self.network is not None:
            self.network.back()

    def ended(
        self, error: HopError | None, transit: Transit | None, *, began: float, now: float
    ) -> None:
        """Learn from how a call ended.

        Args:
            error: None: it ended well.
            transit: What `met` was given of it. None: no head had come that was no error's.
        """
        if error is None:
            self.last_error = None
            self._hush(None, began, now)
            return
        self.last_error = error.kind
        if transit is None and error.transit is not None:
            self.met(error.transit, began=began, now=now)
        wordless = transit is None and error.transit is None
        if wordless and self.network is not None and (error.no_way or error.kind == "timed_out"):
            self.network.doubt()
        if error.retry_after_s:
            self._hush(error.retry_after_s, began, now)

    def _hush(self, asked_s: float | None, began: float, now: float) -> None:
        """Be quiet for so long. None: it takes calls, unless it said otherwise after this began."""
        if asked_s and math.isfinite(asked_s):
            self._told_at = now
            if now + asked_s > self._quiet_until:
                self._asked_s, self._quiet_until = asked_s, now + asked_s
        elif began > self._told_at:
            self._quiet_until = -math.inf


def _short(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.3g} s"
