"""One request under way: the walk is driven, hops are run, everything is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal

from ..cascade import Call, Seen, Verdict, Walk, walk
from ..clock import Deadline
from ..errors import HopError
from ..hops import HopStatus, Outcome, Status, total_cost
from ..ledger.entry import Closed
from ..money import EXACT
from ..policy.decide import Before, before, early
from ..policy.explain import PolicyTrace
from ..policy.predicates import tests_in
from ..policy.rules import Limits, Policy
from ..policy.sample import sampled
from ..policy.trace import Check, Entry, Note
from ..signals import draft_signals, presentable, wanted_signals
from ..signals.catalogue import Value
from ..types import Ask, Chunk, Completion, Label, Request
from .attempt import HopRun
from .booking import HopBooking
from .call import Reading
from .ending import error_of
from .happened import Happened, as_chunk, recorded, says_something
from .home import Home
from .ids import new_id
from .live import Allowance, Live
from .outgoing import attachable, outgoing
from .purse import Reservation
from .rungs import cap, dearest, rungs_of, worst_case, worst_case_of


@dataclass(slots=True)
class Going:
    """One request: read `chunks` to the end or close it, then `close`, then `finish`.

    Attributes:
        notes: For the trace, of what is known before the request is looked at.
        label: The caller's, or what the policy says where the caller said nothing.
        out_of_time: A timer for the deadline has fired, however early by the clock.
        verdict: None: the walk has not ended.
        caller_left: The caller went away before the end.
    """

    home: Home
    request: Request
    policy: Policy
    notes: tuple[str, ...] = ()
    label: Label = "public"
    wanted: frozenset[str] = frozenset()
    arrived: float = 0.0
    started_at: float = 0.0
    decision_id: str = ""
    limits: Limits = field(default_factory=Limits)
    signals: dict[str, Value] = field(default_factory=dict)
    trace: list[Entry] = field(default_factory=list)
    so_far: Happened = field(default_factory=Happened)
    early: tuple[Check, ...] = ()
    out_of_time: bool = False
    verdict: Verdict | None = None
    first: Before | None = None
    outcome: Outcome | None = None
    caller_left: bool = False

    def __post_init__(self) -> None:
        clock, request = self.home.clock, self.request
        self.arrived, self.started_at = clock.now(), clock.wall()
        self.decision_id = new_id(self.started_at)
        self.label = request.label or self.policy.default_label
        self.limits = self.policy.limits.tightened(request.deadline_s, request.cost_usd)
        tiers = [live.target.tier for live in self.home.targets.values()]
        self.wanted = wanted_signals(self.policy.signals(), self.policy.record_signals, tiers)
        self.trace += [Note(note) for note in self.notes]

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Drive the walk; hand on what is committed."""
        deadline = Deadline.after(self.limits.deadline_s, self.arrived)
        self.signals = await self.sensed(deadline)
        steps = self.steps()
        seen: Seen | None = None
        while True:
            try:
                call = next(steps) if seen is None else steps.send(seen)
            except StopIteration as stop:
                self.verdict = stop.value
                break
            run, reserved = self.hop_run(call, deadline)
            started, ended = self.home.clock.now(), None
            cold = run.live.cold
            status: HopStatus = "failed"
            left = "stopped by an error of our own"
            error: HopError | None = None
            measured: dict[str, Value] = {}
            self.early = ()
            try:
                async with aclosing(run.chunks(self.release(call))) as chunks:
                    async for chunk in chunks:
                        if run.released and (chunk.text or chunk.tool_calls):
                            yield self.committed(chunk)
                ended = self.home.clock.now()
                await self.home.senses.ready(self.request)
                measured = draft_signals(run.answer, self.request, self.wanted, self.signals)
                status, left = "deferred", "not kept"
            except HopError as exc:
                error, left = exc, f"failed: {exc.kind}"
                self.so_far.errors.append(exc)
            except (asyncio.CancelledError, GeneratorExit):
                status, left = "cancelled", "the caller went away"
                raise
            finally:
                took = (self.home.clock.now() if ended is None else ended) - started
                self.keep(
                    call, run, status, left, measured, (started - self.arrived, took), cold=cold
                )
                self.home.senses.purse.settle(reserved, run.allowance.booked(run.attempts))
            seen = self.seen(run, error, {**self.signals, **measured})
        answered = self.verdict.answered_by
        self.note_sample(answered)
        draft = Completion(text="") if answered is None else self.so_far.drafts[answered]
        if answered is not None and not self.so_far.text and says_something(draft):
            yield self.committed(as_chunk(draft))

    def note_sample(self, answered: int | None) -> None:
        assert self.first is not None
        assert self.verdict is not None
        kept = None if self.verdict.flags else answered
        tier = None if kept is None else self.so_far.hops[kept].tier
        if sampled(self.policy, self.first, tier, self.decision_id):
            self.trace.append(Note("sample: drawn; this version asks nobody again"))

    async def sensed(self, deadline: Deadline) -> dict[str, Value]:
        """The signals of the request, as far as they can be had in time."""
        limit = asyncio.timeout(deadline.left_s(self.home.clock.now()))
        try:
            async with limit:
                return await self.home.senses.read(
                    self.request, self.policy, self.label, self.wanted
                )
        except TimeoutError:
            if not limit.expired():
                raise
            self.out_of_time = True
            return dict.fromkeys(name for name in self.wanted if not name.startswith("draft."))

    def elapsed_s(self) -> float:
        """Seconds since arrival; at least the deadline once its timer has fired."""
        gone = self.home.clock.now() - self.arrived
        return max(gone, self.limits.deadline_s or 0.0) if self.out_of_time else gone

    def steps(self) -> Walk:
        senses = self.home.senses
        self.first = before(self.policy, self.signals)
        return walk(
            self.policy,
            self.first,
            rungs_of(self.request, self.policy, self.home.targets, senses),
            self.limits,
            asked=self.request.target,
            stay=senses.loops.target_of(self.request.messages, self.request.tenant),
            elapsed_s=self.elapsed_s(),
            day_left_usd=self.day_left(),
            trace=self.trace,
        )

    def day_left(self) -> Decimal | None:
        """Dollars left of the day. None: the day has no limit."""
        day = self.limits.day_usd
        if day is None:
            return None
        return EXACT.subtract(day, self.home.senses.purse.spent_usd())

    def release(self, call: Call) -> Callable[[Reading], bool]:
        """When what a target says goes on to the caller before its end."""
        if call.commits:
            return lambda reading: reading.says_something
        rule = call.early
        if rule is None:
            return lambda reading: False
        asked = frozenset(test.signal for test in tests_in(rule.require))
        draft: Reading | None = None

        def bar_is_met(reading: Reading) -> bool:
            nonlocal draft
            if reading is not draft:  # a retry's is another draft
                draft, self.early = reading, ()
            if self.early or len(reading.tokens) < rule.tokens:
                return False
            so_far = draft_signals(reading.completion(), self.request, asked, self.signals)
            check = early(self.policy, call.tier, {**self.signals, **so_far})
            assert check is not None
            self.early = (check,)
            return check.truth is True

        return bar_is_met

    def hop_run(self, call: Call, deadline: Deadline) -> tuple[HopRun, Reservation]:
        live, request, limit = self.home.targets[call.target], self.request, self.limits.cost_usd
        ask = self.ask(call, live)
        # A transform may have made it longer than the walk could know.
        priced = worst_case(live, request, self.policy, self.home.targets)
        worst = dearest(priced, worst_case_of(ask, live))
        booking = HopBooking(
            ledger=self.home.ledger,
            decision_id=self.decision_id,
            request=request,
            label=self.label,
            policy=self.policy,
            target=live.target,
            call=call,
            hop=len(self.so_far.hops),
        )
        bounds = [EXACT.subtract(limit, self.so_far.spent)] if limit is not None else []
        day_left = self.day_left()
        bounds += [day_left] if day_left is not None else []
        run = HopRun(
            live,
            ask,
            clock=self.home.clock,
            deadline=deadline,
            booking=booking,
            allowance=Allowance(min(bounds, default=None), worst),
        )
        most = EXACT.multiply(worst or Decimal(0), live.attempts)
        return run, self.home.senses.purse.reserve(most)

    def ask(self, call: Call, live: Live) -> Ask:
        request = self.request
        return Ask(
            attempt_id="",
            messages=outgoing(
                request.messages,
                self.attached(call),
                live.target,
                () if live.here else self.home.transforms,
            ),
            max_output_tokens=cap(live, request),
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop,
            tools=request.tools,
            json=request.json,
            json_schema=request.json_schema,
        )

    def attached(self, call: Call) -> str | None:
        """The draft that goes along. None: none does."""
        if call.draft is None:
            return None
        so_far = self.so_far
        draft, author = so_far.drafts[call.draft].text, so_far.hops[call.draft].target
        tokens = cap(self.home.targets[author], self.request)
        if attachable(draft, tokens):
            return draft
        self.trace.append(Note(f"hop {call.draft + 1}'s draft is too long to go along"))
        return None

    def committed(self, chunk: Chunk) -> Chunk:
        return self.so_far.shown(chunk, self.home.clock.now())

    def keep(
        self,
        call: Call,
        run: HopRun,
        status: HopStatus,
        left: str,
        measured: Mapping[str, Value],
        times: tuple[float, float],
        *,
        cold: bool,
    ) -> None:
        """Add the hop to what has happened, unless not one call of it could be booked."""
        if run.attempts:
            name = run.live.target.name
            self.home.senses.saw(name, run.attempts, cold=cold, out_of_time=run.out_of_time)
            self.so_far.add(call, run, status, left, measured, times)

    def seen(self, run: HopRun, error: HopError | None, signals: Mapping[str, Value]) -> Seen:
        """What the walk has to know."""
        self.out_of_time = self.out_of_time or run.out_of_time
        answer = run.answer
        return Seen(
            signals=None if error else signals,
            returnable=says_something(answer) and answer.finish != "content_filter",
            presentable=error is None and presentable(answer, self.request),
            early=self.early,
            failure=error.kind if error else None,
            committed=run.committed,
            elapsed_s=self.elapsed_s(),
            spent_usd=self.so_far.spent,
            day_left_usd=self.day_left(),
        )

    def close(self) -> None:
        """Book the request, however it ended. Called once, also when the caller went away."""
        verdict, clock, keep_text = self.verdict, self.home.clock, self.home.keep_text
        so_far = self.so_far
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
            hops=so_far.hops_with(answered),
            flags=flags,
            ttfb_s=None if so_far.first_byte is None else so_far.first_byte - self.arrived,
            total_s=clock.now() - self.arrived,
            cost_usd=total_cost(tuple(hop.cost_usd for hop in so_far.hops)),
            signals=recorded(self.signals),
            trace=PolicyTrace(tuple(self.trace)),
        )
        if answered is not None:
            kept = answered == 0 and not flags
            calls = so_far.drafts[answered].tool_calls
            self.home.senses.answered(self.request, self.policy, self.outcome, calls, kept=kept)
        returned = answered is not None or bool(so_far.text)
        self.home.ledger.close_request(
            Closed(
                outcome=self.outcome,
                label=self.label,
                tags=self.request.tags,
                messages=self.request.messages if keep_text else None,
                answer="".join(so_far.text) if keep_text and returned else None,
            )
        )

    def finish(self) -> Outcome:
        """The outcome, or the error that says why there is no answer."""
        outcome, verdict, first = self.outcome, self.verdict, self.first
        errors = self.so_far.errors
        assert outcome is not None
        assert verdict is not None
        assert first is not None
        if verdict.status == "answered":
            return outcome
        causes = ExceptionGroup("hops that failed", errors) if errors else None
        asked = self.home.targets.get(self.request.target or "")
        named = None if asked is None else asked.target
        raise error_of(outcome, verdict, first, self.policy, named) from causes
