"""One hop: call a target, and again if that may help.

The only place that retries. A retry is made only while nothing of the answer has reached the
caller, only for errors that say it may help, only if the wait fits the time that is left, and only
if its worst case fits the dollars that are left.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable

import tenacity

from ..clock import Clock, Deadline
from ..errors import HopError, Incapable
from ..hops import Attempt
from ..types import Ask, Chunk, Completion
from .call import OneCall, Reading
from .live import Allowance, Booking, Live, Meter

__all__ = ["Allowance", "Booking", "HopRun", "Live", "Meter"]

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0


class HopRun:
    """One hop under way. Use it once: read `chunks` to the end or close it.

    Attributes:
        attempts: Every call so far, as booked.
        answer: What the call that got through gave; meaningful once `chunks` has ended.
        released: Whether what it says goes on to the caller before its end.
        committed: Whether any of it has been handed on to the caller.
        out_of_time: Whether the request's deadline ended it.
    """

    def __init__(
        self,
        live: Live,
        ask: Ask,
        *,
        clock: Clock,
        deadline: Deadline,
        booking: Booking,
        allowance: Allowance | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.live = live
        self.ask = ask
        self.clock = clock
        self.deadline = deadline
        self.booking = booking
        self.allowance = allowance or Allowance()
        self.jitter = jitter
        self.attempts: list[Attempt] = []
        self.answer = Completion(text="")
        self.released = False
        self.committed = False
        self.out_of_time = False
        self._current: OneCall | None = None

    def give_up(self) -> None:
        """Book the call under way as cancelled without waiting for its target to let go."""
        if self._current is not None:
            self._current.give_up()

    async def chunks(self, release: Callable[[Reading], bool]) -> AsyncGenerator[Chunk, None]:
        """Call until a call gets through, then hand on what it gives.

        Args:
            release: Says, of all that has come so far, that it may go to the caller from now on;
                from there on there is no retry. Until then nothing is handed on; what is never
                released is handed on when it is whole.

        Raises:
            HopError: the last call failed, and another wouldn't help or doesn't fit.
        """
        one = await self._opened(release)
        self.released = one.released
        try:
            for chunk in one.held:
                self._hand_on(chunk)
                yield chunk
            while (more := await one.read()) is not None:
                self._hand_on(more)
                yield more
        finally:
            self.out_of_time = one.out_of_time
            await one.close()
        self.answer = one.reading.completion()

    def _hand_on(self, chunk: Chunk) -> None:
        if self.released and (chunk.text or chunk.tool_calls):
            self.committed = True

    async def _opened(self, release: Callable[[Reading], bool]) -> OneCall:
        """The first call that gets through: until it is released, or to its end."""
        retrying = tenacity.AsyncRetrying(
            sleep=self.clock.sleep,
            retry=tenacity.retry_if_exception(
                lambda exc: isinstance(exc, HopError) and exc.retryable
            ),
            stop=self._stop,
            wait=self._wait,
            reraise=True,
        )
        return await retrying(self._call, release)

    async def _call(self, release: Callable[[Reading], bool]) -> OneCall:
        number = len(self.attempts) + 1
        one = OneCall(self.live, self.ask, number, self.clock, self.deadline, self._book)
        self.booking.begin(one.attempt_id, number, one.started_at)
        self._current = one
        try:
            if number == 1 and not self.allowance.covers_one_more([]):
                await one.refuse(Incapable("what leaves for it may cost more than is left"))
            await one.open(release)
        finally:
            self.out_of_time = one.out_of_time
        return one

    def _book(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        self.booking.end(attempt)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Full jitter over a doubling bound, or what the target asked for if that is longer.

        Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015.
        """
        bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        return float(max(_asked_wait_s(state), bound * self.jitter()))

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Enough calls made, or the wait or the dollars of another don't fit what is left."""
        if state.attempt_number >= self.live.attempts or _asked_wait_s(state) > LONGEST_WAIT_S:
            return True
        left = self.deadline.left_s(self.clock.now())
        if left is not None and state.upcoming_sleep >= left:
            return True
        return not self.allowance.covers_one_more(self.attempts)


def _asked_wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, HopError) else None
    return asked or 0.0
