"""Rows on one session against ONNX Runtime GenAI's own generator: alone, several at once, copies.

    python benchmarks/rows.py --model smollm2-135m --threads 1 --json rows.json

Both are in this process and take turns, in an order that alternates; every token is chosen greedily
and has its statistics. Tokens are counted by second and by second of CPU time: the latter survives
a busy machine, with one thread at least. Whether one answer alone is as quick is told by tokens in
turn; the other ratios are taken round by round, and their median is shown.
Rows are loaded both before and after the generator's model: loaded before it they were a tenth
slower in one run of this, loaded after it equal; why is not known.

With n rows in flight each has a prompt of another length. The generators in flight are stepped in
turn, which is what can be done with them: they never share a product.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import conditions, parser, write

from router.device.engine import EngineOptions
from router.device.logits import RowReader
from router.device.runtime import load_model, make_generator
from router.device.session import Rows, Slot
from router.models import Store

CHUNK = 64
IN_FLIGHT = (1, 2, 4, 8)
PREFIX = 400
LONG, SHORT = 1500, 20
LIMITS = {"alone": 0.97, "prefix_ms": 5.0}

Span = tuple[float, float]


def main() -> int:
    args = _arguments()
    said = conditions("onnxruntime-genai", "onnxruntime", "numpy")
    folder = Store().find(args.model).path
    options = EngineOptions(folder=str(folder), threads=args.threads, spinning=args.spinning)
    rows = Rows.open(options, max_rows=max(IN_FLIGHT), ceiling_bytes=8 << 30)
    model, _ = load_model(Path(folder), options, None)
    later = Rows.open(options, max_rows=1, ceiling_bytes=8 << 30)
    figures = _figures(rows, later, model, args.rounds, args.tokens)
    print(_text(figures))
    write(args.json, said, figures)
    return 0 if all(figures["holds"].values()) else 1


def _arguments() -> argparse.Namespace:
    made = parser((__doc__ or "").partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--rounds", type=int, default=7, help="repetitions of each comparison")
    made.add_argument("--tokens", type=int, default=64, help="tokens of each answer")
    made.add_argument("--threads", type=int, default=1, help="inside one operator")
    made.add_argument("--spinning", action="store_true", help="let idle threads spin")
    return made.parse_args()


def _figures(rows: Rows, later: Rows, model: Any, rounds: int, tokens: int) -> dict[str, Any]:
    flights = {str(count): _in_flight(rows, model, count, rounds, tokens) for count in IN_FLIGHT}
    prefix = _prefix(rows, rounds)
    before, after = (_alone(which, model, 20 * rounds) for which in (rows, later))
    alone = {"before": before, "after": after, "ratio": (before["ratio"] + after["ratio"]) / 2}
    return {
        "alone": alone,
        "in_flight": flights,
        "prefix": prefix,
        "unequal": _unequal(rows, rounds),
        "holds": {
            "alone": alone["ratio"] >= LIMITS["alone"],
            "prefix_ms": prefix["take_ms"] < LIMITS["prefix_ms"],
        },
    }


def _prompts(count: int, vocab: int) -> list[list[int]]:
    rng = np.random.default_rng(count)
    return [rng.integers(100, vocab - 100, 17 + 29 * n % 113).tolist() for n in range(count)]


def _span(work: Callable[[], None]) -> Span:
    """Seconds by the clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _in_flight(rows: Rows, model: Any, count: int, rounds: int, tokens: int) -> dict[str, Any]:
    """Aggregate speeds, and ours by theirs, of this many answers at once."""
    prompts = _prompts(count, rows.vocab)
    ours: list[tuple[Span, Span]] = []
    theirs: list[tuple[Span, Span]] = []
    for number in range(-1, rounds):
        turns = [lambda: _rows_run(rows, prompts, tokens), lambda: _og_run(model, prompts, tokens)]
        found = [turns[i]() for i in ((0, 1) if number % 2 else (1, 0))]
        if number >= 0:
            ours.append(found[0 if number % 2 else 1])
            theirs.append(found[1 if number % 2 else 0])
    read, made = sum(map(len, prompts)), count * tokens
    figures: dict[str, Any] = {}
    for name, spans in (("rows", ours), ("generators", theirs)):
        figures[name] = {
            "decode_tokens_per_s": statistics.median(made / s[1][0] for s in spans),
            "decode_tokens_per_cpu_s": statistics.median(made / s[1][1] for s in spans),
            "prefill_tokens_per_cpu_s": statistics.median(read / s[0][1] for s in spans),
        }
    pairs = list(zip(ours, theirs, strict=True))
    figures["decode_ratio"] = statistics.median(b[1][1] / a[1][1] for a, b in pairs)
    figures["prefill_ratio"] = statistics.median(b[0][1] / a[0][1] for a, b in pairs)
    return figures


