"""One hop: when it retries, what it measures, and that every call is booked from begin to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pieces import pieces
from support.street import STALL, Fixed, Play, Player, Step, says, target

from router.clock import Clock, Deadline, ManualClock, SystemClock
from router.drive.attempt import SHORTEST_WAIT_S, Allowance, HopRun, Live
from router.drive.reading import Reading
from router.drive.way import LONGEST_WAIT_S
from router.errors import (
    AuthFailed,
    BadWire,
    HopError,
    LedgerError,
    RateLimited,
    TimedOut,
    Unavailable,
)
from router.hops import Attempt
from router.providers.base import Provider
from router.types import Ask, Chunk, Message, TokenStat, Usage

ASK = Ask(attempt_id="", messages=(Message(role="user", content="hm?"),), max_output_tokens=100)


def release(at_once: bool) -> Callable[[Reading], bool]:
    """When what is read goes on to the caller: from its first text on, or when it is whole."""
    return lambda reading: at_once and reading.says_something


@dataclass
class Book:
    """Where a hop's attempts are booked; `touched` says how often the provider had been called."""

    events: list[str | Attempt] = field(default_factory=list)
    refuse_from: int | None = None
    touched: Callable[[], int] = lambda: 0
    touched_at_begin: list[int] = field(default_factory=list)

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        if self.refuse_from is not None and number >= self.refuse_from:
            raise LedgerError("the disk is full")
        self.touched_at_begin.append(self.touched())
        self.events.append(attempt_id)

    def end(self, attempt: Attempt, *, shown: bool, says: bool) -> None:
        self.events.append(attempt)

    @property
    def attempts(self) -> list[Attempt]:
        return [e for e in self.events if isinstance(e, Attempt)]

    def check_pairs(self) -> None:
        begun, ended = self.events[::2], self.events[1::2]
        assert [a.attempt_id for a in ended if isinstance(a, Attempt)] == begun


@dataclass
class Hopper:
    """One hop, ready to be run, with everything around it."""

    run: HopRun
    book: Book
    player: Player
    clock: Clock
    chunks: list[Chunk] = field(default_factory=list)

    async def read(self, *, commits: bool = False) -> str:
        async with aclosing(pieces(self.run, release(commits))) as chunks:
            async for chunk in chunks:
                self.chunks.append(chunk)
        return self.run.answer.text

    def fails(self, *, commits: bool = False) -> HopError:
        with pytest.raises(HopError) as caught:
            asyncio.run(self.read(commits=commits))
        self.book.check_pairs()
        return caught.value


def hop(
    *plays: Play,
    attempts: int = 2,
    deadline_s: float | None = None,
    clock: Clock | None = None,
    jitter: float = 1.0,
    timeout_s: float = 60,
    meter: Fixed | None = None,
    allowance: Allowance | None = None,
    provider: Provider | None = None,
    book: Book | None = None,
) -> Hopper:
    clock = clock or ManualClock()
    player = Player(list(plays) or [[]], clock)
    book = book or Book()
    book.touched = player.count
    live = Live(
        target=target("cloud", "cloud-fast", timeout_s=timeout_s),
        provider=provider or player,
        meter=meter or Fixed(),
        attempts=attempts,
    )
    run = HopRun(
        live,
        ASK,
        clock=clock,
        deadline=Deadline.after(deadline_s, clock.now()),
        booking=book,
        allowance=allowance,
        jitter=lambda: jitter,
    )
    return Hopper(run, book, player, clock)


BUSY = Unavailable("overloaded", status=503)
GOOD = says("all is well")
LINES: Play = [Chunk(text="half "), Chunk(text="an answer")]


# Retries


def test_an_error_that_may_pass_is_tried_again() -> None:
    one = hop([BUSY], GOOD)

    assert asyncio.run(one.read()) == "all is well"
    assert [a.error_kind for a in one.book.attempts] == ["unavailable", None]
    assert [a.number for a in one.book.attempts] == [1, 2]
    one.book.check_pairs()


def test_an_error_that_stays_is_not_tried_again() -> None:
    one = hop([AuthFailed("no")], GOOD)

    assert one.fails().kind == "auth_failed"
    assert one.player.count() == 1


