"""One hop of a request, from its beginning to its booking: made ready, run, measured, kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

from ..cascade import Call, Seen
from ..errors import Filtered, HopError
from ..hops import HopStatus, total_cost
from ..money import EXACT
from ..policy.decide import doubt, early, given_up
from ..policy.predicates import Predicate, tests_in
from ..policy.trace import Check, Note
from ..quick import copier, maker
from ..signals import draft_signals, presentable
from ..signals.catalogue import Value
from ..types import Ask, Chunk, Request
from .attempt import HopRun
from .booking import HopBooking
from .call import Aborted
from .context import Context
from .happened import filtered, says_something
from .live import Allowance
from .measured import measured, shows_state
from .outgoing import attachable, outgoing
from .purse import Reservation
from .reading import Reading
from .rungs import cap, dearest, worst_case_of

OVERTAKEN = "another hop was first"

_ask_of = copier(
    Ask, Request, "attempt_id", "messages", "max_output_tokens", "timeout_s", "timed", "states"
)
_seen = maker(Seen)


class UnderWay:
    """One hop. Ask it for `next` until there is none, or close it; it is booked by then.

    Attributes:
        call: What the walk asked for.
        commits: What it says goes to the caller from its first word on. May become true.
        begun: A first token has come.
        on_doubt: Called when what it has said so far starts a race.
        overtaken: Set before it is stopped because another hop was first.
        early: What was said of the beginning of its draft.
        aborted: Its draft was given up before its end.
        error: Why it failed. None: it did not, or has not ended.
        kept: It is among what has happened, unless not one call of it could be booked.
    """

    def __init__(self, context: Context, call: Call, beside: UnderWay | None = None) -> None:
        """Make it ready and set its dollars aside; nothing is sent.

        Args:
            beside: The hop that is under way beside it.
        """
        self.context = context
        self.call = call
        self.commits = call.commits
        self.begun = False
        self.overtaken = False
        self.on_doubt: Callable[[UnderWay], None] | None = None
        self.early: tuple[Check, ...] = ()
        self.error: HopError | None = None
        self.aborted = False
        self._judged = 0
        self._told = 0
        self._looked_at: Reading | None = None
        self._measured: dict[str, Value] = {}
        self.kept = self._read = False
        self.live = context.home.targets[call.target]
        self._cold = self.live.cold
        self._started = context.home.clock.now()
        ask = self._ask()
        # A transform may have made it longer than the walk could know.
        self._worst = context.worst_usd[call.target]
        if ask.messages is not context.request.messages:
            self._worst = dearest(self._worst, worst_case_of(ask, self.live))
        self.run = HopRun(
            self.live,
            ask,
            clock=context.home.clock,
            deadline=context.deadline,
            booking=HopBooking(
                context, call, self.live.target, beside is None and call.rival is None
            ),
            allowance=Allowance(self._most_usd(beside), self._worst),
            lets=context.home.senses.breakers.lets,
            counted=self._counted(ask),
        )
        most = EXACT.multiply(self._worst or Decimal(0), self.live.attempts)
        self._reserved: Reservation = context.home.senses.purse.reserve(most)

    def _most_usd(self, beside: UnderWay | None) -> Decimal | None:
        """Most dollars it may spend. None: there is no limit, or it may cost what nobody knows."""
        context = self.context
        if self._worst is None and self.live.unpriced:
            return None
        most: Decimal | None = None
        if context.limits.cost_usd is not None:
            most = EXACT.subtract(context.limits.cost_usd, context.so_far.spent)
            if beside is not None:
                most = EXACT.subtract(most, beside.may_spend)
        day_left = context.day_left()
        if day_left is not None:
            most = day_left if most is None else min(most, day_left)
        if beside is not None and beside.call.rival is not None:
            rivals = beside.call.rival.most_usd
            most = rivals if most is None else min(most, rivals)
        return most

    def _counted(self, ask: Ask) -> int | None:
        """Tokens of what is sent, as a tokenizer of ours counted them. None: nobody did."""
        counted = self.context.signals.get("prompt.tokens")
        same = ask.messages is self.context.request.messages
        return counted if same and isinstance(counted, int) else None

    @property
    def may_spend(self) -> Decimal:
        """Dollars set aside for it."""
        return self._reserved.usd

    def _ask(self) -> Ask:
        context, live = self.context, self.live
        request = context.request
        messages = outgoing(
            request.messages,
            self._attached(),
            live.target,
            () if live.here else context.home.transforms,
        )
        states = live.here and shows_state(context, live.target.name)
        return _ask_of(request, "", messages, cap(live, request), None, False, states)

    def _attached(self) -> str | None:
        """The draft that goes along. None: none does."""
        context, index = self.context, self.call.draft
        if index is None:
            return None
        draft = context.so_far.hops[index].draft.text
        author = context.home.targets[context.so_far.hops[index].call.target]
        if attachable(draft, cap(author, context.request)):
            return draft
        context.trace.append(Note(f"hop {index + 1}'s draft is too long to go along"))
        return None

    async def next(self) -> Chunk | None:
        """What goes on to the caller next. None: it has ended, and is booked.

        A failure is no exception but `error`.
        """
        context, run = self.context, self.run
        self._read = True
        chunk: Chunk | None = None
        ended: float | None = None
        status: HopStatus = "failed"
        left = "stopped by an error of our own"
        try:
            try:
                while (piece := await run.next(self._release)) is not None:
                    if piece.text or piece.tool_calls or piece.logprobs:
                        chunk = piece
                        return chunk
            finally:
                if chunk is None:
                    await run.aclose()
            ended = context.home.clock.now()
            answer = run.answer
            if not context.home.senses.is_ready(context.needs):
                await context.home.senses.ready(context.request, answer)
            self._measured = measured(context, self.call.target, answer)
            status, left = "deferred", "not kept"
            if answer.finish == "content_filter":
                left += f": {filtered('answer', answer.filtered)}"
        except HopError as exc:
            said = filtered("prompt", exc.categories) if isinstance(exc, Filtered) else exc.kind
            self.error, left = exc, f"failed: {said}"
            context.so_far.errors.append(exc)
        except Aborted:
            self.aborted, status, left = True, "deferred", f"not kept: {self.early[-1].effect}"
        except (asyncio.CancelledError, GeneratorExit):
            status, left = "cancelled", self._stopped_by()
            raise
        finally:
            if chunk is None:
                took = (context.home.clock.now() if ended is None else ended) - self._started
                self._keep(status, left, took)
        return None

    async def aclose(self) -> None:
        """Stop it, and book it as stopped, if it has begun and has not ended."""
        if self.kept or not self._read:
            return
        try:
            await self.run.aclose()
        finally:
            took = self.context.home.clock.now() - self._started
            self._keep("cancelled", self._stopped_by(), took)

    def _release(self, reading: Reading) -> bool:
        """Whether what it has said goes on to the caller from now on."""
        self.begun = self.begun or reading.first is not None
        if self.commits:
            return reading.says_something and not self.context.request.whole
        if reading is not self._looked_at:  # a retry's is another draft
            self._looked_at, self.early, self._told, self._judged = reading, (), 0, 0
        looked = {check.kind for check in self.early}
        shown = self.call.early
        if shown is not None and "early" not in looked and len(reading.tokens) >= shown.tokens:
            signals = self._so_far(reading, shown.require)
            if self._looked(early(self.context.policy, self.call.tier, signals)):
                return True
        if self._below_its_bar(reading):
            raise Aborted
        rival = self.call.rival
        starts = None if rival is None else rival.doubt
        if starts is None or "race" in looked or len(reading.tokens) < starts.tokens:
            return False
        starts_one = self._looked(doubt(self.context.policy, self._so_far(reading, starts.when)))
        if starts_one and self.on_doubt is not None:
            self.on_doubt(self)
        return False

    def _below_its_bar(self, reading: Reading) -> bool:
        """Whether the draft is not worth its rest. Where many tokens come at once, the bar for the
        greatest length holds; a draft that is whole is judged as such."""
        bars = () if self.call.abort is None or reading.finish else self.call.abort.bars
        due = [bar for bar in bars if self._judged < bar.tokens <= len(reading.tokens)]
        if not due:
            return False
        self._judged = due[-1].tokens
        signals = self._so_far(reading, due[-1].when)
        return self._looked(given_up(self.call.tier, due[-1], signals))

    def _so_far(self, reading: Reading, asked: Predicate) -> dict[str, Value]:
        """The signals that `asked` is about, of what has come."""
        context, names = self.context, sorted({test.signal for test in tests_in(asked)})
        found = draft_signals(reading.completion(), context.request, names, context.signals)
        return {**context.signals, **found}

    def _looked(self, check: Check | None) -> bool:
        """Keep what was said of the beginning; whether it holds."""
        assert check is not None
        self.early = (*self.early, check)
        return check.truth is True

    def _keep(self, status: HopStatus, left: str, took_s: float) -> None:
        """Add it to what has happened, unless not one call of it could be booked."""
        if self.kept:
            return
        self.kept = True
        context, run = self.context, self.run
        senses, attempts, allowance = context.home.senses, run.attempts, run.allowance
        cost_usd = booked_usd = total_cost([attempt.cost_usd for attempt in attempts])
        if cost_usd is None:
            booked_usd = allowance.booked(attempts)
        if attempts:
            senses.saw(
                self.call.target,
                attempts,
                cold=self._cold,
                out_of_time=run.out_of_time,
                overtaken=self.overtaken,
                hedged=self.call.rival is not None and self.call.rival.cause == "hedge",
            )
            times = (self._started - context.arrived, took_s)
            spent_usd = allowance.spent(attempts) if booked_usd is None else booked_usd
            usd = (cost_usd, spent_usd)
            context.so_far.add(self.call, run, status, left, self._measured, times, usd)
        senses.purse.settle(self._reserved, booked_usd)

    def learn(self, found: Mapping[str, Value]) -> None:
        """Add to what was measured of its draft, after it has ended."""
        self._measured.update(found)  # of the hop that is kept, too: it is the same mapping

    def give_up(self) -> None:
        """Book it as stopped if that was not done: its target doesn't let go, or had no turn."""
        if self.kept:
            return
        self.run.give_up()
        self._keep("cancelled", self._stopped_by(), self.context.home.clock.now() - self._started)

    def _stopped_by(self) -> str:
        return OVERTAKEN if self.overtaken else "the caller went away"

    def tell(self) -> tuple[Check, ...]:
        """What was said of its beginning, once."""
        told, self._told = self._told, len(self.early)
        return self.early[told:]

    def seen(self) -> Seen:
        """What the walk has to know of it."""
        context, run = self.context, self.run
        context.out_of_time = context.out_of_time or run.out_of_time
        answer = run.answer
        failed = self.error is not None or self.aborted
        cut = answer.finish == "content_filter"
        returnable = not failed and not cut and says_something(answer)
        return _seen(
            signals=None if failed else {**context.signals, **self._measured},
            returnable=returnable,
            filtered=cut or isinstance(self.error, Filtered),
            presentable=self.commits or (returnable and presentable(answer, context.request)),
            early=self.tell(),
            failure=self.error.kind if self.error else None,
            committed=run.committed,
            aborted=self.aborted,
            elapsed_s=context.elapsed_s(),
            spent_usd=context.so_far.spent,
            day_left_usd=context.day_left(),
        )