def _alone(rows: Rows, model: Any, tokens: int) -> dict[str, float]:
    """One answer, token by token in turn: what passes on the machine hits both alike."""
    (prompt,) = _prompts(1, rows.vocab)
    slot = rows.take(len(prompt) + tokens)
    token = int(_read(rows, slot, prompt).argmax())
    generator = make_generator(model, len(prompt) + tokens)
    generator.append_tokens(np.array(prompt, np.int32))
    generator.get_logits()
    reader = RowReader()

    def step() -> None:
        reader(rows.step([(slot, token)])[0], token)

    def append() -> None:
        generator.append_tokens(np.array([token], np.int32))
        reader(np.asarray(generator.get_logits(), np.float32).ravel(), token)

    pairs = []
    for number in range(tokens):
        both = (step, append) if number % 2 else (append, step)
        spans = {work: _span(work)[1] for work in both}
        pairs.append((spans[step], spans[append]))
    rows.give_back(slot)
    ours, theirs = zip(*pairs, strict=True)
    return {
        "rows_cpu_ms": statistics.median(ours) * 1e3,
        "generator_cpu_ms": statistics.median(theirs) * 1e3,
        "ratio": statistics.median(theirs) / statistics.median(ours),
    }


def _rows_run(rows: Rows, prompts: list[list[int]], tokens: int) -> tuple[Span, Span]:
    slots = [rows.take(len(prompt) + tokens) for prompt in prompts]
    chosen: list[int] = []
    reader = RowReader()

    def prefill() -> None:
        for slot, prompt in zip(slots, prompts, strict=True):
            chosen.append(int(_read(rows, slot, prompt).argmax()))

    def decode() -> None:
        for _ in range(tokens):
            logits = rows.step(list(zip(slots, chosen, strict=True)))
            for n, row in enumerate(logits):
                chosen[n] = int(row.argmax())
                reader(row, chosen[n])

    spans = _span(prefill), _span(decode)
    for slot in slots:
        rows.give_back(slot)
    return spans


def _og_run(model: Any, prompts: list[list[int]], tokens: int) -> tuple[Span, Span]:
    generators = [make_generator(model, len(p) + tokens + 1) for p in prompts]
    reader = RowReader()

    def prefill() -> None:
        for generator, prompt in zip(generators, prompts, strict=True):
            for at in range(0, len(prompt), CHUNK):
                generator.append_tokens(np.array(prompt[at : at + CHUNK], np.int32))
            generator.generate_next_token()

    def decode() -> None:
        for _ in range(tokens):
            for generator in generators:
                row = np.asarray(generator.get_logits(), np.float32).ravel()
                # Appended, not generated: an end token would end it before the others.
                token = int(row.argmax())
                reader(row, token)
                generator.append_tokens(np.array([token], np.int32))

    return _span(prefill), _span(decode)


def _read(rows: Rows, slot: Slot, ids: list[int]) -> Any:
    for at in range(0, len(ids), CHUNK):
        row = rows.prefill(slot, ids[at : at + CHUNK])
    return row


