"""One target on a clock of virtual time, and hops to it."""

from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal

from support.pieces import pieces
from support.street import Fixed, Play, Player, target
from support.virtual import LoopClock

from router.clock import Deadline
from router.drive.attempt import HopRun
from router.drive.live import Live
from router.drive.way import Way
from router.errors import HopError
from router.hops import Attempt
from router.types import Ask, Message

ASK = Ask(attempt_id="", messages=(Message(role="user", content="hm?"),), max_output_tokens=100)


class Book:
    """Where attempts are booked."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.attempts: list[Attempt] = []

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        self.begun.append(attempt_id)

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        self.attempts.append(attempt)


class Cloud:
    """One target on a clock of virtual time, and hops to it."""

    def __init__(self, *plays: Play, way: Way | None = None, attempts: int = 1) -> None:
        self.clock = LoopClock()
        self.player = Player(list(plays), self.clock)
        self.way = way or Way()
        self.live = Live(
            target=target("cloud", "cloud-fast", timeout_s=60),
            provider=self.player,
            meter=Fixed(Decimal(1)),
            attempts=attempts,
            way=self.way,
        )
        self.book = Book()

    async def hop(self, deadline_s: float | None = None) -> HopError | None:
        run = HopRun(
            self.live,
            ASK,
            clock=self.clock,
            deadline=Deadline.after(deadline_s, self.clock.now()),
            booking=self.book,
            jitter=lambda: 0.0,
        )
        self.last = run
        try:
            async with aclosing(pieces(run, lambda _: False)) as chunks:
                async for _ in chunks:
                    pass
        except HopError as error:
            return error
        return None
