"""One request under way: the walk is driven, hops are run, everything is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from ..cascade import Call, Seen, Verdict, Walk, walk
from ..clock import Deadline
from ..errors import let_go
from ..hops import Outcome, Status, total_cost
from ..ledger.entry import Closed
from ..policy.decide import Before, before
from ..policy.explain import PolicyTrace
from ..policy.rules import Policy
from ..policy.sample import sampled
from ..policy.trace import Note
from ..quick import maker
from ..signals.catalogue import Value
from ..types import Chunk, Completion, Request
from .context import Context
from .ending import error_of
from .happened import Happened, as_chunk, recorded, says_something
from .home import Home
from .ids import new_id
from .lanes import Lanes
from .opinions import heard
from .rungs import rungs_of
from .underway import UnderWay

_context, _outcome, _closed = maker(Context), maker(Outcome), maker(Closed)


class Going:
    """One request: read `run` to the end or close it.

    Attributes:
        context: What its hops share.
        verdict: None: the walk has not ended.
        outcome: None: it is not closed.
        caller_left: The caller went away before the end.
    """

    def __init__(
        self,
        home: Home,
        request: Request,
        policy: Policy,
        notes: tuple[str, ...] = (),
        decision_id: str | None = None,
    ) -> None:
        """A request that has just arrived.

        Args:
            notes: For the trace, of what is known before the request is looked at.
            decision_id: As `ids.new_id` makes it. None: it gets one.
        """
        self.home = home
        self.request = request
        self.policy = policy
        self.notes = notes
        self.decision_id = decision_id
        self.so_far = Happened()
        self.context: Context
        self.started_at: float
        self.under_way: UnderWay | None = None
        self.lanes: Lanes | None = None
        self.seen: Seen | None = None
        self.verdict: Verdict | None = None
        self.first: Before | None = None
        self.outcome: Outcome | None = None
        self.caller_left = False

    async def run(self) -> AsyncGenerator[Chunk | Outcome, None]:
        """Yield what is committed, then the outcome, which is booked by then.

        Raises: what `Orchestrator.run` says.
        """
        self.arrive()
        try:
            context = self.context
            if context.wanted.waits:
                context.signals = await self.sensed()
            else:  # no coroutine and no timer, which cost more than all that is read
                context.signals = self.home.senses.at_once(
                    self.request, self.policy, context.label, context.wanted
                )
            steps = self.steps()
            while (call := self.next_call(steps)) is not None:
                hop = await self.hop(call)
                while (chunk := await hop.next()) is not None:
                    yield self.so_far.shown(chunk, self.home.clock.now())
                self.seen = hop.seen() if isinstance(hop, UnderWay) else hop.seen(call)
                if call.opinions is not None:
                    self.seen = await heard(self.context, hop, call, self.seen)
            assert self.verdict is not None
            answered = self.verdict.answered_by
            if self.policy.sample is not None:
                self.note_sample(answered)
            draft = Completion(text="") if answered is None else self.so_far.hops[answered].draft
            if answered is not None and not self.so_far.text and says_something(draft):
                yield self.so_far.shown(as_chunk(draft), self.home.clock.now())
        except (asyncio.CancelledError, GeneratorExit):
            self.caller_left = True
            raise
        finally:
            try:
                if self.lanes is not None:
                    await self.lanes.aclose()
                elif self.under_way is not None and not self.under_way.kept:
                    await self.under_way.aclose()
            finally:
                self.close()
        yield self.finish()

    def arrive(self) -> None:
        home, request, policy, clock = self.home, self.request, self.policy, self.home.clock
        arrived, self.started_at = clock.now(), clock.wall()
        limits = policy.limits.tightened(request.deadline_s, request.cost_usd)
        self.context = _context(
            home,
            request,
            policy,
            decision_id=self.decision_id or new_id(self.started_at),
            limits=limits,
            needs=request.needs,
            label=request.label or policy.default_label,
            arrived=arrived,
            deadline=Deadline.after(limits.deadline_s, arrived),
            wanted=home.wanted(policy),
            so_far=self.so_far,
            trace=[Note(note) for note in self.notes],
        )

    def next_call(self, steps: Walk) -> Call | None:
        """What the walk wants next. None: it has ended, with `verdict`."""
        try:
            call = next(steps) if self.seen is None else steps.send(self.seen)
        except StopIteration as stop:
            self.verdict, call = stop.value, None
        if self.lanes is not None and (call is None or not call.resumed):
            self.lanes.stop()
        return call

    async def hop(self, call: Call) -> UnderWay | Lanes:
        """Begin or resume what is called for."""
        if self.lanes is not None and not call.resumed:
            await self.lanes.aclose()
            self.lanes = None
        if call.rival is not None or call.resumed:
            self.lanes = self.lanes or Lanes(self.context)
            self.lanes.take(call)
            return self.lanes
        self.under_way = UnderWay(self.context, call)
        return self.under_way

    def note_sample(self, answered: int | None) -> None:
        assert self.first is not None
        assert self.verdict is not None
        kept = None if self.verdict.flags else answered
        tier = None if kept is None else self.so_far.hops[kept].call.tier
        if sampled(self.policy, self.first, tier, self.context.decision_id):
            self.context.trace.append(Note("sample: drawn; this version asks nobody again"))

    async def sensed(self) -> dict[str, Value]:
        """The signals of the request, as far as they can be had in time."""
        context, senses = self.context, self.home.senses
        reading = senses.read(self.request, self.policy, context.label, context.wanted)
        limit = asyncio.timeout(context.deadline.left_s(self.home.clock.now()))
        try:
            async with limit:
                return await reading
        except TimeoutError:
            if not limit.expired():
                raise
            context.out_of_time = True
            return dict.fromkeys(context.wanted.of_request)

    def steps(self) -> Walk:
        context, senses = self.context, self.home.senses
        self.first = before(self.policy, context.signals)
        rungs = rungs_of(
            self.request,
            context.needs,
            self.policy,
            self.home.targets,
            senses,
            context.limits.deadline_s,
        )
        context.worst_usd = {r.name: r.worst_case_usd for tier in rungs.values() for r in tier}
        return walk(
            self.policy,
            self.first,
            rungs,
            context.limits,
            asked=self.request.target,
            stay=senses.loops.target_of(self.request.messages, self.request.tenant),
            elapsed_s=context.elapsed_s(),
            day_left_usd=context.day_left(),
            trace=context.trace,
        )

    def close(self) -> None:
        """Book the request, however it ended. Called once, also when the caller went away."""
        verdict, clock, keep_text = self.verdict, self.home.clock, self.home.keep_text
        so_far, context = self.so_far, self.context
        status: Status = "cancelled" if self.caller_left else "no_answer"
        answered: int | None = None
        flags: tuple[str, ...] = ()
        if verdict is not None:
            status, answered, flags = verdict.status, verdict.answered_by, verdict.flags
        self.outcome = _outcome(
            decision_id=context.decision_id,
            started_at=self.started_at,
            policy=self.policy.name,
            policy_revision=self.policy.revision,
            status=status,
            answered_by=answered,
            hops=so_far.hops_with(answered),
            flags=flags,
            ttfb_s=None if so_far.first_byte is None else so_far.first_byte - context.arrived,
            total_s=clock.now() - context.arrived,
            cost_usd=total_cost([hop.cost_usd for hop in so_far.hops.values()]),
            signals=recorded(context.signals),
            trace=PolicyTrace(tuple(context.trace)),
            certified=None if verdict is None else verdict.certified,
        )
        if answered is not None:
            kept = answered == 0 and not flags
            calls = so_far.hops[answered].draft.tool_calls
            self.home.senses.answered(self.request, self.policy, self.outcome, calls, kept=kept)
        returned = answered is not None or bool(so_far.text)
        self.home.ledger.close_request(
            _closed(
                outcome=self.outcome,
                label=context.label,
                tags=self.request.tags,
                messages=self.request.messages if keep_text else None,
                answer="".join(so_far.text) if keep_text and returned else None,
            )
        )

    def finish(self) -> Outcome:
        """The outcome, or the error that says why there is no answer."""
        outcome, verdict = self.outcome, self.verdict
        assert outcome is not None
        assert verdict is not None
        if verdict.status == "answered":
            for error in self.so_far.errors:  # of which nobody is told
                let_go(error)
            return outcome
        first, errors = self.first, self.so_far.errors
        assert first is not None
        causes = ExceptionGroup("hops that failed", errors) if errors else None
        asked = self.home.targets.get(self.request.target or "")
        named = None if asked is None else asked.target
        raise error_of(outcome, verdict, first, self.policy, named) from causes
