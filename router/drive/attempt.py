"""One hop: call a target, and again if that may help.

The only place that retries. A retry is made only while nothing of the answer has reached the
caller, only for errors that say it may help, only if the wait fits the time that is left, and only
if its worst case fits the dollars that are left. Each call waits for its turn first; one that can't
have it in time is booked as not sent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import AsyncGeneratorType

import tenacity

from ..clock import Clock, Deadline
from ..errors import HopError, Incapable, LedgerError, NotSent
from ..hops import Attempt
from ..types import Ask, Chunk, Completion
from .call import Aborted, OneCall
from .live import Allowance, Booking, Live, Meter
from .reading import Reading
from .way import LONGEST_WAIT_S

__all__ = ["Allowance", "Booking", "HopRun", "Live", "Meter"]

SHORTEST_WAIT_S = 0.5
NO_ANSWER = Completion(text="")


class HopRun:
    """One hop under way. Use it once: ask it for `next` until there is none, and close it.

    Attributes:
        attempts: Every call so far, as booked.
        released: Whether what it says goes on to the caller before its end.
        out_of_time: Whether the request's deadline ended it.
        last_error: Why the last call failed. None: none has.
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
        counted: int | None = None,
        lets: Callable[[str], bool] | None = None,
    ) -> None:
        """Make it ready; nothing is sent.

        Args:
            jitter: Gives a number from 0 to 1, each as likely as the other.
            counted: Tokens of the prompt by a tokenizer of ours. None: nobody counted.
            lets: Whether a target of that name may be called now, beside what its way says; as
                `Breakers.lets`. Asked before each call: much can happen while a draft is written.
                None: it may.
        """
        self.live = live
        self.ask = ask
        self.clock = clock
        self.deadline = deadline
        self.booking = booking
        self.allowance = allowance or Allowance()
        self.jitter = jitter
        self.counted = counted
        self.lets = lets
        self.attempts: list[Attempt] = []
        self.released = False
        self.out_of_time = False
        self._current: OneCall | None = None
        self._through: OneCall | None = None
        self._given = 0
        self._answer: Completion | None = None
        self.last_error: HopError | None = None
        self._last_wait_s = SHORTEST_WAIT_S

    def give_up(self) -> None:
        """Book the call under way as cancelled without waiting for its target to let go.

        A hop that was stopped before its first call has one all the same, which was not sent.
        """
        if self._current is not None:
            self._current.give_up()
        elif not self.attempts:
            with suppress(LedgerError):
                self._begun(0.0, entered=False).give_up()

    @property
    def answer(self) -> Completion:
        """What the call that got through gave; empty until `next` gave None."""
        one = self._through
        if one is None or not one.whole:
            return NO_ANSWER
        if self._answer is None:
            self._answer = one.reading.completion()
        return self._answer

    @property
    def committed(self) -> bool:
        """Whether any of it has been handed on to the caller."""
        one = self._through
        if one is None or not self.released:
            return False
        if self._given == len(one.held):
            return bool(one.reading.tool_calls) or any(one.reading.text)
        return any(chunk.text or chunk.tool_calls for chunk in one.held[: self._given])

    def next(self, release: Callable[[Reading], bool]) -> Awaitable[Chunk | None]:
        """Call until a call gets through, then what it gives, a chunk each time. None: its end.

        Args:
            release: Says, of all that has come so far, that it may go to the caller from now on;
                from there on there is no retry. Until then nothing is given out; of what is never
                released there is only the `answer`. Raises `Aborted` where it is not worth its
                rest; that ends the hop.

        Raises:
            HopError: the last call failed, and another wouldn't help or doesn't fit.
        """
        one = self._through
        if one is not None and self._given == len(one.held):
            return one.read()  # with no step of ours in between, as it is one for each chunk
        return self._next(release)

    async def _next(self, release: Callable[[Reading], bool]) -> Chunk | None:
        one = self._through
        if one is None:
            one = self._through = await self._opened(release)
            self.released = one.released
            if not self.released:
                return None  # it has ended
        if self._given < len(one.held):
            self._given += 1
            return one.held[self._given - 1]
        return await one.read()

    async def aclose(self) -> None:
        """Stop it, if it has not ended. Has to be called, whatever happened."""
        one = self._through
        if one is not None:
            self.out_of_time = one.out_of_time
            # A generator that has ended has nothing to close.
            if not (one.whole and type(one.source) is AsyncGeneratorType):
                await one.close()

    async def _opened(self, release: Callable[[Reading], bool]) -> OneCall:
        """The first call that gets through: until it is released, or to its end."""
        try:
            return await self._call(release)
        except HopError as exc:
            if not exc.retryable:
                raise
            first: HopError | None = exc

        async def again() -> OneCall:
            """The first failure, for tenacity to weigh, and then one call after another."""
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self._call(release)

        retrying = tenacity.AsyncRetrying(
            sleep=self.clock.sleep,
            retry=tenacity.retry_if_exception(
                lambda exc: isinstance(exc, HopError) and exc.retryable
            ),
            stop=self._stop,
            wait=self._wait,
            reraise=True,
        )
        try:
            return await retrying(again)
        finally:  # it holds itself, and would hold all that these hold
            retrying.stop, retrying.wait = tenacity.stop_never, tenacity.wait_none()

    async def _call(self, release: Callable[[Reading], bool]) -> OneCall:
        came = self.clock.now()
        try:
            queue_s = await self._turn()
        except NotSent as error:
            if self.last_error is not None:  # it says more than that another call can't be made
                raise self.last_error from self.last_error.__cause__
            await self._begun(self.clock.now() - came, entered=False).refuse(error)
        except asyncio.CancelledError:
            with suppress(LedgerError):
                await self._begun(self.clock.now() - came, entered=False).close()
            raise
        one = self._begun(queue_s, entered=True)
        try:
            if not self.attempts and not self.allowance.covers_one_more([]):
                await one.refuse(Incapable("what leaves for it may cost more than is left"))
            await one.open(release)
        except HopError as error:
            self.last_error = error
            raise
        except Aborted:
            await one.abort()
            raise
        except BaseException:
            await one.close()
            raise
        finally:
            self.out_of_time = one.out_of_time
        return one

    def _begun(self, queue_s: float, *, entered: bool) -> OneCall:
        """A call whose beginning is booked. `entered`: it has its turn, and gives it back."""
        number = len(self.attempts) + 1
        one = OneCall(
            self.live,
            self.ask,
            number,
            self.clock,
            self.deadline,
            self._book,
            queue_s=queue_s,
            counted=self.counted,
            entered=entered,
        )
        try:
            self.booking.begin(one.attempt_id, number, one.started_at)
        except LedgerError:
            one.leave()
            raise
        self._current = one
        return one

    async def _turn(self) -> float:
        """Wait until a call may be made, and take its turn on the way. Gives the seconds waited.

        Raises: NotSent, when that is not in the time that is left.
        """
        way, clock = self.live.way, self.clock
        came = now = clock.now()
        while True:
            if way.network is not None and way.network.in_doubt:
                await way.network.settled(self.deadline.left_s(now))
                now = clock.now()
            left_s = self.deadline.left_s(now)
            why = way.barred(now, left_s)
            if self.lets is not None and not self.lets(self.live.target.name):
                why = "its circuit breaker is open"
            if left_s == 0:
                self.out_of_time, why = True, "no time is left"
            if why:
                raise NotSent(why, reached=False)
            quiet_s = way.quiet_s(now)
            if quiet_s:
                await clock.sleep(quiet_s)
                now = clock.now()
            elif way.enter_now():
                return now - came
            else:
                await self._stand_in_line(self.deadline.left_s(now))
                now = clock.now()
                if not (way.quiet_s(now) or way.barred(now, None)):
                    return now - came
                way.leave()  # what it would run into became known while it stood there

    async def _stand_in_line(self, left_s: float | None) -> None:
        """Wait for a place among the calls under way. Raises: NotSent: none is free in time."""
        way = self.live.way
        longest_s = self.live.target.timeout_s if left_s is None else left_s
        try:
            async with asyncio.timeout(longest_s):
                await way.enter()
        except TimeoutError as exc:
            self.out_of_time = left_s is not None
            raise NotSent(
                f"its turn did not come within {longest_s:.1f} s: {way.taken} calls are under "
                "way, and `max_in_flight` lets no more through",
                reached=False,
            ) from exc

    def _book(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        says = self._current is not None and self._current.reading.says_something
        self.booking.end(attempt, shown=self.released, says=says)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Decorrelated jitter, or what the target asked for if that is longer.

        Each wait is drawn between the shortest and three times the last, and bounded. A target that
        asks for a wait of zero, as some do at too many calls at once, gets the shortest at least.
        Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015.
        """
        spread = 3 * self._last_wait_s - SHORTEST_WAIT_S
        self._last_wait_s = min(LONGEST_WAIT_S, SHORTEST_WAIT_S + spread * self.jitter())
        return max(_asked_wait_s(state), self._last_wait_s)

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Enough calls made, or the wait or the dollars of another don't fit what is left."""
        if len(self.attempts) < state.attempt_number:
            return True  # another call could not be made
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
