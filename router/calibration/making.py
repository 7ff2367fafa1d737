"""Labels made on the spot: the device drafts, the strong tier answers or a judge decides, and each
finished row goes into the work file at once, so that a kill loses at most the one under way.

Every call is a request of the router's own: guards hold, and the ledger books it (tag
`calibration`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import Clock
from ..confidence.statefield import written
from ..errors import Forbidden, LimitReached, NoAnswer, RouterError
from ..hops import Outcome
from ..types import Chunk, Message, Request, TokenStat
from .judging import VERDICT_TOKENS, question_of, verdict_of
from .labelled import key_of
from .plan import BYTES_PER_TOKEN, Most
from .prompts import Prompt
from .workfile import WorkFile
from .workline import by_name, compared, done_keys, finish, of_tier, spent, told

if TYPE_CHECKING:
    from ..layerstate import LayerState

WAIT_S = 5.0
"""Seconds between two looks at whether the machine is idle."""
_GIVE_UP = 5
"""Failures in a row after which the rest is left for another time."""


class Street(Protocol):
    """What runs a request; see `compose.Router`."""

    def run(
        self, request: Request, policy: str | None, decision_id: str | None = None
    ) -> AsyncGenerator[Chunk | Outcome, None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who does what.

    Attributes:
        device: The target that drafts; `device_tokens` the most it writes; `drafted_by` its model
            and build, which each row keeps.
        strong: The target whose answer a draft is compared with, `strong_tier` what it serves.
            None: there is a judge.
        judge: The target that says yes or no. None: answers are compared.
        beside: Targets whose answers are compared too, by the tier that a label names.
    """

    device: str
    device_tokens: int
    drafted_by: str = ""
    strong: str | None = None
    strong_tier: str | None = None
    judge: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Where to stop. `usd` counts what the work file has cost already; no call is made whose worst
    case might go over it, a retry no more than a first one."""

    usd: Decimal
    seconds: float


@dataclass(slots=True)
class Work:
    """What came of it.

    Attributes:
        made: Rows written by this run.
        spent_usd: By the whole work file and this run, every call that failed and was made again
            included; one whose cost isn't known at its worst.
        failed: Prompts without a row, by the reason.
        unnamed: Rows without one of the tiers that were asked beside the strong one, by the tier
            and the reason.
        stopped: Why it ended before the last prompt. None: it didn't.
    """

    made: int
    spent_usd: Decimal
    failed: Counter[str]
    stopped: str | None = None
    unnamed: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Bill:
    """What one row costs, call by call, those that failed and were made again included.

    Attributes:
        left_usd: Most it may cost.
        worst_usd: Of one call of whoever is asked now: what counts for one whose cost nobody can
            tell.
    """

    left_usd: Decimal
    worst_usd: Decimal
    spent_usd: Decimal = Decimal(0)

    @property
    def may_spend(self) -> Decimal:
        return max(Decimal(0), self.left_usd - self.spent_usd)

    def book(self, outcome: Outcome | None) -> None:
        """Add the calls of one request. None: nobody knows of any, so one at its worst."""
        costs: list[Decimal | None] = [None]
        if outcome is not None:
            costs = [attempt.cost_usd for hop in outcome.hops for attempt in hop.attempts]
        for cost in costs:
            self.spent_usd += self.worst_usd if cost is None else cost


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    tokens: tuple[TokenStat, ...]
    outcome: Outcome
    state: LayerState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes rows.

    Attributes:
        worst: Most dollars of a prompt.
        idle: Whether the machine has nothing else to do. None: it is not asked.
    """

    street: Street
    cast: Cast
    file: WorkFile
    clock: Clock
    caps: Caps
    worst: Callable[[Prompt], Most]
    idle: Callable[[], Awaitable[bool]] | None = None

    async def make(
        self, prompts: Sequence[Prompt], tell: Callable[[int], None] = lambda _: None
    ) -> Work:
        """A row for each prompt that has none yet, in order; those that failed before come last, or
        a few that always fail would keep all others from their turn.

        Args:
            tell: Called after each with how many there are.
        """
        rows = self.file.rows()
        done = done_keys(rows)
        work = Work(0, spent(rows), Counter())
        began, broken = self.clock.now(), 0
        failed = {key_of(row["failed"]) for row in rows if isinstance(row.get("failed"), str)}
        for prompt in sorted(prompts, key=lambda one: one.key in failed):
            if prompt.key in done:
                continue
            await self._wait(began)
            most = self.worst(prompt)
            worst = most.usd or Decimal(0)
            if work.spent_usd + worst > self.caps.usd:
                work.stopped = f"the next prompt could cost more than ${self.caps.usd} in all"
            elif self.clock.now() - began >= self.caps.seconds:
                work.stopped = f"{self.caps.seconds / 3600:g} hours are over"
            elif broken >= _GIVE_UP:
                work.stopped = f"{_GIVE_UP} prompts in a row failed"
            if work.stopped is not None:
                break
            bill = _Bill(self.caps.usd - work.spent_usd, most.draft or Decimal(0))
            try:
                row = await self._row(prompt, bill, most, work)
            except (LimitReached, NoAnswer, Forbidden) as error:
                bill.book(error.outcome)
                work.failed[_kind(error)] += 1
                work.spent_usd += bill.spent_usd
                guarded = isinstance(error, Forbidden)
                broken += not guarded
                if bill.spent_usd or not guarded:
                    self._failed(prompt, bill.spent_usd)
                continue
            except BaseException:
                # Stopped in the middle: what is under way may be billed all the same.
                if worst:
                    self._failed(prompt, bill.spent_usd + worst)
                raise
            broken = 0
            work.spent_usd += bill.spent_usd
            self.file.add(row)
            done.add(prompt.key)
            work.made += 1
            tell(len(done))
        return work

    async def _wait(self, began: float) -> None:
        """Until the machine is idle, or the time is over."""
        while self.idle is not None and not await self.idle():
            if self.clock.now() - began >= self.caps.seconds:
                return
            await self.clock.sleep(WAIT_S)

    def _failed(self, prompt: Prompt, usd: Decimal) -> None:
        """Kept too, or each new run would begin with a cap that is whole again."""
        self.file.add({"failed": prompt.text, "spent_usd": str(usd)})

    async def _row(self, prompt: Prompt, bill: _Bill, most: Most, work: Work) -> dict[str, Any]:
        began = self.clock.now()
        asked = (Message(role="user", content=prompt.text),)
        draft = await self._ask(asked, self.cast.device, "draft", prompt, bill)
        row: dict[str, Any] = {
            "prompt": prompt.text,
            "draft": draft.text,
            "drafted_by": self.cast.drafted_by,
            **told(draft.tokens),
            "finish": finish(draft.outcome),
        }
        if draft.state is not None:
            row["state"] = written(draft.state)
        if prompt.task is not None:
            row["task"] = prompt.task
        if prompt.language is not None:
            row["language"] = prompt.language
        bill.worst_usd = most.other or Decimal(0)
        if self.cast.judge is not None:
            shown_bytes = BYTES_PER_TOKEN * self.cast.device_tokens
            shown = draft.text.encode()[:shown_bytes].decode(errors="ignore")
            question = question_of(prompt.text, shown)
            said = await self._ask(question, self.cast.judge, "judge", prompt, bill, VERDICT_TOKENS)
            row |= {"right": verdict_of(said.text), "strong_right": None, "cost": None}
            row["judge"] = f"{self.cast.judge} said {said.text.strip()[:40]!r}"
        elif self.cast.strong is not None:
            said = await self._ask(asked, self.cast.strong, "strong", prompt, bill)
            row |= compared(prompt, draft.text, said.text, self.cast.strong)
            row["strong"] = said.text
            usd = said.outcome.cost_usd
            row["cost"] = None if usd is None else float(usd)
            row |= by_name(self.cast.strong_tier, prompt, row)
            for tier, target in self.cast.beside.items():
                bill.worst_usd = most.beside.get(tier) or Decimal(0)
                try:
                    other = await self._ask(asked, target, "tier", prompt, bill)
                except (LimitReached, NoAnswer, Forbidden) as error:
                    # What is known of the others stays a label; this tier is not named in it.
                    bill.book(error.outcome)
                    work.unnamed[f"{tier}: {_kind(error)}"] += 1
                    continue
                found = of_tier(prompt, other.text, said.text, other.outcome)
                row.setdefault("tiers", {})[tier] = found
        row["spent_usd"] = str(bill.spent_usd)
        row["seconds"] = round(self.clock.now() - began, 3)
        return row

    async def _ask(
        self,
        messages: tuple[Message, ...],
        target: str,
        part: str,
        prompt: Prompt,
        bill: _Bill,
        cap: int | None = None,
    ) -> _Said:
        """One call of one target, made again as the config has it while the dollars last."""
        request = Request(
            messages=messages,
            target=target,
            label=prompt.label,
            max_output_tokens=cap,
            tags={"calibration": part},
            cost_usd=bill.may_spend,
            whole=True,
        )
        text: list[str] = []
        tokens: list[TokenStat] = []
        outcome: Outcome | None = None
        state: LayerState | None = None
        async with aclosing(self.street.run(request, None)) as items:
            async for item in items:
                if isinstance(item, Chunk):
                    text.append(item.text)
                    tokens.extend(item.tokens)
                    state = item.state or state
                else:
                    outcome = item
        assert outcome is not None  # a run ends with one, or raises
        bill.book(outcome)
        return _Said("".join(text), tuple(tokens), outcome, state)


def _kind(error: RouterError) -> str:
    group = error.__cause__
    if isinstance(group, BaseExceptionGroup):
        kinds = {type(cause).__name__ for cause in group.exceptions}
        return f"{type(error).__name__} ({', '.join(sorted(kinds))})"
    return type(error).__name__
