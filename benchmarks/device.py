"""The device against others with the same weights, in one run, and what its process costs.

    python benchmarks/device.py --threads 2 --gguf SmolLM2-135M-Instruct.Q4_1.gguf \
        --llama-build DIR --transformers PYTHON --json device.json

Ours goes through the provider and the worker. Its peers are the bare onnxruntime-genai loop with
the same statistics of every token (`bare_loop.py`), llama.cpp from its wheel and built from source
(`llama_peer.py`), and Transformers (`transformers_loop.py`). `device_peers.py` says how they take
turns, `device_process.py` how the worker is held against two bare loops. A peer that can't be had
is left out with its reason, and what was promised beside it counts as not shown.

The machine's other work is in all figures; ratios are taken round by round. Tokens per second of
processor time are the second look: another process slows them little.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bare_loop import bare
from common import conditions, parser, write
from device_peers import TOGETHER, Wanted, compare, decode_alone
from device_process import STORY, Sizes, process_costs, said
from peer import Ours, peak_bytes

from router.device.engine import EngineOptions
from router.device.link import DeviceLink
from router.models import Store
from router.providers.base import Target
from router.providers.device import Device, build

LIMITS = {
    "decode_over_bare": 0.97,
    "four_over_llama_source": 0.95,
    "second_over_first": 0.15,
    "decode_ratio": 0.97,
    "first_token_ms": 15.0,
    "loop_gap_ms": 25.0,
}


def main() -> int:
    args = _arguments()
    said_first = conditions("onnxruntime-genai", "onnxruntime", "numpy", "msgspec")
    figures = asyncio.run(_measure(args, str(Store().find(args.model).path)))
    print(_decode(figures) if args.decode_only else _text(figures))
    write(args.json, said_first, figures)
    return 1 if False in figures["holds"].values() else 0


def _arguments() -> argparse.Namespace:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--gguf", type=Path, help="the file its weights came from, for the peers")
    made.add_argument("--llama-build", type=Path, help="a build of llama.cpp", metavar="DIR")
    made.add_argument("--transformers", help="a Python with torch, transformers", metavar="PYTHON")
    made.add_argument("--rounds", type=int, help="repetitions of each comparison (15; quick 1)")
    made.add_argument("--pairs", type=int, help="of decode beside the bare loop (40; quick 1)")
    made.add_argument("--reads", type=int, help="of first tokens through the worker (60; quick 1)")
    made.add_argument("--tokens", type=int, help="of each answer (128; quick 8)")
    made.add_argument("--threads", type=int, default=2, help="inside one operator")
    made.add_argument("--spinning", action="store_true", help="let idle threads spin")
    made.add_argument("--quick", action="store_true", help="see that it runs; not for figures")
    made.add_argument("--peers-only", action="store_true", help="without what the process costs")
    made.add_argument("--decode-only", action="store_true", help="beside the bare loop, alone")
    args = made.parse_args()
    usual = (1, 1, 1, 8) if args.quick else (15, 40, 60, 128)
    for name, value in zip(("rounds", "pairs", "reads", "tokens"), usual, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


async def _measure(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    options = EngineOptions(folder=folder, threads=args.threads, spinning=args.spinning)
    wanted = Wanted(
        options=options,
        threads=args.threads,
        gguf=args.gguf,
        build=args.llama_build,
        transformers=args.transformers,
        rounds=args.rounds,
        pairs=args.pairs,
        tokens=args.tokens,
    )
    target = Target(
        name="device",
        tier="device",
        provider="device",
        model=folder,
        options={"spinning": args.spinning, "threads": args.threads},
    )
    device = build(target)
    assert isinstance(device, Device)
    ours = Ours(device)
    try:
        await ours.answer(said(STORY), 4)
        if args.decode_only:
            alone = await decode_alone(wanted, ours)
            holds = {"decode_over_bare": alone["median"] >= LIMITS["decode_over_bare"]}
            return {"decode_over_bare": alone, "holds": holds}
        beside = await compare(wanted, ours)
        process = None if args.peers_only else await _process(args, ours, options)
        peak = {"worker_bytes": await ours.peak_bytes(), "client_bytes": peak_bytes("self")}
        info = asdict(device.info) if device.info else None
    finally:
        await ours.aclose()
    figures: dict[str, Any] = {"engine": info, **beside, **(process or {}), "peak": peak}
    return figures | {"limits": LIMITS, "holds": _holds(figures)}


async def _process(args: argparse.Namespace, ours: Ours, options: EngineOptions) -> dict[str, Any]:
    sizes = Sizes(rounds=args.rounds, reads=args.reads, tokens=args.tokens)
    first, second = bare(options), bare(options)
    link = DeviceLink(options)
    try:
        for loop in (first, second):
            await loop.answer(said(STORY), 4)
        return await process_costs(sizes, ours, first, second, link)
    finally:
        await link.aclose()
        for loop in (first, second):
            await loop.aclose()


def _holds(figures: dict[str, Any]) -> dict[str, bool | None]:
    """What was promised. None: not shown in this run."""
    ratios = figures["ratios"]

    def at_least(name: str, ratio: str) -> bool | None:
        return ratios[ratio]["median"] >= LIMITS[name] if ratio in ratios else None

    holds = {
        "decode_over_bare": at_least("decode_over_bare", "decode_over_bare"),
        "four_over_llama_source": at_least(
            "four_over_llama_source", "together_4_over_llama_source"
        ),
        "second_over_first": ratios["prefix"]["median"] <= LIMITS["second_over_first"],
    }
    if "decode" in figures:
        later = [each["later_ms"] for each in figures["first_token"]]
        holds |= {
            "decode_ratio": figures["decode"]["ratio"] >= LIMITS["decode_ratio"],
            "first_token_ms": max(later) <= LIMITS["first_token_ms"],
            "loop_gap_ms": figures["loop_gap"]["longest_ms"] < LIMITS["loop_gap_ms"],
        }
    return holds


def _decode(figures: dict[str, Any]) -> str:
    found = figures["decode_over_bare"]
    low, high = found["interval"]
    verdict = "holds" if figures["holds"]["decode_over_bare"] else "FAILS"
    bound = LIMITS["decode_over_bare"]
    return (
        f"decode over the bare loop, alone: {found['median']:.3f} ({low:.3f} to {high:.3f}), "
        f"{found['pairs']} pairs\n{verdict}  decode_over_bare, bound {bound}"
    )


def _text(figures: dict[str, Any]) -> str:
    engine = figures["engine"]
    lines = [f"model        {engine['model']}, {engine['engine']}, {engine['device']}", ""]
    lines += _table(figures)
    if "decode" in figures:
        lines += _process_lines(figures)
    lines.append("")
    for what, good in figures["holds"].items():
        word = {True: "holds", False: "FAILS", None: "not shown"}[good]
        lines.append(f"{word:9}  {what}, bound {LIMITS[what]:g}{_by(figures, what)}")
    return "\n".join(lines)


def _table(figures: dict[str, Any]) -> list[str]:
    at_once = "".join(f"{f'at {n}':>8}" for n in TOGETHER)
    lines = [f"{'':14}{'first ms':>9}{'again':>7}{'decode':>8}{at_once}{'peak MB':>9}   per CPU-s"]
    for name, peer in figures["peers"].items():
        together = peer["together"].values()
        peak = peer["peak_bytes"]
        lines.append(
            f"{name:14}{peer['first_token_ms']:9.1f}{peer['second_over_first']:7.2f}"
            f"{peer['decode_tokens_per_s']:8.1f}"
            + "".join(f"{each['tokens_per_s']:8.1f}" for each in together)
            + (f"{peak / 1e6:9.0f}" if peak is not None else f"{'-':>9}")
            + "   "
            + " ".join(f"{each['tokens_per_cpu_s']:.0f}" for each in together)
        )
    lines += [f"{name:14}left out: {why}" for name, why in figures["without"].items()]
    lines += [
        f"{name:40} {each['median']:.3f} ({_between(each['interval'], '.3f')})"
        for name, each in figures["ratios"].items()
    ]
    return [*lines, ""]


def _process_lines(figures: dict[str, Any]) -> list[str]:
    decode, gaps = figures["decode"], figures["loop_gap"]
    lines = [
        f"decode       worker {decode['worker_tokens_per_s']:.1f}, bare "
        f"{decode['bare_tokens_per_s']:.1f} tokens/s, ratio {decode['ratio']:.3f} "
        f"({_between(decode['ratio_interval'], '.3f')}); two bare loops "
        f"{decode['control_ratio']:.3f} ({_between(decode['control_ratio_interval'], '.3f')})",
    ]
    lines += [
        f"first token  {first['prompt_tokens']} prompt tokens: worker {first['worker_ms']:.1f}, "
        f"bare {first['bare_ms']:.1f} ms, {first['later_ms']:+.1f} "
        f"({_between(first['later_interval_ms'], '+.1f')}); two bare loops "
        f"{first['control_later_ms']:+.1f} "
        f"({_between(first['control_later_interval_ms'], '+.1f')}); than read at once "
        f"{first['later_than_at_once_ms']:+.1f} "
        f"({_between(first['later_than_at_once_interval_ms'], '+.1f')}); "
        f"the process adds {first['added_ms']:.1f}, at most {first['added_longest_ms']:.1f}"
        for first in figures["first_token"]
    ]
    lines.append(
        f"loop gap     the longest of each run: median {gaps['median_ms']:.1f}, most "
        f"{gaps['longest_ms']:.1f} ms (idle: {gaps['idle_median_ms']:.1f}, "
        f"{gaps['idle_longest_ms']:.1f} ms)"
    )
    for who, size in figures["peak"].items():
        if size is not None:
            lines.append(f"peak memory  {who.removesuffix('_bytes')} {size / 1e6:.0f} MB")
    return lines


def _by(figures: dict[str, Any], what: str) -> str:
    """The ratio per second of processor time, where there is one beside the promise."""
    found = figures["ratios"].get(what.replace("four_over", "together_4_per_cpu_over"))
    return f" (per CPU-second {found['median']:.3f})" if found and "four" in what else ""


def _between(interval: tuple[float, float], form: str) -> str:
    return f"{interval[0]:{form}} to {interval[1]:{form}}"


if __name__ == "__main__":
    sys.exit(main())