def test_calls_end_where_the_config_says() -> None:
    one = hop([BUSY], attempts=3)

    assert one.fails() is BUSY
    assert one.player.count() == 3


def test_nothing_is_tried_again_once_text_has_been_handed_on() -> None:
    one = hop([*LINES, BUSY], GOOD)

    assert one.fails(commits=True) is BUSY
    assert one.player.count() == 1
    assert one.run.committed
    assert [c.text for c in one.chunks] == ["half ", "an answer"]


def test_before_the_first_text_a_committing_hop_tries_again() -> None:
    one = hop([Chunk(), Chunk(text=""), BUSY], GOOD)

    assert asyncio.run(one.read(commits=True)) == "all is well"
    assert len(one.book.attempts) == 2


def test_a_draft_that_breaks_off_is_tried_again_and_its_half_is_dropped() -> None:
    one = hop([*LINES, BUSY], GOOD)

    assert asyncio.run(one.read()) == "all is well"
    assert one.run.answer.text == "all is well"
    assert not one.run.committed


def test_of_a_draft_nothing_is_handed_on_before_it_is_whole() -> None:
    one = hop([*LINES, STALL], clock=SystemClock(), timeout_s=0.05, attempts=1)

    assert isinstance(one.fails(), TimedOut)
    assert one.chunks == []


@pytest.mark.parametrize(
    ("jitter", "waits"),
    [(0.0, [0.5, 0.5, 0.5, 0.5]), (0.5, [1.0, 1.75, 2.875, 4.5625]), (1.0, [1.5, 4.5, 8.0, 8.0])],
)
def test_each_wait_lies_between_the_shortest_and_three_times_the_last(
    jitter: float, waits: list[float]
) -> None:
    class Noting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            await super().sleep(seconds)

    slept: list[float] = []
    one = hop([BUSY], attempts=5, clock=Noting(), jitter=jitter)

    one.fails()

    assert slept == pytest.approx(waits)


@given(
    st.lists(st.floats(0, 1), min_size=5, max_size=5), st.none() | st.floats(0, 8, exclude_min=True)
)
def test_no_wait_is_shorter_than_the_shortest_or_what_was_asked_nor_longer_than_the_bound(
    jitters: list[float], asked_s: float | None
) -> None:
    class Noting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            await super().sleep(seconds)

    slept: list[float] = []
    one = hop([Unavailable("busy", retry_after_s=asked_s)], attempts=5, clock=Noting())
    one.run.jitter = iter(jitters).__next__

    one.fails()

    assert len(slept) == 4
    assert all(max(SHORTEST_WAIT_S, asked_s or 0) <= wait <= LONGEST_WAIT_S for wait in slept)


def test_a_limit_on_calls_at_once_that_asks_for_no_wait_gets_the_shortest() -> None:
    clock = ManualClock()
    one = hop([RateLimited("too many", retry_after_s=0)], GOOD, clock=clock, jitter=0)

    asyncio.run(one.read())

    assert clock.now() == SHORTEST_WAIT_S


def test_the_wait_a_target_asks_for_is_kept() -> None:
    clock = ManualClock()
    one = hop([RateLimited("slow down", retry_after_s=3)], GOOD, clock=clock, jitter=0)

    asyncio.run(one.read())

    assert clock.now() == 3


@pytest.mark.parametrize(("asked_s", "deadline_s"), [(3.0, 2.0), (3.0, 3.0), (9.0, None)])
def test_a_wait_that_does_not_fit_is_not_begun(asked_s: float, deadline_s: float | None) -> None:
    clock = ManualClock()
    one = hop([RateLimited("no", retry_after_s=asked_s)], GOOD, clock=clock, deadline_s=deadline_s)

    assert one.fails().kind == "rate_limited"
    assert (clock.now(), one.player.count()) == (0, 1)


def test_a_wait_of_our_own_that_does_not_fit_is_not_begun_either() -> None:
    clock = ManualClock()
    one = hop([0.8, BUSY], GOOD, clock=clock, deadline_s=1.0)

    one.fails()

    assert (clock.now(), one.player.count()) == (0.8, 1)