def _prefix(rows: Rows, rounds: int) -> dict[str, float]:
    """CPU time to begin with tokens that were read before, against reading them."""
    prompt = np.random.default_rng(5).integers(100, rows.vocab - 100, PREFIX).tolist()
    first = rows.take(PREFIX)
    read_s = min(_span(lambda: _read(rows, first, prompt))[1] for _ in _again(rows, first, 2))
    kept = rows.keep(first, PREFIX)
    rows.give_back(rows.fork(first, 1, PREFIX))  # the second place is there from now on
    keeps, takes, forks = [], [], []
    slots: list[Slot] = []
    for _ in range(5 * rounds):
        keeps.append(_span(lambda: _discard(rows.keep(first, PREFIX)))[1])
        takes.append(_span(lambda: slots.append(rows.take(PREFIX, kept)))[1])
        rows.give_back(slots.pop())
        forks.append(_span(lambda: slots.append(rows.fork(first, PREFIX, PREFIX)))[1])
        rows.give_back(slots.pop())
    rows.give_back(first)
    return {
        "tokens": PREFIX,
        "mb": kept.bytes / 1e6,
        "read_cpu_ms": read_s * 1e3,
        "keep_ms": statistics.median(keeps) * 1e3,
        "take_ms": statistics.median(takes) * 1e3,
        "fork_ms": statistics.median(forks) * 1e3,
    }


def _again(rows: Rows, slot: Slot, times: int) -> Any:
    for _ in range(times):
        rows.rewind(slot, 0)
        yield


def _unequal(rows: Rows, rounds: int) -> dict[str, float]:
    """CPU milliseconds of a step of four rows: all short, one of them long, all long."""
    return {
        name: _step_ms(rows, [LONG] * long + [SHORT] * (4 - long), rounds)
        for name, long in (("short_ms", 0), ("one_long_ms", 1), ("long_ms", 4))
    }


def _step_ms(rows: Rows, lengths: list[int], rounds: int) -> float:
    slots = [rows.take(length + 40) for length in lengths]
    long = max(slots, key=lambda slot: slot.capacity)
    ids = np.random.default_rng(6).integers(100, rows.vocab - 100, max(lengths)).tolist()
    _read(rows, long, ids)
    kept = rows.keep(long, max(lengths))
    for slot in slots:
        rows.give_back(slot)
    slots = [rows.take(length + 40, kept, length) for length in lengths]
    spans = []
    for _ in range(10 * rounds):
        spans.append(_span(lambda: _discard(rows.step([(slot, 5) for slot in slots])))[1])
        for slot, length in zip(slots, lengths, strict=True):
            rows.rewind(slot, length)
    for slot in slots:
        rows.give_back(slot)
    return statistics.median(spans) * 1e3


def _discard(_: object) -> None:
    """A result nobody asks for."""


def _text(figures: dict[str, Any]) -> str:
    lines = ["in flight   decode tokens/s     by CPU second      ratio   prefill ratio"]
    lines.append("            rows  generators    rows  generators")
    for count, found in figures["in_flight"].items():
        ours, theirs = found["rows"], found["generators"]
        lines.append(
            f"{count:>9}  {ours['decode_tokens_per_s']:6.1f}  {theirs['decode_tokens_per_s']:10.1f}"
            f"  {ours['decode_tokens_per_cpu_s']:6.1f}  {theirs['decode_tokens_per_cpu_s']:10.1f}"
            f"  {found['decode_ratio']:9.2f}  {found['prefill_ratio']:14.2f}"
        )
    alone, prefix, unequal = figures["alone"], figures["prefix"], figures["unequal"]
    for when in ("before", "after"):
        found = alone[when]
        lines.append(
            f"one answer, in turns, rows loaded {when}: {found['rows_cpu_ms']:.2f} ms "
            f"of CPU, generator {found['generator_cpu_ms']:.2f} ms, ratio {found['ratio']:.3f}"
        )
    lines.append(
        f"a prefix of {prefix['tokens']} tokens, {prefix['mb']:.1f} MB: read in "
        f"{prefix['read_cpu_ms']:.0f} ms of CPU, kept in "
        f"{prefix['keep_ms']:.1f}, taken in {prefix['take_ms']:.1f}, "
        f"forked in {prefix['fork_ms']:.1f}"
    )
    lines.append(
        f"a step of four rows, CPU: {SHORT} tokens each {unequal['short_ms']:.1f} ms, one of "
        f"{LONG} {unequal['one_long_ms']:.1f} ms, all of {LONG} {unequal['long_ms']:.1f} ms"
    )
    lines.append("holds: " + ", ".join(f"{k} {v}" for k, v in figures["holds"].items()))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
