"""The device beside its peers, with the same weights: first token, decode, several at once, memory.

Peers that can't be had are left out, with the reason. All take turns in an order that rotates.
Prompts begin with a mark, so that nobody has read one before; for the shared prefix two
conversations with one system text follow each other, and what counts is the second's first token
over the first's.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bare_loop import bare
from device_process import FILLER, filler_of, in_turns, interval, said
from llama_peer import from_build, from_wheel
from peer import Burst, Child, Messages, Ours, Peer, Run

from router.device.engine import EngineOptions
from router.types import Message

TOGETHER = (1, 2, 4, 8)
SUBJECTS = ("a lighthouse", "an old dog", "the sea", "a lost key", "two sisters", "a train", "rain")
PREFIX_TOKENS = 400
PROMPT_TOKENS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which peers, and how much of each.

    Attributes:
        threads: As in `options`, where it may be left to the runtime.
        gguf: The file the weights came from. None: no llama.cpp and no Transformers.
        build: Folder of a build of llama.cpp. None: without.
        transformers: A Python that has torch and transformers. None: without.
        pairs: Rounds of decode beside the bare loop alone.
    """

    options: EngineOptions
    threads: int
    gguf: Path | None
    build: Path | None
    transformers: str | None
    rounds: int
    pairs: int
    tokens: int


@asynccontextmanager
async def peers(
    wanted: Wanted, ours: Ours
) -> AsyncIterator[tuple[dict[str, Peer], dict[str, str]]]:
    """All that can be had, and why the others can't."""
    threads, spinning = wanted.threads, wanted.options.spinning
    found: dict[str, Peer] = {"ours": ours}
    missing: dict[str, str] = {}

    async def add(name: str, given: object, why: str, make: Callable[[], Awaitable[Peer]]) -> None:
        if given is None or wanted.gguf is None:
            missing[name] = why if wanted.gguf is not None else "no --gguf"
            return
        try:
            found[name] = await make()
        except (OSError, EOFError) as exc:
            missing[name] = str(exc)
        else:
            stack.push_async_callback(found[name].aclose)

    async def transformers() -> Peer:
        script = str(Path(__file__).with_name("transformers_loop.py"))
        return Child([str(wanted.transformers), script, str(wanted.gguf), str(threads)])

    async with AsyncExitStack() as stack:
        found["bare"] = bare(wanted.options)
        stack.push_async_callback(found["bare"].aclose)
        gguf = wanted.gguf or Path()
        build = wanted.build or Path()
        await add("llama_wheel", True, "", lambda: from_wheel(gguf, threads, spinning))
        await add(
            "llama_source",
            wanted.build,
            "no --llama-build",
            lambda: from_build(build, gguf, threads, spinning),
        )
        await add("transformers", wanted.transformers, "no --transformers", transformers)
        yield found, missing


async def compare(wanted: Wanted, ours: Ours) -> dict[str, Any]:
    """The figures, by peer, and the ratios that are promised."""
    async with peers(wanted, ours) as (found, missing):
        for name, why in missing.items():
            print(f"without {name}: {why}", file=sys.stderr)
        for peer in found.values():
            await peer.answer(said("Warm up."), 4)
        prompt = await filler_of(ours, PROMPT_TOKENS)
        alone = await decode_alone(wanted, ours)
        single = await _single(wanted, found, prompt)
        prefix = await _prefix(wanted, found, await _system(ours))
        bursts = {n: await _together(wanted, found, n) for n in TOGETHER}
        figures = {
            name: {
                "decode_tokens_per_s": statistics.median(r[name][0].tokens_per_s for r in single),
                "first_token_ms": statistics.median(r[name][1].ttft_s for r in single) * 1e3,
                "second_over_first": statistics.median(prefix[name]),
                "together": {str(n): _shown([r[name] for r in bursts[n]]) for n in TOGETHER},
                "peak_bytes": await peer.peak_bytes(),
            }
            for name, peer in found.items()
        }
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "prefix_tokens": PREFIX_TOKENS,
        "peers": figures,
        "without": missing,
        "ratios": _ratios(single, bursts, prefix, found) | {"decode_over_bare": alone},
    }


