"""A street without wires: providers that play what a test gives them, and a ledger in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from router.clock import Clock, ManualClock
from router.device.predict import Forecast
from router.device.wire import Healthy
from router.drive.breaker import Breakers
from router.drive.chances import Chances
from router.drive.home import Home
from router.drive.live import Live, Meter
from router.drive.orchestrator import Orchestrator
from router.drive.outgoing import Transform
from router.drive.purse import Purse
from router.drive.senses import DeviceSense, Senses
from router.drive.speeds import Speeds
from router.errors import LedgerError, RouterError
from router.hops import Attempt, Outcome
from router.ledger.entry import Began, Closed
from router.policy.rules import Policy
from router.providers.base import Target
from router.types import Ability, Ask, Chunk, Finish, Message, Request, TokenStat, Usage
from router.world.machine import Machine


class Stall:
    """Nothing more comes, and nothing ends."""


STALL: Final = Stall()

Step = Chunk | BaseException | float | Stall
"""A chunk to yield, an error to raise, seconds that pass, or nothing at all for ever."""

Play = list[Step]

NOTHING_FORESEEN = Forecast(loaded=False, queue=0, first_token_s=None, end_s=None)


@dataclass
class Player:
    """A provider that plays one list of steps a call; the last list stays.

    Attributes:
        asks: What it was asked, in order.
        closed: Calls whose work has stopped, however it did.
    """

    plays: list[Play]
    clock: Clock
    asks: list[Ask] = field(default_factory=list)
    closed: int = 0
    abilities: frozenset[Ability] = frozenset()

    async def stream(self, ask: Ask) -> AsyncGenerator[Chunk, None]:
        play = self.plays[min(len(self.asks), len(self.plays) - 1)]
        self.asks.append(ask)
        try:
            for step in play:
                if isinstance(step, Chunk):
                    yield step
                elif isinstance(step, BaseException):
                    raise step
                elif isinstance(step, Stall):
                    await asyncio.Event().wait()
                else:
                    await self.clock.sleep(step)
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        """Nothing is open."""

    def count(self) -> int:
        return len(self.asks)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A meter by rule of thumb: so much an output token; None: the price is not known."""

    usd_per_token: Decimal | None = Decimal(0)

    @property
    def price(self) -> str | None:
        return None if self.usd_per_token is None else "fixed"

    @property
    def free(self) -> bool:
        return False  # so that whoever asks counts what leaves

    def cost(self, usage: Usage) -> Decimal | None:
        if self.usd_per_token == 0:
            return Decimal(0)
        if self.usd_per_token is None or usage.output_tokens is None:
            return None
        return self.usd_per_token * usage.output_tokens

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        return None if self.usd_per_token is None else self.usd_per_token * max_output_tokens

    def at(self, wall_s: float) -> Fixed:
        return self


Event = Began | Attempt | Closed


@dataclass
class MemorySink:
    """Books into a list.

    Attributes:
        refuse_from: `begin` raises from this many beginnings on. None: never.
    """

    events: list[Event] = field(default_factory=list)
    refuse_from: int | None = None

    def begin(self, began: Began) -> None:
        if self.refuse_from is not None and len(self.began) >= self.refuse_from:
            raise LedgerError("the disk is full")
        self.events.append(began)

    def end(
        self, decision_id: str, hop: int, attempt: Attempt, *, more_follows: bool = False
    ) -> None:
        self.events.append(attempt)

    def close_request(self, request: Closed) -> None:
        self.events.append(request)

    @property
    def began(self) -> list[Began]:
        return [e for e in self.events if isinstance(e, Began)]

    @property
    def ended(self) -> list[Attempt]:
        return [e for e in self.events if isinstance(e, Attempt)]

    @property
    def closed(self) -> list[Closed]:
        return [e for e in self.events if isinstance(e, Closed)]

    def check_pairs(self) -> None:
        """Every beginning has one end, and each end comes right after its beginning."""
        attempts = [e for e in self.events if not isinstance(e, Closed)]
        assert len(attempts) % 2 == 0
        for first, second in zip(attempts[::2], attempts[1::2], strict=True):
            assert isinstance(first, Began)
            assert isinstance(second, Attempt)
            assert first.attempt_id == second.attempt_id


