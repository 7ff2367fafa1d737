"""Opinions of a whole draft: more samples, a second model, a self-check; before it is judged.

Further work of this device within the request's time, bought only where it can decide whether the
draft is kept. What comes of it are signals of the draft.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from ..cascade import Call, Seen
from ..clock import Deadline
from ..errors import HopError
from ..money import EXACT
from ..ondevice import OnDevice
from ..policy.decide import open_opinions
from ..policy.opinions import LEAST_PARAMETERS, P_TRUE, SAMPLES, SECOND, Opinions
from ..policy.trace import Note
from ..types import Ask
from .context import Context
from .hearing import Hearing, Part
from .lanes import Lanes
from .live import Live
from .questions import sample, self_check, signals_of
from .rungs import cap, dearest, worst_case_of
from .underway import UnderWay

ROOM = 16
"""Tokens a sample may have beyond half as many again as the draft; a second model, twice that."""
_QUESTION_TOKENS = 40
"""About what the self-check has to read beside the draft."""


async def heard(context: Context, hop: UnderWay | Lanes, call: Call, seen: Seen) -> Seen:
    """What was seen of a draft, with the opinions that decide whether it is kept.

    Nothing is asked for a draft that was shown, says nothing, or whose fate no opinion would
    change; nor where another hop ran beside it, which has the next index.

    Raises:
        LedgerError: a call could not be booked, so it was not made.
    """
    rule, draft = call.opinions, hop if isinstance(hop, UnderWay) else hop.ended
    if rule is None or draft is None or seen.signals is None or not seen.askable:
        return seen
    wanted = open_opinions(context.policy, call.tier, seen.signals) & rule.gives
    if not wanted:
        return seen
    context.trace.extend(seen.early)  # what was said of its beginning stands before
    if seen.rivaled:  # whose dollars are part of what was seen
        context.trace.append(Note("no opinion is asked for where another hop ran beside it"))
        draft.learn(dict.fromkeys(sorted(wanted)))
        return replace(seen, early=())
    plan = _Plan(context, rule, call, draft)
    parts = await plan.parts(wanted)
    said = await Hearing(context, call.hop + 1, plan.until).of(parts)
    found = signals_of(draft.run.answer, said, wanted)
    draft.learn(found)
    return replace(
        seen,
        signals={**seen.signals, **found},
        early=(),
        aside=len(parts),
        elapsed_s=context.elapsed_s(),
        spent_usd=context.so_far.spent,
        day_left_usd=context.day_left(),
    )


class _Plan:
    """Who is asked what about one draft, as far as time, dollars and the models let it.

    Attributes:
        until: When it is over: by the rule, or with the request.
    """

    def __init__(self, context: Context, rule: Opinions, call: Call, draft: UnderWay) -> None:
        self._context = context
        self._rule = rule
        self._call = call
        self._live = draft.live
        self._ask: Ask = draft.run.ask
        self._answer = draft.run.answer
        counted = self._answer.usage.output_tokens or len(self._answer.tokens)
        self._written = counted or cap(draft.live, context.request)
        own, whole = Deadline.after(rule.max_s, context.home.clock.now()), context.deadline
        self._planned_s = 0.0
        self._planned_usd = Decimal(0)
        nearer = own.at is not None and (whole.at is None or own.at < whole.at)
        self.until = own if nearer else whole

    async def parts(self, wanted: frozenset[str]) -> list[Part]:
        """What each target is asked; empty where nothing can be."""
        if not self._live.here:
            self._note(f"{self._call.target} is not on this device, so it is not asked again")
            return []
        found: list[Part] = []
        said, asks = await self._of_its_own(wanted)
        if asks:
            found.append(Part(self._live, f"{said} about {self._named}", asks))
        if self._rule.second and wanted - {P_TRUE, SAMPLES}:
            other = await self._other()
            if other is not None:
                most = 2 * (self._written + self._written // 2 + ROOM)
                fewer = min(cap(other, self._context.request), most)
                ask = replace(self._ask, max_output_tokens=fewer, logprobs=None, states=False)
                because = f"a second answer beside {self._named}"
                found.append(Part(other, because, [(SECOND, ask)]))
        return [part for part in found if self._is_paid(part)]

    @property
    def _named(self) -> str:
        return f"hop {self._call.hop + 1}'s draft"

    async def _of_its_own(self, wanted: frozenset[str]) -> tuple[str, list[tuple[str, Ask]]]:
        """What the draft's own target is asked, and the same in words."""
        rule, live, words = self._rule, self._live, []
        asks: list[tuple[str, Ask]] = []
        if rule.samples and wanted - {P_TRUE, SECOND}:
            most = min(self._ask.max_output_tokens, self._written + self._written // 2 + ROOM)
            # The prompt has been read for the draft.
            many = await self._fitting(live, rule.samples, 1, self._written, "samples")
            for number in range(1, many + 1):
                asks.append((SAMPLES, sample(self._ask, number, rule.temperature, most)))
            words += [f"{many} {'sample' if many == 1 else 'samples'}"] if many else []
        if P_TRUE in wanted and self._answer.text.strip() and self._may_check():
            unread = self._written + _QUESTION_TOKENS
            if await self._fitting(live, 1, unread, 1, "self-checks"):
                asks.append((P_TRUE, self_check(self._ask, self._answer.text)))
                words.append("a self-check")
        return " and ".join(words), asks

    async def _other(self) -> Live | None:
        """The target that gives a second answer. None: there is none, or no time for it."""
        needs, tier = self._context.needs, self._call.tier
        tried = {left.call.target for left in self._context.so_far.hops.values()}
        for live in self._context.home.targets.values():
            name = live.target.name
            if live.target.tier == tier and name != self._call.target and live.here:
                if name in tried or not needs <= live.abilities:
                    continue
                what = f"answers of {name}"
                return live if await self._fitting(live, 1, None, self._written, what) else None
        self._note(f"no other target of {tier} on this device can give a second answer")
        return None

    def _may_check(self) -> bool:
        """Whether the draft's model is large enough to be asked if its draft is right."""
        if self._rule.p_true == "always":
            return True
        tell = getattr(self._live.provider, "parameters", None)
        known = None if tell is None else tell()
        if known is not None and known >= LEAST_PARAMETERS:
            return True
        has = "an unknown number of" if known is None else f"about {known / 1e9:.2g} billion"
        self._note(
            f"{self._call.target} is not asked whether its draft is right: its model has {has} "
            f"parameters, and below {LEAST_PARAMETERS / 1e9:g} billion that says nothing"
        )
        return False

    async def _fitting(
        self, live: Live, many: int, unread: int | None, tokens: int, what: str
    ) -> int:
        """How many calls are sure to fit the time: as if each ran after all that came before.

        Args:
            unread: Tokens of the prompt that have to be read. None: as many as usual.
            tokens: About what each will write.
        """
        left_s = self.until.left_s(self._context.home.clock.now())
        if left_s is None:
            return many
        left_s = max(0.0, left_s - self._planned_s)
        if left_s == 0:
            self._note(f"0 of {many} {what} are asked for: no time is left")
            return 0
        one_s = await self._expected_s(live, unread, tokens, left_s)
        if one_s is None:
            self._note(f"{live.target.name}: its speed is not known, so the time lets it pass")
            return many
        fit = many if one_s * many <= left_s else int(left_s / one_s)
        self._planned_s += fit * one_s
        if fit < many:
            each = f"one takes about {one_s:.2f} s, {left_s:.2f} s are left"
            self._note(f"{fit} of {many} {what} are asked for: {each}")
        return fit

    async def _expected_s(
        self, live: Live, unread: int | None, tokens: int, left_s: float
    ) -> float | None:
        """Seconds that one call takes, as the device foretells them. None: not known."""
        provider, tenant = live.provider, self._context.request.tenant
        if not isinstance(provider, OnDevice):
            return self._context.home.senses.speeds.end_s(live.target.name, None)
        try:
            async with asyncio.timeout(left_s):
                found = await provider.forecast(
                    input_tokens=unread, cap=tokens, tenant=tenant, within_s=left_s
                )
        except (HopError, TimeoutError):
            return None
        return None if found is None else found.end_s

    def _is_paid(self, part: Part) -> bool:
        """Whether the limits of dollars leave room for it at its worst."""
        context, day = self._context, self._context.day_left()
        worst: Decimal | None = Decimal(0)
        for _, ask in part.asks:
            worst = dearest(worst, worst_case_of(ask, part.live))
        part.worst_usd = worst
        bounds = [] if day is None else [day]
        if context.limits.cost_usd is not None:
            bounds.append(EXACT.subtract(context.limits.cost_usd, context.so_far.spent))
        bounds = [EXACT.subtract(bound, self._planned_usd) for bound in bounds]
        if not bounds or (worst is None and part.live.unpriced):
            return True
        whole = None if worst is None else EXACT.multiply(worst, Decimal(len(part.asks)))
        if whole is not None and whole <= min(bounds):
            self._planned_usd = EXACT.add(self._planned_usd, whole)
            return True
        usd = "no price is known" if whole is None else f"it may cost ${whole}"
        self._note(f"{part.because}: not asked for, as {usd} and ${min(bounds)} is left")
        return False

    def _note(self, text: str) -> None:
        self._context.trace.append(Note(f"opinions: {text}"))