def test_a_retry_that_the_dollars_left_do_not_cover_is_not_made() -> None:
    worst = Decimal("0.01")
    unknown = hop([BUSY], GOOD, meter=Fixed(None), allowance=Allowance(Decimal("0.019"), worst))
    covered = hop([BUSY], GOOD, meter=Fixed(None), allowance=Allowance(Decimal("0.020"), worst))
    unbilled = hop(
        [RateLimited("later", status=429)], GOOD, allowance=Allowance(Decimal("0.01"), worst)
    )

    assert unknown.fails() is BUSY
    assert unknown.player.count() == 1
    assert asyncio.run(covered.read()) == "all is well"
    assert asyncio.run(unbilled.read()) == "all is well"


def test_each_call_has_its_own_id_and_the_time_it_may_take() -> None:
    one = hop([2.0, BUSY], GOOD, deadline_s=10, timeout_s=9)

    asyncio.run(one.read())

    first, second = one.player.asks
    assert (first.timeout_s, second.timeout_s) == (9, 6.5)
    assert [first.attempt_id, second.attempt_id] == [a.attempt_id for a in one.book.attempts]
    assert first.attempt_id != second.attempt_id


# Times


def test_times_are_measured_from_sending() -> None:
    play: Play = [0.2, Chunk(text="a"), 0.1, Chunk(text="b"), 0.1, Chunk(text="c"), 0.5]
    one = hop([*play, Chunk(finish="stop", usage=Usage(output_tokens=3)), 0.1])

    asyncio.run(one.read())

    (attempt,) = one.book.attempts
    assert attempt.ttft_s == pytest.approx(0.2)
    assert attempt.tpot_s == pytest.approx(0.1)
    assert attempt.total_s == pytest.approx(1.0)
    assert attempt.started_at == ManualClock().wall()


def test_tokens_without_text_count_as_the_first_token() -> None:
    silent = Chunk(tokens=(TokenStat(-0.1),))
    one = hop([0.1, silent, 0.3, Chunk(text="ab", tokens=(TokenStat(-0.2),)), Chunk(finish="stop")])

    asyncio.run(one.read())

    (attempt,) = one.book.attempts
    assert attempt.ttft_s == pytest.approx(0.1)
    assert attempt.tpot_s == pytest.approx(0.3)


def test_reasoning_that_is_not_shown_is_not_in_the_time_per_token() -> None:
    usage = Usage(output_tokens=103, reasoning_tokens=100)
    one = hop([9.0, Chunk(text="a"), 1.0, Chunk(text="b c"), Chunk(finish="stop", usage=usage)])

    asyncio.run(one.read())

    assert one.book.attempts[0].tpot_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    "play",
    [
        [0.1, Chunk(text="all at once"), Chunk(finish="stop", usage=Usage(output_tokens=3))],
        [0.1, Chunk(text="a"), 0.1, Chunk(text="b"), Chunk(finish="stop")],
        [Chunk(text="a"), 0.1, Chunk(text="b"), Chunk(finish="stop", usage=Usage(output_tokens=1))],
    ],
    ids=["one chunk", "no count", "one token"],
)
def test_a_time_per_token_that_can_not_be_told_is_unknown(play: Play) -> None:
    one = hop(play)

    asyncio.run(one.read())

    assert one.book.attempts[0].tpot_s is None


def test_without_a_token_the_time_to_the_first_is_unknown() -> None:
    one = hop([0.5, AuthFailed("no")])

    one.fails()

    (attempt,) = one.book.attempts
    assert (attempt.ttft_s, attempt.tpot_s) == (None, None)
    assert attempt.total_s == pytest.approx(0.5)


def test_what_was_served_is_on_the_attempt() -> None:
    usage = Usage(input_tokens=7, output_tokens=2, cached_input_tokens=3)
    first = Chunk(text="a", model="gpt-4o-2024", request_id="r-1")
    one = hop([first, Chunk(finish="length", usage=usage)], meter=Fixed(Decimal("0.5")))

    asyncio.run(one.read())

    (attempt,) = one.book.attempts
    assert attempt.usage == one.run.answer.usage == usage
    assert (attempt.model_served, attempt.request_id) == ("gpt-4o-2024", "r-1")
    assert (attempt.finish, attempt.cost_usd, attempt.price) == ("length", Decimal(1), "fixed")


# Time limits, with the real clock: nothing else can cancel a call that hangs


