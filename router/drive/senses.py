"""What a request's signals are read from, beside its own text: device, machine, money, time, tiers.

Each is read at most once a request, and only if somebody asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..clock import Clock
from ..errors import HopError
from ..hops import Attempt, Outcome
from ..money import EXACT
from ..policy.rules import CALIBRATED, Policy
from ..signals import prompt_bound, request_signals
from ..signals.catalogue import AtMost, Value
from ..signals.language import load as load_detector
from ..signals.schemas import load as load_checker
from ..types import Completion, Label, Message, Need, Request, ToolCall
from ..world.machine import Machine
from .breaker import Breakers
from .chances import Chances
from .live import Live
from .network import Network
from .purse import Purse
from .speeds import Speeds
from .toolloops import ToolLoops
from .wanted import Wanted

if TYPE_CHECKING:
    from ..device.predict import Forecast
    from ..device.wire import Healthy
    from .measured import Confides

LEAST_ANSWER = 128
"""Tokens of room a prompt has to leave for an answer, if not fewer are asked for."""
SILENT_S, SILENT_TIMES = 1.0, 3.0
"""A target that said nothing until the request's deadline failed, if that was at least so many
seconds, and so many times what its first token usually takes. Else a deadline below `timeout_s`
would hide for ever that it hangs, and every request would wait for it."""
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_STATES = ("closed", "half_open", "open")
_NOTHING: Mapping[str, Value] = {}
_CHECKED: frozenset[Need] = frozenset(("json", "tools"))


class Foresees(Protocol):
    """Asks a device for its forecast: a prompt of so many tokens (None: not counted), an answer of
    `cap` at most, whose request it is, and the seconds there are (None: any time will do)."""

    async def __call__(
        self, *, input_tokens: int | None, cap: int, tenant: str, within_s: float | None
    ) -> Forecast | None: ...


@dataclass(frozen=True, slots=True)
class DeviceSense:
    """What can be asked of the device without a call.

    Attributes:
        live: Its target.
        count: Its own count of a prompt. Gives None while its tokenizer is not loaded.
        health: How its worker is. Gives None while none is up.
        forecast: When an answer would begin and end. Gives None where there is no model.
        context_limit: Tokens its model takes. Gives None while that is not known.
    """

    live: Live
    count: Callable[[tuple[Message, ...]], Awaitable[int | None]]
    health: Callable[[], Awaitable[Healthy | None]]
    context_limit: Callable[[], Awaitable[int | None]]
    forecast: Foresees


@dataclass(slots=True)
class Senses:
    """What one router has seen and can see. Shared by all its requests.

    Attributes:
        confidence: Who knows how far drafts can be trusted. None: no calibration is configured.
        checks: What checks JSON against a schema has been loaded.
        states: Targets whose drafts show a layer's state, whoever reads it.
    """

    clock: Clock
    targets: Mapping[str, Live]
    device: DeviceSense | None
    machine: Machine
    speeds: Speeds
    purse: Purse
    breakers: Breakers
    chances: Chances
    loops: ToolLoops = field(default_factory=ToolLoops)
    network: Network | None = None
    confidence: Confides | None = None
    states: frozenset[str] = frozenset()
    detector: asyncio.Future[None] | None = None
    checks: bool = False

    async def read(
        self, request: Request, policy: Policy, label: Label, wanted: Wanted
    ) -> dict[str, Value]:
        """The wanted signals of a request, those of drafts left out. None: unknown."""
        self.begin_detector(wanted)
        if self.detector is not None and "prompt.language" in wanted.names:
            await asyncio.shield(self.detector)
        given: dict[str, Value] = {}
        if wanted.tokens:
            given["prompt.tokens"] = await self._tokens(request)
        if wanted.device:
            given |= await self._device(request, policy, wanted, given)
        return self.at_once(request, policy, label, wanted, given)

    def at_once(
        self,
        request: Request,
        policy: Policy,
        label: Label,
        wanted: Wanted,
        given: Mapping[str, Value] = _NOTHING,
    ) -> dict[str, Value]:
        """The same where nothing that is wanted has to be waited for.

        Args:
            given: What is known already.
        """
        self.begin_detector(wanted)
        found = request_signals(request, label, wanted.of_text, given)
        if "request.max_output_tokens" in wanted.names:
            found["request.max_output_tokens"] = self._cap(request)
        if "prompt.escalation_chance" in wanted.names:
            score = found.get("complexity.score")
            found["prompt.escalation_chance"] = (
                self.chances.chance(policy.revision, score) if isinstance(score, float) else None
            )
        if wanted.money:
            found |= self._money(policy)
        if wanted.time:
            found |= self._time()
        if wanted.tiers:
            found |= self._tiers(wanted.tiers)
        found[CALIBRATED] = self.confidence is not None
        return {name: found.get(name) for name in wanted.of_request}

    def saw(
        self,
        target: str,
        attempts: Sequence[Attempt],
        *,
        cold: bool,
        out_of_time: bool,
        overtaken: bool = False,
        hedged: bool = False,
    ) -> None:
        """Learn from the attempts of a hop.

        Args:
            cold: The device had to be started for it, which says nothing of its speed.
            out_of_time: The request's own deadline ended the last one, which says nothing
                against the target, unless that was silent for longer than it ever is.
            overtaken: The last one was stopped because another hop was first.
            hedged: That other was asked because this one was late. If it had not said a word by
                then, it failed: else a hedge would hide a target that hangs.
        """
        for attempt in attempts:
            if not cold and attempt.reached:
                lost = overtaken and attempt is attempts[-1]
                self.speeds.saw(target, attempt, overtaken=lost)
            last = attempt is attempts[-1]
            if last and overtaken and hedged and attempt.reached and attempt.ttft_s is None:
                self.breakers.saw(target, "timed_out")
            elif not (out_of_time and last) or (not cold and self._silent(target, attempt)):
                self.breakers.saw(target, attempt.error_kind, attempt.error_code)

    def _silent(self, target: str, attempt: Attempt) -> bool:
        """Whether it said nothing for so long that the target, not the deadline, is to blame."""
        usual = self.speeds.first_token_s(target, None) or 0.0
        waited = max(SILENT_S, SILENT_TIMES * usual)
        return attempt.ttft_s is None and attempt.reached and attempt.total_s >= waited

    def answered(
        self,
        request: Request,
        policy: Policy,
        outcome: Outcome,
        calls: tuple[ToolCall, ...],
        *,
        kept: bool,
    ) -> None:
        """Remember what an answered request says of later ones.

        Args:
            calls: Tools that the answer asks to be called.
            kept: The first draft met every requirement.
        """
        first, score = outcome.hops[0], outcome.signals.get("complexity.score")
        if calls and outcome.answered_by is not None:
            self.loops.remember(calls, request.tenant, outcome.hops[outcome.answered_by].target)
        drafted = first.cause == "start" and first.tier == policy.tiers[0]
        ended = first.status in ("answered", "deferred")  # of one that was stopped nobody knows
        if drafted and ended and isinstance(score, float):
            self.chances.saw(policy.revision, score, kept=kept)

    def begin_detector(self, wanted: Wanted) -> None:
        """Begin to load the language detector, once, if somebody asks for a language."""
        if wanted.languages and self.detector is None:
            loop = asyncio.get_running_loop()
            self.detector = loop.run_in_executor(None, load_detector)

    def is_ready(self, needs: frozenset[Need]) -> bool:
        """Whether `ready` has nothing to wait for, of a request with these needs."""
        loaded = self.detector is None or self.detector.done()
        return loaded and (self.checks or not needs & _CHECKED)

    async def ready(self, request: Request, draft: Completion) -> None:
        """Wait until the signals of a draft can be computed without holding up the event loop."""
        if self.detector is not None:
            await asyncio.shield(self.detector)
        if not self.checks and request.needs & _CHECKED:
            loading = asyncio.get_running_loop().run_in_executor(None, self._load_checks)
            # A draft that calls no tool is held against no tool's schema: it need not wait.
            if draft.tool_calls or "json" in request.needs:
                await loading

    def _load_checks(self) -> None:
        load_checker()
        self.checks = True

    async def _tokens(self, request: Request) -> Value:
        if "images" in request.needs:  # neither count nor bound knows what a picture takes
            return None
        bound = prompt_bound(request.messages, request.tools, request.json_schema)
        if request.needs or self.device is None:  # the device counts messages alone
            return bound
        try:
            count = await self.device.count(request.messages)
        except HopError:
            count = None
        return bound if count is None else count

    def _cap(self, request: Request) -> int | None:
        if request.max_output_tokens is not None:
            return request.max_output_tokens
        return self.device.live.target.max_output_tokens if self.device else None

    async def _device(
        self, request: Request, policy: Policy, wanted: Wanted, given: Mapping[str, Value]
    ) -> dict[str, Value]:
        values: dict[str, Value] = {}
        if wanted.machine:
            values |= await self._machine()
        if self.device is None:
            return values | {"device.loaded": False}
        device, tokens = self.device, given.get("prompt.tokens")
        abilities = device.live.abilities
        values["device.sees_images"] = "images" in abilities
        values["device.calls_tools"] = "tools" in abilities
        if "device.fits" in wanted.names:
            values["device.fits"] = await self._fits(request, tokens)
        if wanted.health:
            values |= await self._health(request, policy, tokens)
        return values

    async def _machine(self) -> dict[str, Value]:
        facts = self.machine.fresh()
        if facts is None:
            facts = await asyncio.to_thread(self.machine.read)
        online = None if self.network is None else self.network.online
        return {
            "device.battery": facts.battery,
            "device.on_mains": facts.on_mains,
            "device.metered": facts.metered,
            "device.temperature_c": facts.temperature_c,
            "device.throttled": facts.throttled,
            "world.online": facts.online if online is None else online,
        }

    async def _fits(self, request: Request, tokens: Value) -> bool | None:
        limit = await self.device.context_limit() if self.device else None
        if limit is None:
            return None
        asked = request.max_output_tokens
        room = limit - (LEAST_ANSWER if asked is None else min(asked, LEAST_ANSWER))
        if isinstance(tokens, AtMost):
            return True if tokens.bound <= room else None
        return tokens <= room if isinstance(tokens, int) else None

    async def _health(self, request: Request, policy: Policy, tokens: Value) -> dict[str, Value]:
        assert self.device is not None
        deadline = policy.limits.tightened(request.deadline_s, None).deadline_s
        known = tokens if isinstance(tokens, int) else None
        cap = self._cap(request) or self.device.live.target.max_output_tokens
        try:
            found = await self.device.forecast(
                input_tokens=known, cap=cap, tenant=request.tenant, within_s=deadline
            )
        except HopError:
            found = None
        end_s = None if found is None else found.end_s
        return {
            "device.loaded": found is not None and found.loaded,
            "device.queue": 0 if found is None else found.queue,
            "device.first_token_s": None if found is None else found.first_token_s,
            "device.end_s": end_s,
            "device.in_time": True
            if deadline is None
            else None
            if end_s is None
            else end_s <= deadline,
        }

    def _money(self, policy: Policy) -> dict[str, Value]:
        spent, day = self.purse.spent_usd(), policy.limits.day_usd
        if not self.purse.complete:  # an unknown cost is no zero
            return {}
        values: dict[str, Value] = {"world.spent_today_usd": float(spent)}
        if day is None:
            return values | {"world.left_today_usd": 1_000_000.0, "world.budget_used": 0.0}
        used = 1.0 if day == 0 else min(1.0, float(EXACT.divide(spent, day)))
        return values | {
            "world.left_today_usd": max(0.0, float(EXACT.subtract(day, spent))),
            "world.budget_used": used,
        }

    def _time(self) -> dict[str, Value]:
        now = time.localtime(self.clock.wall())
        hour = now.tm_hour + now.tm_min / 60 + now.tm_sec / 3600
        return {"world.hour": hour, "world.weekday": _DAYS[now.tm_wday]}

    def _tiers(self, tiers: Sequence[str]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for tier in tiers:
            served = [n for n, live in self.targets.items() if live.target.tier == tier]
            states = [self.breakers.state(name) for name in served]
            able = [n for n, state in zip(served, states, strict=True) if state != "open"]
            values[f"tier.{tier}.breaker"] = min(states, key=_STATES.index) if states else None
            values[f"tier.{tier}.first_token_s"] = _least(
                [self.speeds.first_token_s(name, None) for name in able]
            )
            values[f"tier.{tier}.end_s"] = _least([self.speeds.end_s(name, None) for name in able])
        return values


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
