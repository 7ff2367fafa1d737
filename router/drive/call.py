"""One call on the wire: booked before it is made, measured while it goes, booked when it ended."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import NoReturn, TypeVar

from ..clock import Clock, Deadline
from ..errors import BadWire, HopError, TimedOut
from ..hops import Attempt
from ..limit import Limit
from ..quick import maker
from ..types import Ask, Chunk, Usage
from .estimate import estimate
from .ids import new_id
from .live import Live
from .reading import Reading

log = logging.getLogger("firsthop")

T = TypeVar("T")

NO_TOKENS = Usage()


class Aborted(Exception):
    """What has come of a call is not worth waiting for the rest. Never leaves the drive."""


_attempt = maker(Attempt)


class OneCall:
    """One call. `open` it, `read` it to the end, and `close` it whatever happens.

    Attributes:
        held: Chunks that `open` read.
        released: What it says goes on to the caller from now on, what is held first.
        whole: It has ended well.
        out_of_time: The request's deadline ended it, not the target's own time limit.
    """

    def __init__(
        self,
        live: Live,
        ask: Ask,
        number: int,
        clock: Clock,
        deadline: Deadline,
        on_end: Callable[[Attempt], None],
        *,
        queue_s: float = 0.0,
        counted: int | None = None,
        entered: bool = False,
    ) -> None:
        """Make it ready; nothing is sent.

        Args:
            live: Whom to call.
            ask: What to send; id and time limit are filled in.
            number: 1 for the first call of the hop.
            clock: Where its times come from.
            deadline: The request's.
            on_end: Given the attempt when it ended, however that was; once.
            queue_s: Seconds it was held before.
            counted: Tokens of the prompt by a tokenizer of ours. None: nobody counted.
            entered: It has its turn on `live.way`, and gives it back when its work has stopped.
        """
        self.live = live
        self.ask = ask
        self.number = number
        self.clock = clock
        self.deadline = deadline
        self._on_end: Callable[[Attempt], None] | None = on_end
        self.queue_s = queue_s
        self.counted = counted
        self.started_at = clock.wall()
        self.attempt_id = new_id(self.started_at)
        self.source: AsyncIterator[Chunk] | None = None
        self.limit: Limit | None = None
        self.held: list[Chunk] = []
        self.released = self.ended = self.whole = self.out_of_time = False
        self._entered = entered
        self.reading = Reading(sent=clock.now())

    def open(self, release: Callable[[Reading], bool]) -> Awaitable[None]:
        """Send it and read into `held`, until `release` says that it may go on, or to the end.

        Args:
            release: Asked after each chunk, of all that has come. What it raises ends the call.

        Raises:
            HopError: it failed; that is booked.
        """
        now, limit = self.clock.now(), self.live.target.timeout_s
        left = self.deadline.left_s(now)
        self.deadline_is_nearer = left is not None and left <= limit
        self.timeout_s = limit if left is None else min(left, limit)
        self.reading.sent = now
        self.limit = Limit(self.timeout_s)
        return self._in_time(partial(self._hold, release))

    async def refuse(self, error: HopError) -> NoReturn:
        """Book that it was not sent, at no cost, and raise `error`."""
        error.reached = False
        await self._fail(error)
        raise error

    def read(self) -> Awaitable[Chunk | None]:
        """The next chunk within the time limit; None at the end. Books the end, whatever it is."""
        return self._in_time(self._piece)

    async def _in_time(self, begin: Callable[[], Awaitable[T]]) -> T | None:
        """What `begin` gives, within the time limit. None: the call has ended."""
        if self.ended:
            return None
        assert self.limit is not None
        try:
            return await self.limit.step(begin)
        except TimeoutError as exc:
            self.out_of_time = self.deadline_is_nearer
            error = TimedOut(f"no whole answer within {self.timeout_s:.1f} s", retryable=False)
            await self._fail(error)
            raise error from exc
        except Exception:  # what a provider raised is booked by now; the rest is not the call's
            raise
        except BaseException:
            await self.close()
            raise

    async def _hold(self, release: Callable[[Reading], bool]) -> None:
        """Read until it is released, in one step of the limit: nobody else's code runs between."""
        while (chunk := await self._piece()) is not None:
            self.held.append(chunk)
            if release(self.reading):
                self.released = True
                return

    async def _piece(self) -> Chunk | None:
        """The next chunk, whenever it comes.

        This is the door to providers, which anybody may write: what one raises against its
        promise fails the call like any other error, with its cause kept.
        """
        try:
            if self.source is None:
                once = self.ask.once(self.attempt_id, self.timeout_s)
                self.source = self.live.provider.stream(once)
            chunk = await anext(self.source, None)
            if chunk is None and self.reading.finish is None:
                raise BadWire("the answer ended without saying why")
        except HopError as exc:
            await self._fail(exc)
            raise
        except TimeoutError as exc:
            if self.limit is not None and self.limit.over:
                raise
            raise await self._broken(exc) from exc
        except Exception as exc:
            raise await self._broken(exc) from exc
        now = self.clock.now()
        if chunk is None:
            self.whole = True
            self.live.way.ended(None, self.reading.transit, began=self.reading.sent, now=now)
            self._end(None)
            self.leave()
        else:
            self.reading.take(chunk, now)
            if chunk.transit is not None:
                self.live.way.met(chunk.transit, began=self.reading.sent, now=now)
        return chunk

    async def _broken(self, exc: Exception) -> HopError:
        """The failure of a provider that raised what no provider may."""
        error = HopError(f"broke its promise: {type(exc).__name__}: {exc}")
        await self._fail(error)
        return error

    async def close(self) -> None:
        """Stop the work behind it; books it as cancelled if it was still going on."""
        self.give_up()
        await self._stop()

    async def abort(self) -> None:
        """Stop the work behind it; books what has come as written in vain.

        On this device each token is read as it is written, so they are known but for the step under
        way; a cloud may have written ahead, and says nothing of it.
        """
        if not self.ended:
            reading = self.reading
            if self.live.here and reading.usage.output_tokens is None:
                reading.usage = replace(reading.usage, output_tokens=len(reading.tokens))
            self._end(None, left="aborted")
        await self._stop()

    def give_up(self) -> None:
        """Book it as cancelled without waiting for the target to let go."""
        if not self.ended:
            self._end(None, left="cancelled")

    async def _fail(self, error: HopError) -> None:
        error.target = error.target or self.live.target.name
        if error.kind != "not_sent":
            reading = self.reading
            self.live.way.ended(error, reading.transit, began=reading.sent, now=self.clock.now())
        self._end(error)
        await self._stop()

    async def _stop(self) -> None:
        try:
            await self._close_source()
        finally:
            self.leave()

    def leave(self) -> None:
        """Give its turn to the next, once."""
        if self._entered:
            self._entered = False
            self.live.way.leave()

    async def _close_source(self) -> None:
        close = getattr(self.source, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except Exception as exc:  # its answer is over; how it tidies up must not change that
            name = type(exc).__name__  # its message may quote the caller
            log.warning("target %s failed to stop: %s", self.live.target.name, name)

    def _end(self, error: HopError | None, *, left: str | None = None) -> None:
        self.ended = True
        if self.limit is not None:
            self.limit.stop()
        reading, meter = self.reading, self.live.meter.at(self.started_at)
        unbilled = self.source is None or (error is not None and error.unbilled)
        cost = Decimal(0) if unbilled else meter.cost(reading.usage)
        transit = reading.transit or (error.transit if error else None)
        guess = self._guess(error) if cost is None and meter.price is not None else None
        attempt = _attempt(
            attempt_id=self.attempt_id,
            number=self.number,
            started_at=self.started_at,
            ttft_s=reading.ttft_s(),
            tpot_s=reading.tpot_s(),
            total_s=self.clock.now() - reading.sent,
            usage=reading.usage,
            cost_usd=cost,
            price=meter.price,
            model_served=reading.model,
            request_id=reading.request_id,
            finish=reading.finish,
            error_kind=error.kind if error else left,
            error_code=error.code if error else None,
            http_status=error.status if error else None,
            error_message=error.message if error else None,
            queue_s=self.queue_s,
            connect_s=transit.connect_s if transit else None,
            reached=self.source is not None and (error is None or error.reached),
            estimate_usd=None if guess is None else meter.cost(guess),
            estimate=guess or NO_TOKENS,
        )
        on_end, self._on_end = self._on_end, None  # its hop holds it, so it lets go of its hop
        if on_end is not None:
            on_end(attempt)

    def _guess(self, error: HopError | None) -> Usage | None:
        """Tokens it probably used. None: it was never sent, or all that came was an error."""
        reading = self.reading
        turned_away = error is not None and error.status is not None and reading.first is None
        if self.source is None or turned_away:
            return None
        return estimate(
            self.ask, reading.usage, reading.text, reading.tokens, reading.tool_calls, self.counted
        )
