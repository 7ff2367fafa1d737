"""Runs a model through its worker and holds what comes out to what a first hop needs."""

from __future__ import annotations

import asyncio
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from .. import __version__
from ..device.engine import EngineInfo, EngineOptions, Job
from ..device.link import DeviceLink
from ..device.pace import SMALLEST
from ..device.wire import Done, Token
from ..errors import Incapable
from ..models import Store
from ..types import Message
from .prompts import PROMPTS, SYSTEM
from .report import Acceptance, Check, Figures

ANSWER_TOKENS = 48
FEWEST_RIGHT = 10
"""Of forty: a template or weights that are broken stay below it, small models do not."""
FEWEST_STOPS = 20
CANCEL_S = 0.5
"""On a machine that reads a chunk of the prompt in less; see `cancel_bar_s`."""


@dataclass(slots=True)
class Run:
    """One answer, with what the model's probabilities said."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    done: Done | None = None
    first_s: float = math.nan
    total_s: float = math.nan


async def run(name: str, *, on_line: Callable[[str], None] = lambda _: None) -> Acceptance:
    """Check a model of the store, or a folder, on this machine.

    Raises:
        ModelError: it is not here.
        HopError: the worker can't be started.
    """
    found = Store().find(name)
    options = EngineOptions(folder=str(found.path), context_limit=found.context_limit)
    link = DeviceLink(options)
    try:
        info = await link.start()
        on_line(f"{found.name}: {info.engine} on {info.device}, loaded in {info.load_s:.1f} s")
        trial = _Trial(link, info, on_line)
        await trial.all()
    finally:
        await link.aclose()
    manifest = found.manifest
    return Acceptance(
        model=found.name,
        build=manifest.build if manifest else "folder",
        files={f.path: f.sha256 for f in manifest.files} if manifest else {},
        engine=info.engine,
        device=info.device,
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        firsthop=__version__,
        checks=tuple(trial.checks),
        figures=trial.figures(),
    )


@dataclass(slots=True)
class _Trial:
    """The checks, one after the other, on one worker."""

    link: DeviceLink
    info: EngineInfo
    on_line: Callable[[str], None]
    checks: list[Check] = field(default_factory=list)
    answers: list[Run] = field(default_factory=list)
    right: int = 0
    memory: int | None = None
    long: Run = field(default_factory=Run)

    async def all(self) -> None:
        await self.template()
        await self.prompts()
        self.stops()
        self.probabilities()
        await self.same_again()
        await self.limit()
        await self.speed()
        await self.cancel()

    def check(self, name: str, ok: bool, seen: str) -> None:
        self.checks.append(Check(name, ok, seen))
        self.on_line(f"{'ok  ' if ok else 'FAIL'}  {name:<14} {seen}")

    async def ask(self, messages: tuple[Message, ...], cap: int = ANSWER_TOKENS) -> Run:
        found = Run()
        began = time.perf_counter()
        async with aclosing(self.link.run(Job(messages=messages, max_output_tokens=cap))) as steps:
            async for step in steps:
                if isinstance(step, Done):
                    found.done = step
                else:
                    if not found.tokens:
                        found.first_s = time.perf_counter() - began
                    found.tokens.append(step)
                    found.text += step.text
        found.total_s = time.perf_counter() - began
        health = await self.link.health()
        if health is not None and health.memory_bytes is not None:
            self.memory = max(self.memory or 0, health.memory_bytes)
        return found

    async def template(self) -> None:
        """Every role's text has to arrive: some early templates drop the system turn.

        Long turns are held against short ones, as a template may have a system turn of its own.
        """
        ask = Message(role="user", content="Name three rivers.")
        short = await self.link.count_tokens((Message(role="system", content="Be brief."), ask))
        long = Message(role="system", content="Be brief, and never use more than ten words.")
        ruled = await self.link.count_tokens((long, ask))
        told = Message(role="assistant", content="The Nile, the Amazon and the Danube.")
        talked = await self.link.count_tokens((long, ask, told, ask))
        counts = (short or 0, ruled or 0, talked or 0)
        ok = 0 < counts[0] < counts[1] - 4 and counts[2] > counts[1] + 10
        seen = f"{counts[0]} tokens; a longer system turn {counts[1]}; two more turns {counts[2]}"
        self.check("template", ok, seen)

    async def prompts(self) -> None:
        """The checkable questions, greedily."""
        for prompt in PROMPTS:
            messages = (
                Message(role="system", content=SYSTEM),
                Message(role="user", content=prompt.question),
            )
            answer = await self.ask(messages)
            self.answers.append(answer)
            self.right += prompt.right(answer.text)
        seen = f"{self.right} of {len(PROMPTS)} right, at least {FEWEST_RIGHT} wanted"
        self.check("answers", self.right >= FEWEST_RIGHT, seen)

    def stops(self) -> None:
        """It ends by itself, and no token of the template shows in the text."""
        ended = sum(a.done is not None and a.done.finish == "stop" for a in self.answers)
        leaked = sum("<|" in a.text or "</s>" in a.text for a in self.answers)
        ok = ended >= FEWEST_STOPS and leaked == 0
        seen = (
            f"{ended} of {len(self.answers)} answers ended by themselves within "
            f"{ANSWER_TOKENS} tokens, {leaked} showed a special token"
        )
        self.check("stop tokens", ok, seen)

    def probabilities(self) -> None:
        """Greedy decoding binds them: the chosen token is the likeliest one.

        So its probability is at least the margin to the second, and the distribution's entropy is
        at least the chosen token's surprise (min-entropy is never above Shannon's).
        """
        tokens = [t for a in self.answers for t in a.tokens]
        wrong = sum(not _sane(t) for t in tokens)
        lowest = min((t.logprob for t in tokens), default=math.nan)
        seen = (
            f"{len(tokens)} tokens, {wrong} against the rules, lowest log-probability {lowest:.2f}"
        )
        self.check("probabilities", bool(tokens) and wrong == 0, seen)

    async def same_again(self) -> None:
        """The same question twice gives the same text and the same probabilities."""
        messages = (Message(role="user", content=PROMPTS[0].question),)
        first, second = await self.ask(messages), await self.ask(messages)
        pairs = zip(first.tokens, second.tokens, strict=False)
        drift = max((abs(a.logprob - b.logprob) for a, b in pairs), default=0.0)
        ok = first.text == second.text and drift < 1e-3
        self.check("repeatable", ok, f"same text: {first.text == second.text}, drift {drift:.1e}")

    async def limit(self) -> None:
        """A prompt past the context limit is refused with a reason, not cut or answered."""
        messages = (Message(role="user", content="word " * (self.info.context_limit + 8)),)
        try:
            await self.ask(messages, cap=1)
        except Incapable as error:
            self.check("context limit", True, str(error))
        else:
            self.check("context limit", False, f"{self.info.context_limit} tokens were passed over")

    async def cancel(self) -> None:
        """A caller who leaves while a long prompt is read frees the worker soon."""
        words = min(2000, self.info.context_limit // 2)
        messages = (Message(role="user", content="word " * words),)
        steps = self.link.run(Job(messages=messages, max_output_tokens=64))
        reading = asyncio.ensure_future(anext(steps))
        await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.wait([reading])
        await steps.aclose()
        began = time.perf_counter()
        while (health := await self.link.health()) and health.running:
            pass  # each look is a round trip to the worker, so this does not spin
        took = time.perf_counter() - began
        reading_s = self.long.first_s / self.long.done.input_tokens if self.long.done else 0.0
        bar = cancel_bar_s(reading_s)
        seen = f"free again after {took * 1000:.0f} ms, at most {bar * 1000:.0f} ms wanted"
        self.check("cancel", took <= bar, seen)

    async def speed(self) -> None:
        """A prompt of some 400 tokens; a figure, not a check."""
        text = "The river ran slowly past the old mill and the long row of poplars. " * 26
        self.long = await self.ask(
            (Message(role="user", content=text + "What ran past the mill?"),), cap=16
        )

    def figures(self) -> Figures:
        speeds = [
            (a.done.output_tokens - 1) / a.done.decode_s
            for a in self.answers
            if a.done is not None and a.done.output_tokens > 8 and a.done.decode_s > 0
        ]
        count = self.long.done.input_tokens if self.long.done else 0
        return Figures(
            load_s=self.info.load_s,
            prompt_tokens=count,
            first_token_s=self.long.first_s,
            prefill_tokens_per_s=count / self.long.first_s,
            decode_tokens_per_s=statistics.median(speeds) if speeds else None,
            memory_bytes=self.memory,
            right=self.right,
            asked=len(PROMPTS),
        )


def cancel_bar_s(token_s: float) -> float:
    """Seconds a cancel may take where reading a prompt token takes `token_s`.

    The worker hears nobody while it reads a chunk; a slow machine may need two of the smallest.
    """
    return max(CANCEL_S, 2 * SMALLEST * token_s)


def _sane(token: Token) -> bool:
    slack = 1e-4
    if token.entropy is None or token.margin is None:
        return False
    return (
        math.isfinite(token.logprob)
        and token.logprob <= slack
        and token.entropy >= -token.logprob - slack
        and 0 <= token.margin <= math.exp(token.logprob) + slack
    )
