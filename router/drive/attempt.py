"""One hop: call a target, again if that may help, and measure every call.

The only place that retries. A retry is made only while nothing of the answer has reached the
caller, only for errors that say it may help, and only if the wait fits the time that is left.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

import tenacity

from ..clock import Clock, Deadline
from ..errors import BadWire, HopError, TimedOut
from ..hops import Attempt
from ..providers.base import Provider, Target
from ..types import Ask, Chunk, Completion, Finish, TokenStat, Usage
from .ids import new_id

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0


class Meter(Protocol):
    """Turns usage into dollars for one target."""

    @property
    def price(self) -> str | None:
        """Id of the price line. None: there is none."""
        ...

    def cost(self, usage: Usage) -> Decimal | None:
        """Dollars. None: not known."""
        ...

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        ...


class Booking(Protocol):
    """Where the attempts of one hop are written down."""

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        """Before the call. Raising means that the call isn't made."""
        ...

    def end(self, attempt: Attempt) -> None:
        """After it, however it ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A target that can be called now.

    Attributes:
        attempts: Most calls of one hop.
    """

    target: Target
    provider: Provider
    meter: Meter
    attempts: int = 2

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """Most dollars a hop can cost, every retry counted. None: not known."""
        once = self.meter.worst_case(input_tokens, max_output_tokens)
        return None if once is None else once * self.attempts


@dataclass(slots=True)
class _Reading:
    """What one call has given so far, with its times on the clock."""

    sent: float
    first: float | None = None
    last: float | None = None
    text: list[str] = field(default_factory=list)
    tokens: list[TokenStat] = field(default_factory=list)
    finish: Finish | None = None
    usage: Usage = Usage()
    model: str | None = None
    request_id: str | None = None

    def take(self, chunk: Chunk, now: float) -> None:
        if chunk.text or chunk.tokens:
            self.first = now if self.first is None else self.first
            self.last = now
            self.text.append(chunk.text)
            self.tokens.extend(chunk.tokens)
        self.finish = chunk.finish or self.finish
        self.usage = chunk.usage or self.usage
        self.model = chunk.model or self.model
        self.request_id = chunk.request_id or self.request_id

    def completion(self) -> Completion:
        return Completion(
            text="".join(self.text),
            tokens=tuple(self.tokens),
            finish=self.finish,
            usage=self.usage,
            model=self.model,
            request_id=self.request_id,
        )

    def tpot_s(self) -> float | None:
        count = self.usage.output_tokens or len(self.tokens)
        if count < 2 or self.first is None or self.last is None or self.last <= self.first:
            return None
        return (self.last - self.first) / (count - 1)


class HopRun:
    """One hop under way. Use it once: read `chunks` to the end or close it.

    Attributes:
        attempts: Every call so far, as booked.
        answer: What the call that got through gave; meaningful once `chunks` has ended.
        committed: Whether text has been handed on to the caller.
    """

    def __init__(
        self,
        live: Live,
        ask: Ask,
        *,
        clock: Clock,
        deadline: Deadline,
        booking: Booking,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.live = live
        self.ask = ask
        self.clock = clock
        self.deadline = deadline
        self.booking = booking
        self.jitter = jitter
        self.attempts: list[Attempt] = []
        self.answer = Completion(text="")
        self.committed = False

    async def chunks(self, *, commits: bool) -> AsyncGenerator[Chunk, None]:
        """Call until a call gets through, then hand on what it gives.

        Args:
            commits: The chunks go to the caller as they come, so from the first text on there is
                no retry. Otherwise nothing is handed on before the answer is whole.

        Raises:
            HopError: the last call failed, and another wouldn't help or doesn't fit.
        """

        async def call() -> _Call:
            one = _Call(self, number=len(self.attempts) + 1)
            await one.open(until_text=commits)
            return one

        one: _Call = await tenacity.AsyncRetrying(
            sleep=self.clock.sleep,
            retry=tenacity.retry_if_exception(
                lambda exc: isinstance(exc, HopError) and exc.retryable
            ),
            stop=self._stop,
            wait=self._wait,
            reraise=True,
        )(call)
        try:
            for chunk in one.held:
                self.committed = self.committed or bool(commits and chunk.text)
                yield chunk
            while (more := await one.read()) is not None:
                self.committed = self.committed or bool(commits and more.text)
                yield more
        finally:
            await one.close()
        self.answer = one.reading.completion()

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Full jitter over a doubling bound, or what the target asked for if that is longer.

        Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015.
        """
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, HopError) else None
        bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        return float(max(asked or 0.0, bound * self.jitter()))

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        """Enough calls made, or the wait asked for doesn't fit what is left."""
        if state.attempt_number >= self.live.attempts:
            return True
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, HopError) else None
        left = self.deadline.left_s(self.clock.now())
        longest = LONGEST_WAIT_S if left is None else min(left, LONGEST_WAIT_S)
        return (asked or 0.0) >= longest