def test_the_deadline_stops_a_call_that_hangs() -> None:
    one = hop([STALL], clock=SystemClock(), deadline_s=0.05)

    assert isinstance(one.fails(), TimedOut)
    assert one.run.out_of_time
    assert (one.player.closed, one.player.count()) == (1, 1)
    assert one.book.attempts[0].error_kind == "timed_out"


def test_a_target_that_is_too_slow_leaves_the_request_its_time() -> None:
    one = hop([STALL], clock=SystemClock(), deadline_s=30, timeout_s=0.05)

    assert isinstance(one.fails(), TimedOut)
    assert not one.run.out_of_time


def test_the_deadline_cuts_an_answer_that_is_being_shown() -> None:
    one = hop([*LINES, STALL], clock=SystemClock(), deadline_s=0.05)

    error = one.fails(commits=True)

    assert (error.kind, error.target) == ("timed_out", "cloud")
    assert one.run.committed
    assert one.player.closed == 1


# Providers that break their promise


def test_an_answer_that_does_not_say_why_it_ended_is_bad() -> None:
    one = hop(LINES, attempts=1)

    assert isinstance(one.fails(), BadWire)


@pytest.mark.parametrize("broken", [ValueError("half a JSON"), KeyError("choices"), TimeoutError()])
def test_a_foreign_exception_fails_the_hop_and_keeps_its_cause(broken: Exception) -> None:
    one = hop([Chunk(text="a"), broken], GOOD)

    error = one.fails()

    assert type(error) is HopError
    assert error.__cause__ is broken
    assert not error.retryable
    assert one.book.attempts[0].error_kind == "failed"
    assert not one.run.out_of_time


class Rude:
    """Raises before there is anything to iterate over, or while it is closed."""

    def __init__(self, *, at_close: bool) -> None:
        self.at_close = at_close

    def stream(self, ask: Ask) -> AsyncIterator[Chunk]:
        if not self.at_close:
            raise RuntimeError("not today")
        return self.closing_badly()

    async def closing_badly(self) -> AsyncGenerator[Chunk, None]:
        try:
            yield Chunk(text="secret words")
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("secret words")

    async def aclose(self) -> None:
        """Nothing is open."""


def test_a_provider_that_raises_at_once_fails_its_hop() -> None:
    one = hop(provider=Rude(at_close=False))

    assert one.fails().kind == "failed"


def test_a_provider_that_can_not_close_does_not_change_how_the_call_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = hop(provider=Rude(at_close=True))

    async def leave() -> None:
        async with aclosing(pieces(one.run, release(True))) as chunks:
            await anext(chunks)

    with caplog.at_level(logging.WARNING, logger="firsthop"):
        asyncio.run(leave())

    one.book.check_pairs()
    assert one.book.attempts[0].error_kind == "cancelled"
    assert "cloud failed to stop: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


@dataclass
class Socket:
    """An iterator that is no generator: an error does not end its work, only `aclose` does."""

    closed: int = 0

    def stream(self, ask: Ask) -> AsyncIterator[Chunk]:
        return self

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        raise AuthFailed("no")

    async def aclose(self) -> None:
        self.closed += 1


def test_a_call_that_failed_is_closed_too() -> None:
    provider = Socket()

    hop(provider=provider).fails()

    assert provider.closed == 1


def test_errors_name_their_target() -> None:
    unnamed, named = hop([AuthFailed("no")]), hop([AuthFailed("no", target="other")])

    assert unnamed.fails().target == "cloud"
    assert named.fails().target == "other"


# Callers who leave


def test_a_caller_who_stops_reading_stops_the_work_at_once() -> None:
    one = hop([*LINES, STALL])

    async def leave() -> None:
        chunks = pieces(one.run, release(True))
        await anext(chunks)
        assert one.player.closed == 0
        await chunks.aclose()
        assert one.player.closed == 1

    asyncio.run(leave())

    one.book.check_pairs()
    assert one.book.attempts[0].error_kind == "cancelled"


