"""What the worker process costs: the device through it, against the bare loop in the same run.

There are two bare loops: the worker is compared with their mean, and how far the two equal ones are
apart shows what this machine can resolve. All take turns, in an order that rotates, so that what
else happens on the machine hits all; ratios and differences are taken round by round, and their
medians are what counts, with a 95 % interval by bootstrap. Beside it stands what the first token
costs a bare loop that reads the whole prompt at once and can't be cancelled, and what the process
adds, measured directly: the time from asking to the first token, less the time the engine itself
took for it by the worker's own clock.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from peer import Child, Messages, Ours, Run

from router.device import wire
from router.device.engine import Job
from router.device.link import DeviceLink
from router.types import Message

STORY = "Write a long story about a lighthouse, an old dog and the sea."
FILLER = "The quick brown fox jumps over the lazy dog. "
LENGTHS = (300, 900)
WHOLE = 1 << 20
TICK_S = 0.001
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How often each comparison is made, and how long answers are."""

    rounds: int
    reads: int
    tokens: int


class Gaps:
    """The longest time an event loop didn't come round."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self._tick())
        try:
            yield
        finally:
            task.cancel()

    async def _tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last)
            last = now


async def process_costs(
    sizes: Sizes, ours: Ours, bare: Child, control: Child, link: DeviceLink
) -> dict[str, Any]:
    """Decode, first token and gaps; `link` leads to the same worker as `ours`."""
    prompts = [said(STORY), *[said(await filler_of(ours, length)) for length in LENGTHS]]
    decode = await _decode(sizes, ours, bare, control)
    first = [await _first_token(sizes, ours, bare, control, prompt) for prompt in prompts]
    for found, prompt in zip(first, prompts, strict=True):
        found.update(await _added(sizes, link, prompt))
    return {
        "decode": decode,
        "first_token": first,
        "loop_gap": await _gaps(sizes, ours, prompts[-1]),
    }


def said(text: str) -> Messages:
    """A conversation of one turn."""
    return (Message(role="user", content=text),)


async def filler_of(ours: Ours, tokens: int) -> str:
    """A user's text whose whole prompt has at least that many tokens, and few more."""
    words = 1
    while True:
        prompt = FILLER * words
        count = await ours.device.count_tokens(said(prompt))
        assert count is not None, "the worker is up"
        if count >= tokens:
            return prompt
        words += max(1, (tokens - count) // 40)


async def in_turns(
    number: int, runners: dict[str, Callable[[int], Awaitable[_T]]]
) -> list[dict[str, _T]]:
    """Everyone once a round, told its number; who begins changes from round to round."""
    names, rounds = list(runners), []
    for n in range(number):
        turn = n % len(names)
        rounds.append({name: await runners[name](n) for name in names[turn:] + names[:turn]})
    return rounds


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


async def _decode(sizes: Sizes, ours: Ours, bare: Child, control: Child) -> dict[str, Any]:
    story, tokens = said(STORY), sizes.tokens
    rounds = await in_turns(
        sizes.rounds,
        {
            "worker": lambda _: ours.answer(story, tokens),
            "bare": lambda _: bare.answer(story, tokens),
            "control": lambda _: control.answer(story, tokens),
        },
    )
    ratios = [
        r["worker"].tokens_per_s
        / statistics.fmean((r["bare"].tokens_per_s, r["control"].tokens_per_s))
        for r in rounds
    ]
    control_ratios = [r["control"].tokens_per_s / r["bare"].tokens_per_s for r in rounds]
    return {
        "tokens": rounds[0]["worker"].tokens,
        "worker_tokens_per_s": statistics.median(r["worker"].tokens_per_s for r in rounds),
        "bare_tokens_per_s": statistics.median(r["bare"].tokens_per_s for r in rounds),
        "ratio": statistics.median(ratios),
        "ratio_interval": interval(ratios),
        "control_ratio": statistics.median(control_ratios),
        "control_ratio_interval": interval(control_ratios),
        "ratios": ratios,
    }


async def _first_token(
    sizes: Sizes, ours: Ours, bare: Child, control: Child, prompt: Messages
) -> dict[str, Any]:
    """A mark at the start of each prompt makes it one that nobody has read before."""

    def fresh(n: int) -> Messages:
        return said(f"{len(prompt[0].content or '')}-{n}. {prompt[0].content}")

    ms = _ttft_ms(
        await in_turns(
            sizes.reads,
            {
                "worker": lambda n: ours.answer(fresh(n), 1),
                "bare": lambda n: bare.answer(fresh(n), 1),
                "control": lambda n: control.answer(fresh(n), 1),
            },
        )
    )
    whole = _ttft_ms(
        await in_turns(
            sizes.rounds,
            {
                "worker": lambda n: ours.answer(fresh(sizes.reads + n), 1),
                "at_once": lambda n: control.answer(fresh(sizes.reads + n), 1, chunk=WHOLE),
            },
        )
    )
    both = [statistics.fmean(pair) for pair in zip(ms["bare"], ms["control"], strict=True)]
    later = _differences(ms["worker"], both)
    control_later = _differences(ms["control"], ms["bare"])
    than_at_once = _differences(whole["worker"], whole["at_once"])
    return {
        "prompt_tokens": await ours.device.count_tokens(fresh(0)),
        "worker_ms": statistics.median(ms["worker"]),
        "bare_ms": statistics.median(ms["bare"]),
        "bare_at_once_ms": statistics.median(whole["at_once"]),
        "later_ms": statistics.median(later),
        "later_interval_ms": interval(later),
        "control_later_ms": statistics.median(control_later),
        "control_later_interval_ms": interval(control_later),
        "later_than_at_once_ms": statistics.median(than_at_once),
        "later_than_at_once_interval_ms": interval(than_at_once),
        "all_later_ms": later,
    }


def _ttft_ms(rounds: list[dict[str, Run]]) -> dict[str, list[float]]:
    return {who: [r[who].ttft_s * 1e3 for r in rounds] for who in rounds[0]}


async def _added(sizes: Sizes, link: DeviceLink, prompt: Messages) -> dict[str, Any]:
    """What the process adds to the first token: all of the wait but the engine's own part."""
    job = Job(messages=prompt, max_output_tokens=1)
    added = []
    for _ in range(sizes.rounds):
        began, first = time.perf_counter(), 0.0
        async for reply in link.run(job):
            if isinstance(reply, wire.Token):
                first = first or time.perf_counter()
            else:
                added.append((first - began - reply.prefill_s) * 1e3)
    return {"added_ms": statistics.median(added), "added_longest_ms": max(added)}


def _differences(some: list[float], others: list[float]) -> list[float]:
    return [a - b for a, b in zip(some, others, strict=True)]


async def _gaps(sizes: Sizes, ours: Ours, prompt: Messages) -> dict[str, Any]:
    """While a long prompt is read, and, to compare, while nothing happens for as long."""
    longest, idle = [], []
    for n in range(sizes.rounds):
        gaps = Gaps()
        with gaps.watched():
            run = await ours.answer(said(f"gap {n}. {prompt[0].content}"), 1)
        longest.append(gaps.longest_s * 1e3)
        gaps = Gaps()
        with gaps.watched():
            await asyncio.sleep(run.ttft_s)
        idle.append(gaps.longest_s * 1e3)
    return {
        "longest_ms": max(longest),
        "median_ms": statistics.median(longest),
        "idle_longest_ms": max(idle),
        "idle_median_ms": statistics.median(idle),
        "all_ms": longest,
    }