def says(
    text: str,
    *,
    logprob: float | None = -0.1,
    finish: Finish = "stop",
    output_tokens: int | None = None,
) -> Play:
    """An answer in one chunk a word, then its end with its usage."""
    words = text.split(" ") if text else []
    play: Play = [
        Chunk(
            text=word if i == 0 else f" {word}",
            tokens=() if logprob is None else (TokenStat(logprob, entropy=0.1, margin=0.9),),
        )
        for i, word in enumerate(words)
    ]
    count = len(words) if output_tokens is None else output_tokens
    return [*play, Chunk(finish=finish, usage=Usage(input_tokens=10, output_tokens=count))]


def target(name: str, tier: str, *, max_output_tokens: int = 100, timeout_s: float = 60) -> Target:
    return Target(
        name=name,
        tier=tier,
        provider="player",
        model=f"{name}-model",
        max_output_tokens=max_output_tokens,
        timeout_s=timeout_s,
    )


@dataclass
class Street:
    """Targets, a ledger and a clock; `run` sends a request down it."""

    clock: Clock = field(default_factory=ManualClock)
    sink: MemorySink = field(default_factory=MemorySink)
    lives: dict[str, Live] = field(default_factory=dict)
    players: dict[str, Player] = field(default_factory=dict)
    counted: int | None = 20
    foreseen: Forecast | None = NOTHING_FORESEEN
    forecasts: list[tuple[int | None, int, str, float | None]] = field(default_factory=list)
    keep_text: bool = False
    senses: Senses | None = None
    transforms: Sequence[Transform] = ()

    def add(
        self,
        name: str,
        tier: str,
        *plays: Play,
        meter: Meter | None = None,
        attempts: int = 1,
        timeout_s: float = 60,
        max_output_tokens: int = 100,
    ) -> Player:
        """A target that plays `plays`, one a call."""
        player = Player(list(plays), self.clock)
        self.players[name] = player
        self.lives[name] = Live(
            target=target(name, tier, timeout_s=timeout_s, max_output_tokens=max_output_tokens),
            provider=player,
            meter=meter or Fixed(),
            attempts=attempts,
        )
        return player

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return self.counted

    async def health(self) -> Healthy | None:
        """No worker is up, unless a test says otherwise."""
        return None

    async def context_limit(self) -> int | None:
        return 4096

    async def forecast(
        self, *, input_tokens: int | None, cap: int, tenant: str, within_s: float | None
    ) -> Forecast | None:
        """Nothing is known yet, unless a test says otherwise."""
        self.forecasts.append((input_tokens, cap, tenant, within_s))
        return self.foreseen

    @property
    def home(self) -> Home:
        if self.senses is None:
            first = next(iter(self.lives.values()))
            device = DeviceSense(
                first, self.count_tokens, self.health, self.context_limit, self.forecast
            )
            self.senses = Senses(
                clock=self.clock,
                targets=self.lives,
                device=device,
                machine=Machine(self.clock),
                speeds=Speeds(self.clock),
                purse=Purse(self.clock),
                breakers=Breakers(self.clock),
                chances=Chances(),
            )
        return Home(self.lives, self.sink, self.clock, self.senses, self.keep_text, self.transforms)

    def stream(self, policy: Policy, request: Request) -> AsyncGenerator[Chunk | Outcome, None]:
        return Orchestrator(self.home).run(request, policy)

    def run(self, policy: Policy, request: Request | None = None) -> Ended:
        """Send one request to its end."""

        async def main() -> Ended:
            return await collected(self.stream(policy, request or ask()))

        return asyncio.run(main())

    def calls(self) -> Mapping[str, int]:
        return {name: player.count() for name, player in self.players.items()}


@dataclass
class Ended:
    """How a request ended for its caller."""

    chunks: list[Chunk]
    outcome: Outcome | None = None
    error: RouterError | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def answer(self) -> Outcome:
        if self.outcome is None:
            raise AssertionError(f"no answer: {self.error}")
        return self.outcome


async def collected(stream: AsyncIterator[Chunk | Outcome]) -> Ended:
    ended = Ended([])
    try:
        async for item in stream:
            if isinstance(item, Outcome):
                ended.outcome = item
            else:
                assert ended.outcome is None, "the outcome comes last"
                ended.chunks.append(item)
    except RouterError as exc:
        ended.error = exc
    return ended


def ask(text: str = "What is it?", **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), **fields)  # type: ignore[arg-type]
