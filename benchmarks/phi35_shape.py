"""A model of the Phi-3 family through the worker: load, memory, speeds, prefix and the 4,096 rule.

    python benchmarks/phi35_shape.py --model FOLDER --threads 2 --json phi35.json

For Phi-3.5-mini at its real shape, by hand: it needs some 4 GB of memory and some minutes. Random
weights do, speed and memory are those of the shape. What is held: an answer ends so that prompt and
answer together stay within the limit; a prompt that leaves no room is refused at once, whether it
comes at once or a conversation has grown into it; after that the worker answers as before; and with
a shared prefix the second first token comes early.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from common import conditions, parser, write
from peer import Messages, tree_peak_bytes

from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.folder import LONGROPE_SAFE
from router.device.link import DeviceLink
from router.errors import Incapable
from router.models import Store
from router.types import Message

FILLER = "The quick brown fox jumps over the lazy dog. "
SECOND_OVER_FIRST = 0.15
REFUSED_S = 2.0
LEFT = 6
"""Tokens that the longest prompt leaves for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer.

    Attributes:
        ttft_s: From asking to the first token.
        tokens_per_s: Of the tokens after the first. None: fewer than two.
    """

    input_tokens: int
    output_tokens: int
    finish: str
    ttft_s: float
    tokens_per_s: float | None


def main() -> int:
    args = _arguments()
    began_with = conditions("onnxruntime-genai", "onnxruntime")
    figures = asyncio.run(_measure(args, str(Store().find(args.model).path)))
    print(_text(figures))
    write(args.json, began_with, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", required=True, help="a name of the store, or a folder")
    made.add_argument("--threads", type=int, default=2, help="inside one operator")
    made.add_argument("--rounds", type=int, default=3, help="repetitions of what is short")
    made.add_argument("--prompt", type=int, default=256, help="tokens of the prompt")
    made.add_argument("--prefix", type=int, default=400, help="tokens of the shared prefix")
    made.add_argument("--tokens", type=int, default=24, help="of the answer")
    return made.parse_args()


async def _measure(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    link = DeviceLink(EngineOptions(folder=folder, threads=args.threads))
    try:
        began = time.perf_counter()
        info = await link.start()
        start_s = time.perf_counter() - began
        pid = link.worker_pid
        assert pid is not None, "the worker is up"
        short = [await _short(args, link, n) for n in range(args.rounds)]
        peak_short = tree_peak_bytes(pid)
        prefix = [await _prefix(args, link, n) for n in range(args.rounds)]
        limit = await _limit(link, info.context_limit)
        again = statistics.median(prefix)
        figures = {
            "engine": asdict(info),
            "start_s": start_s,
            "prompt_tokens": short[0].input_tokens,
            "first_token_s": statistics.median(each.ttft_s for each in short),
            "prefill_tokens_per_s": statistics.median(e.input_tokens / e.ttft_s for e in short),
            "decode_tokens_per_s": statistics.median(each.tokens_per_s or 0.0 for each in short),
            "second_over_first": again,
            "limit": limit,
            "peak_short_bytes": peak_short,
            "peak_bytes": tree_peak_bytes(pid),
        }
        same_worker = link.worker_pid == pid
    finally:
        await link.aclose()
    holds = {
        "within_4096": info.context_limit <= LONGROPE_SAFE,
        "longest_ends_at_limit": limit["longest_tokens"] == info.context_limit
        and limit["longest_finish"] == "length",
        "too_long_refused": all(s is not None and s < REFUSED_S for s in limit["refused_s"]),
        "answers_as_before": limit["same_after"],
        "same_worker": same_worker,
        "second_over_first": again <= SECOND_OVER_FIRST,
    }
    return figures | {"holds": holds}


async def _short(args: argparse.Namespace, link: DeviceLink, n: int) -> Answer:
    prompt = await _sized(link, f"Round {n}. ", args.prompt)
    return (await _answer(link, prompt, args.tokens))[0]


async def _prefix(args: argparse.Namespace, link: DeviceLink, n: int) -> float:
    """The second first token over the first, of two conversations with one system text."""
    text = (await _sized(link, f"Rules, edition {n}. ", args.prefix))[0].content
    system = Message(role="system", content=text)
    asked = ("What does the fox do?", "Which dog is lazy?")
    first, second = [
        (await _answer(link, (system, Message(role="user", content=each)), 1))[0] for each in asked
    ]
    return second.ttft_s / first.ttft_s


async def _limit(link: DeviceLink, limit: int) -> dict[str, Any]:
    """Up to the limit, past it at once and past it by another turn; and a plain answer after."""
    plain = (Message(role="user", content="Say something."),)
    _, before = await _answer(link, plain, 8)
    prompt = await _sized(link, "Long. ", limit - LEFT, most=limit - 1)
    longest, text = await _answer(link, prompt, LEFT + 64)
    turn = Message(role="assistant", content=text)
    more = (*prompt, turn, Message(role="user", content=FILLER * 4))
    refused = [
        await _refusal(link, (Message(role="user", content=(prompt[0].content or "") * 2),)),
        await _refusal(link, more),
    ]
    _, after = await _answer(link, plain, 8)
    return {
        "longest_prompt_tokens": longest.input_tokens,
        "longest_tokens": longest.input_tokens + longest.output_tokens,
        "longest_finish": longest.finish,
        "longest_first_token_s": longest.ttft_s,
        "longest_tokens_per_s": longest.tokens_per_s,
        "refused_s": refused,
        "same_after": before == after,
    }


async def _refusal(link: DeviceLink, messages: Messages) -> float | None:
    """Seconds until it was refused. None: it was answered."""
    began = time.perf_counter()
    try:
        await _answer(link, messages, 1)
    except Incapable:
        return time.perf_counter() - began
    return None


async def _sized(link: DeviceLink, mark: str, tokens: int, most: int | None = None) -> Messages:
    """A prompt of about so many tokens, template included; of at most `most` where that is said."""

    async def made(words: int) -> tuple[Messages, int]:
        content = mark + FILLER * (words // 9) + "fox " * (words % 9)
        messages = (Message(role="user", content=content.strip()),)
        count = await link.count_tokens(messages)
        assert count is not None, "the worker is up"
        return messages, count

    low, high = 1, tokens
    while low < high:  # the most words that make no more than `tokens`
        middle = (low + high + 1) // 2
        low, high = (middle, high) if (await made(middle))[1] <= tokens else (low, middle - 1)
    messages, count = await made(low)
    assert most is None or count <= most, f"{count} tokens; at most {most} were wanted"
    return messages


async def _answer(link: DeviceLink, messages: Messages, tokens: int) -> tuple[Answer, str]:
    began = time.perf_counter()
    times, text = [], ""
    async for reply in link.run(Job(messages=messages, max_output_tokens=tokens)):
        if isinstance(reply, wire.Token):
            times.append(time.perf_counter())
            text += reply.text
        else:
            done = reply
    spread = times[-1] - times[0]
    answer = Answer(
        input_tokens=done.input_tokens,
        output_tokens=done.output_tokens,
        finish=done.finish,
        ttft_s=times[0] - began,
        tokens_per_s=(len(times) - 1) / spread if len(times) > 1 else None,
    )
    return answer, text


def _text(figures: dict[str, Any]) -> str:
    engine, limit = figures["engine"], figures["limit"]

    def size(bytes_: int | None) -> str:
        return "unknown" if bytes_ is None else f"{bytes_ / 1e9:.2f} GB"

    refused = ", ".join("answered" if s is None else f"{s:.2f} s" for s in limit["refused_s"])
    lines = [
        f"model        {engine['model']}, {engine['engine']}, limit {engine['context_limit']:,}",
        f"load         {engine['load_s']:.1f} s of {figures['start_s']:.1f} s to start; "
        f"{size(engine['memory_bytes'])} after it, peak {size(figures['peak_short_bytes'])} with "
        f"short prompts, {size(figures['peak_bytes'])} with the longest",
        f"first token  {figures['first_token_s']:.2f} s for {figures['prompt_tokens']} tokens, "
        f"{figures['prefill_tokens_per_s']:.1f} a second",
        f"decode       {figures['decode_tokens_per_s']:.1f} tokens/s",
        f"prefix       second first token over the first {figures['second_over_first']:.3f}",
        f"limit        {limit['longest_prompt_tokens']:,} prompt tokens: first token after "
        f"{limit['longest_first_token_s']:.1f} s, {limit['longest_tokens']:,} in all, "
        f"ended by {limit['longest_finish']}; past it refused after {refused}",
    ]
    lines += [f"{'holds' if good else 'FAILS'}  {what}" for what, good in figures["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
