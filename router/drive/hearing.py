"""Opinions of a draft, asked for together, and booked: a target is a hop, each call an attempt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ..cascade import Call
from ..clock import Deadline
from ..errors import HopError, LedgerError
from ..hops import Attempt, HopStatus, total_cost
from ..money import EXACT
from ..policy.trace import Taken
from ..types import Ask, Completion
from .attempt import HopRun
from .booking import HopBooking
from .context import Context
from .happened import Left
from .live import Allowance, Live
from .questions import Said
from .reading import Reading

NO_ANSWER = Completion(text="")


@dataclass(slots=True)
class Part:
    """What one target is asked.

    Attributes:
        because: Why, in words.
        asks: With the signal that each is for.
        worst_usd: Most dollars that one of them can cost. None: not known.
        said: What has come.
        attempts: As booked.
        errors: Why others gave nothing: `HopError.kind`.
    """

    live: Live
    because: str
    asks: list[tuple[str, Ask]]
    worst_usd: Decimal | None = None
    said: list[Said] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def left(self, *, ended: bool) -> tuple[HopStatus, str]:
        """How its hop was left, and why, in words."""
        if not ended:
            return "cancelled", "the caller went away"
        why = ", ".join(sorted(set(self.errors)))
        if not self.said:
            return "failed", f"failed: {why}"
        came = f"{len(self.said)} of {len(self.asks)} came"
        return "heard", f"{came}; failed: {why}" if why else came


@dataclass(slots=True)
class _Booking:
    """A hop's booking for its call of this number. See `live.Booking`."""

    hop: HopBooking
    number: int
    attempts: list[Attempt]

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        self.hop.begin(attempt_id, self.number, started_at)

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        numbered = replace(attempt, number=self.number)
        self.attempts.append(numbered)
        self.hop.end(numbered, shown=shown, says=says)


class Hearing:
    """Asks every part at once; what has not come when the time is over is unknown.

    A call is made once: there is no retry, and what it says is nobody's answer.
    """

    def __init__(self, context: Context, first: int, until: Deadline) -> None:
        """Make it ready; nothing is sent.

        Args:
            first: Index of the first part's hop; the others follow.
            until: When it is over; the request's own deadline at the latest.
        """
        self._context = context
        self._first = first
        self._until = until
        self._unbooked: LedgerError | None = None

    async def of(self, parts: list[Part]) -> list[Said]:
        """What came.

        Raises:
            LedgerError: a call could not be booked, so it was not made.
        """
        context, ended = self._context, False
        began, purse = context.home.clock.now(), context.home.senses.purse
        most = [_times(part.worst_usd or Decimal(0), len(part.asks)) for part in parts]
        held = [purse.reserve(usd) for usd in most]
        calls = [self._call(part, index) for index, part in enumerate(parts, self._first)]
        try:
            async with asyncio.TaskGroup() as group:
                for call, part in zip(calls, parts, strict=True):
                    for number in range(1, len(part.asks) + 1):
                        group.create_task(self._one(call, part, number))
            ended = True
        finally:
            for call, part, reserved in zip(calls, parts, held, strict=True):
                purse.settle(reserved, Allowance(None, part.worst_usd).booked(part.attempts))
                self._keep(call, part, began, ended=ended)
        if self._unbooked is not None:
            raise self._unbooked
        return [said for part in parts for said in part.said]

    def _call(self, part: Part, index: int) -> Call:
        """A part's hop; it stands in the trace from now on."""
        target = part.live.target
        self._context.trace.append(Taken(index, "opinion", part.because))
        return Call(target.name, target.tier, "opinion", part.because, False, hop=index)

    async def _one(self, call: Call, part: Part, number: int) -> None:
        """One call of a part, to its end."""
        context = self._context
        signal, ask = part.asks[number - 1]
        booking = HopBooking(context, call, part.live.target, alone=False)
        run = HopRun(
            replace(part.live, attempts=1),
            ask,
            clock=context.home.clock,
            deadline=self._until,
            booking=_Booking(booking, number, part.attempts),
            allowance=Allowance(None, part.worst_usd),
            lets=context.home.senses.breakers.lets,
        )
        try:
            try:
                await run.next(_held)
            finally:
                await run.aclose()
            part.said.append(Said(signal, run.answer))
        except HopError as exc:
            part.errors.append(exc.kind)
        except LedgerError as exc:
            self._unbooked = exc
        finally:
            self._learn(call, run)

    def _learn(self, call: Call, run: HopRun) -> None:
        """Nothing of its speed: beside others and on a prompt that was read it is no call's."""
        context = self._context
        if run.out_of_time:
            at = context.deadline.at
            context.out_of_time = context.out_of_time or (at is not None and at == self._until.at)
            return
        for attempt in run.attempts:
            context.home.senses.breakers.saw(call.target, attempt.error_kind, attempt.error_code)

    def _keep(self, call: Call, part: Part, began: float, *, ended: bool) -> None:
        """Add its hop to what has happened, unless not one call of it could be booked."""
        if not part.attempts:
            return
        context = self._context
        attempts = tuple(sorted(part.attempts, key=lambda attempt: attempt.number))
        so_far, took_s = context.so_far, context.home.clock.now() - began
        spent = Allowance(None, part.worst_usd).spent(part.attempts)
        so_far.spent = EXACT.add(so_far.spent, spent)
        so_far.hops[call.hop] = Left(
            call,
            part.live.target,
            attempts,
            NO_ANSWER,
            *part.left(ended=ended),
            {},
            began - context.arrived,
            took_s,
            total_cost([attempt.cost_usd for attempt in attempts]),
        )


def _held(reading: Reading) -> bool:
    """Nothing of it goes to the caller."""
    return False


def _times(usd: Decimal, many: int) -> Decimal:
    return EXACT.multiply(usd, Decimal(many))