class _Call:
    """One call on the wire, booked before it is made and after it ended."""

    def __init__(self, run: HopRun, number: int) -> None:
        self.run = run
        self.number = number
        wall = run.clock.wall()
        self.attempt_id = new_id(wall)
        self.started_at = wall
        self.ended = False
        left = run.deadline.left_s(run.clock.now())
        target = run.live.target
        self.timeout_s = target.timeout_s if left is None else min(left, target.timeout_s)
        self.held: list[Chunk] = []

    async def open(self, *, until_text: bool) -> None:
        """Send it and read to the first text, or to the end."""
        run = self.run
        run.booking.begin(self.attempt_id, self.number, self.started_at)
        self.reading = _Reading(sent=run.clock.now())
        self.until = self.reading.sent + self.timeout_s
        ask = replace(run.ask, attempt_id=self.attempt_id, timeout_s=self.timeout_s)
        self.source = run.live.provider.stream(ask)
        while (chunk := await self.read()) is not None:
            self.held.append(chunk)
            if until_text and chunk.text:
                return

    async def read(self) -> Chunk | None:
        """The next chunk within the time limit; None at the end. Books the end, whatever it is."""
        if self.ended:
            return None
        clock = self.run.clock
        try:
            async with asyncio.timeout(max(0.0, self.until - clock.now())):
                chunk = await anext(self.source, None)
            if chunk is not None:
                self.reading.take(chunk, clock.now())
                return chunk
            if self.reading.finish is None:
                raise BadWire("the answer ended without saying why")
        except TimeoutError as exc:
            error = TimedOut(f"no whole answer within {self.timeout_s:.1f} s", retryable=False)
            raise await self._failed(error) from exc
        except HopError as exc:
            raise await self._failed(exc) from exc.__cause__
        except asyncio.CancelledError:
            await self.close()
            raise
        self._book(None)
        return None

    async def close(self) -> None:
        """Stop the work behind it; books it as cancelled if it was still going on."""
        if not self.ended:
            self._book(None, cancelled=True)
        await _aclose(self.source)

    async def _failed(self, error: HopError) -> HopError:
        error.target = error.target or self.run.live.target.name
        self._book(error)
        await _aclose(self.source)
        return error

    def _book(self, error: HopError | None, *, cancelled: bool = False) -> None:
        self.ended = True
        reading, run = self.reading, self.run
        attempt = Attempt(
            attempt_id=self.attempt_id,
            number=self.number,
            started_at=self.started_at,
            ttft_s=None if reading.first is None else reading.first - reading.sent,
            tpot_s=reading.tpot_s(),
            total_s=run.clock.now() - reading.sent,
            usage=reading.usage,
            cost_usd=Decimal(0)
            if error is not None and error.unbilled
            else run.live.meter.cost(reading.usage),
            price=run.live.meter.price,
            model_served=reading.model,
            request_id=reading.request_id,
            finish=reading.finish,
            error_kind="cancelled" if cancelled else error.kind if error else None,
            error_code=error.code if error else None,
            http_status=error.status if error else None,
            error_message=error.message if error else None,
        )
        run.attempts.append(attempt)
        run.booking.end(attempt)


async def _aclose(source: AsyncIterator[Chunk]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