async def decode_alone(wanted: Wanted, ours: Ours) -> dict[str, Any]:
    """Ours over the bare loop, each alone, by turns: nothing but decode, so many pairs are had.

    Against the mean of two such loops: where a process happens to have its memory makes two that
    are equal differ by some percent.
    """
    loops = [bare(wanted.options), bare(wanted.options)]

    def runner(peer: Peer) -> Callable[[int], Awaitable[Run]]:
        async def run(n: int) -> Run:
            story = f"{n}. Write a long story about {SUBJECTS[n % len(SUBJECTS)]}."
            return await peer.answer(said(story), wanted.tokens)

        return run

    try:
        for loop in loops:
            await loop.answer(said("Warm up."), 4)
        runners = {"ours": runner(ours), "bare": runner(loops[0]), "again": runner(loops[1])}
        runs = await in_turns(wanted.pairs, runners)
    finally:
        for loop in loops:
            await loop.aclose()
    speeds = [{name: run.tokens_per_s for name, run in one.items()} for one in runs]
    found = _ratio([s["ours"] / statistics.fmean((s["bare"], s["again"])) for s in speeds])
    return found | {
        "pairs": wanted.pairs,
        "tokens_per_s": statistics.median(s["ours"] for s in speeds),
        "again_over_bare": _ratio([s["again"] / s["bare"] for s in speeds]),
    }


async def _single(
    wanted: Wanted, found: dict[str, Peer], prompt: str
) -> list[dict[str, tuple[Run, Run]]]:
    """Decode after a short prompt; and the first token after a long one."""

    def runner(peer: Peer) -> Callable[[int], Awaitable[tuple[Run, Run]]]:
        async def run(n: int) -> tuple[Run, Run]:
            story = said(f"{n}. Write a long story about {SUBJECTS[n % len(SUBJECTS)]}.")
            return await peer.answer(story, wanted.tokens), await peer.answer(
                said(f"Number {n}. {prompt}"), 1
            )

        return run

    return await in_turns(wanted.rounds, {name: runner(peer) for name, peer in found.items()})


async def _together(wanted: Wanted, found: dict[str, Peer], n: int) -> list[dict[str, Burst]]:
    def runner(peer: Peer) -> Callable[[int], Awaitable[Burst]]:
        async def run(turn: int) -> Burst:
            prompts = [
                said(f"{turn}-{n}-{row}. Write a long story about {SUBJECTS[row % len(SUBJECTS)]}.")
                for row in range(n)
            ]
            return await peer.burst(prompts, wanted.tokens)

        return run

    return await in_turns(wanted.rounds, {name: runner(peer) for name, peer in found.items()})


async def _prefix(wanted: Wanted, found: dict[str, Peer], system: str) -> dict[str, list[float]]:
    """Second first token over the first, round by round."""

    def runner(peer: Peer) -> Callable[[int], Awaitable[float]]:
        async def run(n: int) -> float:
            def asked(question: str) -> Messages:
                rule = Message(role="system", content=f"Rules, edition {n}. {system}")
                return rule, *said(question)

            first = await peer.answer(asked("What does the fox do?"), 1)
            second = await peer.answer(asked("Which dog is lazy?"), 1)
            return second.ttft_s / first.ttft_s

        return run

    rounds = await in_turns(wanted.rounds, {name: runner(peer) for name, peer in found.items()})
    return {name: [r[name] for r in rounds] for name in found}


async def _system(ours: Ours) -> str:
    """A system text of that many tokens, with the template around it."""
    return FILLER + await filler_of(ours, PREFIX_TOKENS)


def _shown(bursts: list[Burst]) -> dict[str, float]:
    return {
        "tokens": statistics.median(each.tokens for each in bursts),
        "tokens_per_s": statistics.median(each.tokens / each.seconds for each in bursts),
        "tokens_per_cpu_s": statistics.median(_per_cpu(each) for each in bursts),
    }


def _ratios(
    single: list[dict[str, tuple[Run, Run]]],
    bursts: dict[int, list[dict[str, Burst]]],
    prefix: dict[str, list[float]],
    found: dict[str, Peer],
) -> dict[str, Any]:
    """Ours over each peer, round by round: median and 95 % interval."""
    ratios: dict[str, Any] = {"prefix": _ratio(prefix["ours"])}
    for name in (each for each in found if each != "ours"):
        alone = [r["ours"][0].tokens_per_s / r[name][0].tokens_per_s for r in single]
        ratios[f"decode_over_{name}"] = _ratio(alone)
        for n, rounds in bursts.items():
            pairs = [(r["ours"], r[name]) for r in rounds]
            ratios[f"together_{n}_over_{name}"] = _ratio(
                [(a.tokens / a.seconds) / (b.tokens / b.seconds) for a, b in pairs]
            )
            ratios[f"together_{n}_per_cpu_over_{name}"] = _ratio(
                [_per_cpu(a) / _per_cpu(b) for a, b in pairs]
            )
    return ratios


def _per_cpu(burst: Burst) -> float:
    return burst.tokens / max(burst.cpu_s, 1e-3)


def _ratio(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "interval": interval(values)}
