"""One request under way: the walk is driven, hops are run, everything is booked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ..cascade import Call, Rung, Seen, Verdict, walk
from ..clock import Clock, Deadline
from ..errors import Forbidden, HopError, LimitReached, NoAnswer, RouterError
from ..hops import Attempt, Hop, HopStatus, Outcome, Status, total_cost
from ..ledger.entry import Began, Closed, Sink
from ..policy.decide import Before, before
from ..policy.explain import PolicyTrace, plain
from ..policy.rules import Policy
from ..policy.trace import Entry
from ..signals import draft_signals, prompt_bound, request_signals
from ..signals.catalogue import Value
from ..types import Ask, Chunk, Completion, Message, Request
from .attempt import HopRun, Live
from .ids import new_id

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
    """One request: read `chunks` to the end or close it, then `close`, then `finish`."""

    home: Home
    request: Request
    policy: Policy
    arrived: float = 0.0
    started_at: float = 0.0
    decision_id: str = ""
    trace: list[Entry] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    errors: list[HopError] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    first_byte: float | None = None
    spent: Decimal = Decimal(0)
    verdict: Verdict | None = None
    first: Before | None = None
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        clock = self.home.clock
        self.arrived, self.started_at = clock.now(), clock.wall()
        self.decision_id = new_id(self.started_at)

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Drive the walk; hand on what is committed."""
        request, policy = self.request, self.policy
        counted = None
        if "prompt.tokens" in policy.signals():
            counted = await self.home.count_tokens(request.messages)
        signals = request_signals(request, counted)
        limits = policy.limits.tightened(request.deadline_s, request.cost_usd)
        deadline = Deadline.after(limits.deadline_s, self.arrived)
        self.first = before(policy, signals)
        steps = walk(
            policy,
            self.first,
            self.rungs(counted),
            limits,
            asked=request.target,
            trace=self.trace,
        )
        drafts: dict[int, Completion] = {}
        seen: Seen | None = None
        while True:
            try:
                call = next(steps) if seen is None else steps.send(seen)
            except StopIteration as stop:
                self.verdict = stop.value
                break
            run = self.hop_run(call, deadline)
            hop_started = self.home.clock.now()
            status: HopStatus = "cancelled"
            error: HopError | None = None
            measured: dict[str, Value] = {}
            try:
                async with aclosing(run.chunks(commits=call.commits)) as chunks:
                    async for chunk in chunks:
                        if call.commits and chunk.text:
                            yield self.committed(chunk)
                measured = draft_signals(run.answer)
                status = "answered" if call.commits else "deferred"
            except HopError as exc:
                error, status = exc, "failed"
                self.errors.append(exc)
            finally:
                if run.attempts:
                    self.hops.append(self.hop(call, run, status, error, measured, hop_started))
            drafts[len(self.hops) - 1] = run.answer
            seen = self.seen(call, run, error, {**signals, **measured})
        answered = self.verdict.answered_by
        if answered is not None and not self.text:
            yield self.committed(_as_chunk(drafts[answered]))

    def rungs(self, counted: int | None) -> dict[str, tuple[Rung, ...]]:
        """Targets of each tier, each with the most it may cost."""
        bound = counted if counted is not None else int(prompt_bound(self.request.messages).bound)
        found: dict[str, tuple[Rung, ...]] = {}
        for live in self.home.targets.values():
            target = live.target
            worst = live.worst_case(bound, self.cap(live))
            found[target.tier] = (
                *found.get(target.tier, ()),
                Rung(target.name, target.tier, worst),
            )
        return found

    def cap(self, live: Live) -> int:
        asked = self.request.max_output_tokens
        return live.target.max_output_tokens if asked is None else asked

    def hop_run(self, call: Call, deadline: Deadline) -> HopRun:
        live = self.home.targets[call.target]
        request = self.request
        ask = Ask(
            attempt_id="",
            messages=request.messages,
            max_output_tokens=self.cap(live),
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop,
        )
        booking = _Booking(self, call, len(self.hops))
        return HopRun(live, ask, clock=self.home.clock, deadline=deadline, booking=booking)

    def committed(self, chunk: Chunk) -> Chunk:
        if self.first_byte is None:
            self.first_byte = self.home.clock.now()
        self.text.append(chunk.text)
        return chunk

    def hop(
        self,
        call: Call,
        run: HopRun,
        status: HopStatus,
        error: HopError | None,
        measured: Mapping[str, Value],
        started: float,
    ) -> Hop:
        target = run.live.target
        left = {
            "answered": "answered",
            "deferred": "not kept",
            "cancelled": "the caller went away",
            "failed": f"failed: {error.kind}" if error else "failed",
        }[status]
        return Hop(
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

    def seen(
        self, call: Call, run: HopRun, error: HopError | None, signals: Mapping[str, Value]
    ) -> Seen:
        """What the walk has to know. A cost that isn't known counts at its worst case."""
        bound = int(prompt_bound(self.request.messages).bound)
        worst = run.live.meter.worst_case(bound, self.cap(run.live))
        for attempt in run.attempts:
            self.spent += attempt.cost_usd if attempt.cost_usd is not None else worst or 0
        elapsed_s = self.home.clock.now() - self.arrived
        if error is not None:
            return Seen(
                failure=error.kind,
                committed=run.committed,
                elapsed_s=elapsed_s,
                spent_usd=self.spent,
            )
        answer = run.answer
        return Seen(
            signals=signals,
            returnable=bool(answer.text.strip()) and answer.finish != "content_filter",
            committed=run.committed,
            elapsed_s=elapsed_s,
            spent_usd=self.spent,
        )

    def close(self) -> None:
        """Book the request, however it ended. Called once, also when the caller went away."""
        verdict, clock = self.verdict, self.home.clock
        status: Status = "cancelled" if verdict is None else verdict.status
        answered = None if verdict is None else verdict.answered_by
        self.outcome = Outcome(
            decision_id=self.decision_id,
            started_at=self.started_at,
            policy=self.policy.name,
            policy_revision=self.policy.revision,
            status=status,
            answered_by=answered,
            hops=tuple(_kept(hop) if hop.index == answered else hop for hop in self.hops),
            flags=() if verdict is None else verdict.flags,
            ttfb_s=None if self.first_byte is None else self.first_byte - self.arrived,
            total_s=clock.now() - self.arrived,
            cost_usd=total_cost(tuple(h.cost_usd for h in self.hops)),
            trace=PolicyTrace(tuple(self.trace)),
        )
        self.home.ledger.close_request(
            Closed(
                outcome=self.outcome,
                label=self.request.label,
                tags=self.request.tags,
                messages=self.request.messages if self.home.keep_text else None,
                answer="".join(self.text) if self.home.keep_text else None,
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
        raise self.error(outcome, verdict, first) from self.causes()

    def error(self, outcome: Outcome, verdict: Verdict, first: Before) -> RouterError:
        policy = f"policy {outcome.policy}"
        if verdict.status == "forbidden":
            named = ", ".join(first.forbidden_by)
            asked = self.request.target
            what = f"no tier of target {asked!r}" if asked and first.start else "no tier"
            return Forbidden(
                f"{policy}: {what} may answer this request; forbidden by: {named}",
                guards=first.forbidden_by,
                outcome=outcome,
            )
        if verdict.status == "limit_reached" and verdict.limit is not None:
            return LimitReached(
                f"{policy}: limit {verdict.limit} reached, and there is no draft to return",
                limit=verdict.limit,
                outcome=outcome,
            )
        tried = "; ".join(f"{h.target}: {h.left}" for h in outcome.hops) or "no target to try"
        return NoAnswer(f"{policy}: {tried}", hops=outcome.hops, outcome=outcome)

    def causes(self) -> BaseException | None:
        return ExceptionGroup("hops that failed", self.errors) if self.errors else None


@dataclass(frozen=True, slots=True)
class _Booking:
    """See `attempt.Booking`."""

    going: Going
    call: Call
    hop: int

    def begin(self, attempt_id: str, number: int, started_at: float) -> None:
        going, target = self.going, self.going.home.targets[self.call.target].target
        going.home.ledger.begin(
            Began(
                decision_id=going.decision_id,
                hop=self.hop,
                attempt_id=attempt_id,
                number=number,
                started_at=started_at,
                policy=going.policy.name,
                policy_revision=going.policy.revision,
                target=target.name,
                tier=target.tier,
                provider=target.provider,
                model=target.model,
                cause=self.call.cause,
                because=self.call.because,
                label=going.request.label,
                tags=going.request.tags,
            )
        )

    def end(self, attempt: Attempt) -> None:
        self.going.home.ledger.end(self.going.decision_id, self.hop, attempt)


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
