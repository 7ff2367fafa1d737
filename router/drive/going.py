"""One request under way: the walk is driven, hops are run, everything is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ..cascade import Call, Rung, Seen, Verdict, Walk, walk
from ..clock import Clock, Deadline
from ..errors import HopError
from ..hops import Hop, HopStatus, Outcome, Status, total_cost
from ..ledger.entry import Closed, Sink
from ..policy.decide import Before, before
from ..policy.explain import PolicyTrace, plain
from ..policy.rules import Limits, Policy
from ..policy.trace import Entry
from ..signals import draft_signals, prompt_bound, request_signals
from ..signals.catalogue import Value
from ..types import Ask, Chunk, Completion, Message, Request
from .attempt import HopRun
from .booking import HopBooking
from .ending import error_of
from .ids import new_id
from .live import Allowance, Live

CountTokens = Callable[[tuple[Message, ...]], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Home:
    """What every request of a router shares.

    Attributes:
        targets: What can be called, by name, in the order of the config.
        ledger: Where everything is booked.
        count_tokens: The device's own count of a prompt; gives None while it is not loaded.
        keep_text: Whether prompts and answers go into the ledger.
    """

    targets: Mapping[str, Live]
    ledger: Sink
    clock: Clock
    count_tokens: CountTokens
    keep_text: bool = False


@dataclass(slots=True)
class Going:
    """One request: read `chunks` to the end or close it, then `close`, then `finish`.

    Attributes:
        input_bound: Most tokens any tokenizer makes of the prompt. (The device's own count of
            it bounds nobody else's.)
        spent: Dollars so far; unknown costs counted at their worst case.
        out_of_time: A timer for the deadline has fired, however early by the clock.
        verdict: None: the walk has not ended.
        caller_left: The caller went away before the end.
    """

    home: Home
    request: Request
    policy: Policy
    arrived: float = 0.0
    started_at: float = 0.0
    decision_id: str = ""
    limits: Limits = field(default_factory=Limits)
    input_bound: int = 0
    trace: list[Entry] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    drafts: list[Completion] = field(default_factory=list)
    errors: list[HopError] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    first_byte: float | None = None
    spent: Decimal = Decimal(0)
    out_of_time: bool = False
    verdict: Verdict | None = None
    first: Before | None = None
    outcome: Outcome | None = None
    caller_left: bool = False

    def __post_init__(self) -> None:
        clock, request = self.home.clock, self.request
        self.arrived, self.started_at = clock.now(), clock.wall()
        self.decision_id = new_id(self.started_at)
        self.limits = self.policy.limits.tightened(request.deadline_s, request.cost_usd)
        self.input_bound = int(prompt_bound(request.messages).bound)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Drive the walk; hand on what is committed."""
        deadline = Deadline.after(self.limits.deadline_s, self.arrived)
        signals = request_signals(self.request, await self.counted(deadline))
        steps = self.steps(signals)
        seen: Seen | None = None
        while True:
            try:
                call = next(steps) if seen is None else steps.send(seen)
            except StopIteration as stop:
                self.verdict = stop.value
                break
            run = self.hop_run(call, deadline)
            started = self.home.clock.now()
            status: HopStatus = "failed"
            left = "stopped by an error of our own"
            error: HopError | None = None
            measured: dict[str, Value] = {}
            try:
                async with aclosing(run.chunks(commits=call.commits)) as chunks:
                    async for chunk in chunks:
                        if call.commits and chunk.text:
                            yield self.committed(chunk)
                measured = draft_signals(run.answer)
                status, left = "deferred", "not kept"
            except HopError as exc:
                error, left = exc, f"failed: {exc.kind}"
                self.errors.append(exc)
            except (asyncio.CancelledError, GeneratorExit):
                status, left = "cancelled", "the caller went away"
                raise
            finally:
                self.keep(call, run, status, left, measured, started)
            seen = self.seen(run, error, {**signals, **measured})
        answered = self.verdict.answered_by
        if answered is not None and not self.text and self.drafts[answered].text:
            yield self.committed(_as_chunk(self.drafts[answered]))

    async def counted(self, deadline: Deadline) -> int | None:
        """The prompt's tokens, if the policy asks and the device can tell in time."""
        if "prompt.tokens" not in self.policy.signals():
            return None
        limit = asyncio.timeout(deadline.left_s(self.home.clock.now()))
        try:
            async with limit:
                return await self.home.count_tokens(self.request.messages)
        except (TimeoutError, HopError):
            self.out_of_time = limit.expired()
            return None

    def elapsed_s(self) -> float:
        """Seconds since arrival; at least the deadline once its timer has fired."""
        gone = self.home.clock.now() - self.arrived
        return max(gone, self.limits.deadline_s or 0.0) if self.out_of_time else gone

    def steps(self, signals: Mapping[str, Value]) -> Walk:
        self.first = before(self.policy, signals)
        rungs: dict[str, tuple[Rung, ...]] = {}
        for live in self.home.targets.values():
            name, tier = live.target.name, live.target.tier
            rungs[tier] = (*rungs.get(tier, ()), Rung(name, tier, self.worst_case(live)))
        return walk(
            self.policy,
            self.first,
            rungs,
            self.limits,
            asked=self.request.target,
            elapsed_s=self.elapsed_s(),
            trace=self.trace,
        )

    def worst_case(self, live: Live) -> Decimal | None:
        """Most dollars one call can cost. None: not known."""
        return live.meter.worst_case(self.input_bound, self.cap(live))

    def cap(self, live: Live) -> int:
        asked = self.request.max_output_tokens
        return live.target.max_output_tokens if asked is None else asked

    def hop_run(self, call: Call, deadline: Deadline) -> HopRun:
        live, request, limit = self.home.targets[call.target], self.request, self.limits.cost_usd
        ask = Ask(
            attempt_id="",
            messages=request.messages,
            max_output_tokens=self.cap(live),
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop,
        )
        booking = HopBooking(
            ledger=self.home.ledger,
            decision_id=self.decision_id,
            request=request,
            policy=self.policy,
            target=live.target,
            call=call,
            hop=len(self.hops),
        )
        left = None if limit is None else limit - self.spent
        return HopRun(
            live,
            ask,
            clock=self.home.clock,
            deadline=deadline,
            booking=booking,
            allowance=Allowance(left, self.worst_case(live)),
        )

    def committed(self, chunk: Chunk) -> Chunk:
        if self.first_byte is None:
            self.first_byte = self.home.clock.now()
        self.text.append(chunk.text)
        return chunk

    def keep(
        self,
        call: Call,
        run: HopRun,
        status: HopStatus,
        left: str,
        measured: Mapping[str, Value],
        started: float,
    ) -> None:
        """Add the hop to what has happened, unless not one call of it could be booked."""
        if not run.attempts:
            return
        target = run.live.target
        self.spent += run.allowance.spent(run.attempts)
        self.drafts.append(run.answer)
        self.hops.append(
            Hop(
                index=len(self.hops),
                target=target.name,
                tier=target.tier,
                provider=target.provider,
                model=target.model,
                cause=call.cause,
                because=call.because,
                status=status,
                left=left,
                attempts=tuple(run.attempts),
                total_s=self.home.clock.now() - started,
                cost_usd=total_cost(tuple(a.cost_usd for a in run.attempts)),
                signals={name: plain(value) for name, value in measured.items()},
            )
        )

    def seen(self, run: HopRun, error: HopError | None, signals: Mapping[str, Value]) -> Seen:
        """What the walk has to know."""
        self.out_of_time = self.out_of_time or run.out_of_time
        answer = run.answer
        return Seen(
            signals=None if error else signals,
            returnable=bool(answer.text.strip()) and answer.finish != "content_filter",
            failure=error.kind if error else None,
            committed=run.committed,
            elapsed_s=self.elapsed_s(),
            spent_usd=self.spent,
        )

    def close(self) -> None:
        """Book the request, however it ended. Called once, also when the caller went away."""
        verdict, clock, keep_text = self.verdict, self.home.clock, self.home.keep_text
        status: Status = "cancelled" if self.caller_left else "no_answer"
        answered: int | None = None
        flags: tuple[str, ...] = ()
        if verdict is not None:
            status, answered, flags = verdict.status, verdict.answered_by, verdict.flags
        self.outcome = Outcome(
            decision_id=self.decision_id,
            started_at=self.started_at,
            policy=self.policy.name,
            policy_revision=self.policy.revision,
            status=status,
            answered_by=answered,
            hops=tuple(_kept(hop) if hop.index == answered else hop for hop in self.hops),
            flags=flags,
            ttfb_s=None if self.first_byte is None else self.first_byte - self.arrived,
            total_s=clock.now() - self.arrived,
            cost_usd=total_cost(tuple(hop.cost_usd for hop in self.hops)),
            trace=PolicyTrace(tuple(self.trace)),
        )
        returned = answered is not None or bool(self.text)
        self.home.ledger.close_request(
            Closed(
                outcome=self.outcome,
                label=self.request.label,
                tags=self.request.tags,
                messages=self.request.messages if keep_text else None,
                answer="".join(self.text) if keep_text and returned else None,
            )
        )

    def finish(self) -> Outcome:
        """The outcome, or the error that says why there is no answer."""
        outcome, verdict, first = self.outcome, self.verdict, self.first
        assert outcome is not None
        assert verdict is not None
        assert first is not None
        if verdict.status == "answered":
            return outcome
        causes = ExceptionGroup("hops that failed", self.errors) if self.errors else None
        raise error_of(outcome, verdict, first, self.request.target) from causes


def _kept(hop: Hop) -> Hop:
    return replace(hop, status="answered", left="answered")


def _as_chunk(draft: Completion) -> Chunk:
    return Chunk(
        text=draft.text,
        tokens=draft.tokens,
        finish=draft.finish,
        usage=draft.usage,
        model=draft.model,
        request_id=draft.request_id,
    )