@pytest.mark.parametrize("commits", [True, False])
def test_a_cancelled_task_stops_the_work_at_once(commits: bool) -> None:
    one = hop([*LINES, STALL])

    async def main() -> None:
        task = asyncio.create_task(one.read(commits=commits))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert one.player.closed == 1

    asyncio.run(main())

    one.book.check_pairs()
    (attempt,) = one.book.attempts
    assert (attempt.error_kind, attempt.cost_usd) == ("cancelled", Decimal(0))


def test_a_caller_who_leaves_during_a_wait_leaves_every_call_booked_once() -> None:
    class Patient(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    one = hop([BUSY], GOOD, clock=Patient())

    async def main() -> None:
        task = asyncio.create_task(one.read())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    one.book.check_pairs()
    assert [a.error_kind for a in one.book.attempts] == ["unavailable"]


# Booking


def test_the_beginning_is_booked_before_the_provider_is_touched() -> None:
    one = hop([BUSY], GOOD)

    asyncio.run(one.read())

    assert one.book.touched_at_begin == [0, 1]


@pytest.mark.parametrize("refuse_from", [1, 2])
def test_a_call_that_can_not_be_booked_is_not_made(refuse_from: int) -> None:
    one = hop([BUSY], GOOD, book=Book(refuse_from=refuse_from))

    with pytest.raises(LedgerError):
        asyncio.run(one.read())

    assert one.player.count() == refuse_from - 1
    one.book.check_pairs()


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (RateLimited("later", status=429), Decimal(0)),
        (Unavailable("refused", reached=False), Decimal(0)),
        (Unavailable("broke", status=500), None),
        (TimedOut("slow"), None),
    ],
    ids=["turned away", "never arrived", "may be billed", "may be billed too"],
)
def test_a_failure_costs_nothing_only_if_that_is_certain(
    error: HopError, cost: Decimal | None
) -> None:
    one = hop([error], attempts=1, meter=Fixed(Decimal("0.1")))

    one.fails()

    assert one.book.attempts[0].cost_usd == cost


def test_a_call_without_usage_or_price_has_an_unknown_cost() -> None:
    unpriced = hop(GOOD, meter=Fixed(None))
    uncounted = hop([Chunk(text="a"), Chunk(finish="stop")], meter=Fixed(Decimal(1)))

    for one in (unpriced, uncounted):
        asyncio.run(one.read())
        assert one.book.attempts[0].cost_usd is None


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda text: Chunk(text=text), st.sampled_from(["", "a", "b "])),
    st.just(Chunk(tokens=(TokenStat(-0.5),))),
    st.just(Chunk(finish="stop", usage=Usage(input_tokens=1, output_tokens=2))),
    st.floats(0, 30),
    st.builds(lambda: Unavailable("busy")),
    st.builds(lambda: RateLimited("later", retry_after_s=1)),
    st.builds(lambda: AuthFailed("no")),
    st.builds(lambda: ValueError("bug")),
)


@given(
    plays=st.lists(st.lists(steps, max_size=5), min_size=1, max_size=3),
    attempts=st.integers(1, 4),
    deadline_s=st.none() | st.floats(0.1, 60),
    commits=st.booleans(),
    leave_after=st.none() | st.integers(1, 3),
    cancel_after=st.none() | st.integers(0, 12),
)
def test_whatever_happens_each_beginning_has_one_end(
    plays: list[Play],
    attempts: int,
    deadline_s: float | None,
    commits: bool,
    leave_after: int | None,
    cancel_after: int | None,
) -> None:
    one = hop(*plays, attempts=attempts, deadline_s=deadline_s)

    async def read() -> None:
        async with aclosing(pieces(one.run, release(commits))) as chunks:
            async for chunk in chunks:
                one.chunks.append(chunk)
                if len(one.chunks) == leave_after:
                    return

    async def main() -> None:
        task = asyncio.create_task(read())
        for _ in range(cancel_after or 0):
            await asyncio.sleep(0)
        if cancel_after is not None:
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, HopError)

    asyncio.run(main())

    one.book.check_pairs()
    assert len(one.book.attempts) == one.player.count() <= attempts
    assert one.player.closed == one.player.count()
    shown = "".join(c.text for c in one.chunks)
    if shown and commits:
        assert one.run.committed
    if leave_after is None and one.book.attempts and one.book.attempts[-1].error_kind is None:
        assert shown == (one.run.answer.text if one.run.released else "")
