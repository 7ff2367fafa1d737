"""What a middle layer's state costs: a token that shows it, one that could, one whose graph can't.

    python benchmarks/probe.py --model smollm2-135m --threads 1 --json probe.json

Two sessions of one model in this process, one with the extra output and one without, and steps in
turn, in an order that moves: a step without, one that could show it, one that does and adds it up,
each of the same tokens, which are then taken back.
Times are of the processor, so with one thread a busy machine says the same. Then a probe is fitted
on made-up states of that width and read.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import conditions, parser, write

from router.confidence.probe import fit_probe
from router.device.engine import EngineOptions
from router.device.folder import read_folder
from router.device.onnxrun import find_middle
from router.device.session import Rows, Slot
from router.device.states import MeanState
from router.models import Store

IN_FLIGHT = (1, 4)
PROMPT = 40
LABELS = 1000
READS = 2000
WAYS = ("without", "unasked", "asked")


def main() -> int:
    made = parser((__doc__ or "").partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--tokens", type=int, default=300, help="steps of each way")
    made.add_argument("--threads", type=int, default=1, help="inside one operator")
    args = made.parse_args()
    said = conditions("onnxruntime", "numpy")
    folder = Store().find(args.model).path
    figures = _figures(folder, EngineOptions(folder=str(folder), threads=args.threads), args.tokens)
    print(_text(figures))
    write(args.json, said, figures)
    return 0


def _figures(folder: Path, options: EngineOptions, tokens: int) -> dict[str, Any]:
    middle, find_s = _timed(lambda: find_middle(read_folder(folder)))
    if middle is None:
        raise SystemExit(f"the graph in {folder} names no middle layer that we know")
    how: dict[str, Any] = {"max_rows": max(IN_FLIGHT), "ceiling_bytes": 8 << 30}
    plain, plain_s = _timed(lambda: Rows.open(options, **how))
    able, able_s = _timed(lambda: Rows.open(options, hidden=middle.name, **how))
    found = {str(count): _steps(plain, able, count, tokens) for count in IN_FLIGHT}
    return {
        "layer": middle.layer,
        "width": able.hidden_size,
        "find_cpu_s": find_s,
        "load_cpu_s": {"without": plain_s, "with": able_s},
        "step_cpu_ms": found,
        "probe": _probe(able.hidden_size),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its seconds of processor time."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def _steps(plain: Rows, able: Rows, count: int, tokens: int) -> dict[str, float]:
    """Milliseconds of a step of so many rows, by each way; and by how much the two differ."""
    ids = np.random.default_rng(count).integers(100, plain.vocab - 100, PROMPT).tolist()
    at = {rows: _begun(rows, count, ids) for rows in (plain, able)}
    means = [MeanState(able.hidden_size) for _ in range(count)]

    def step(way: str) -> None:
        rows = plain if way == "without" else able
        rows.step([(slot, 5) for slot in at[rows]], shown=way == "asked")
        if way == "asked" and rows.hidden is not None:
            for number, mean in enumerate(means):
                mean.add(rows.hidden[number, 0])

    spans: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(tokens):
        for place in range(len(WAYS)):
            way = WAYS[(number + place) % len(WAYS)]
            spans[way].append(_timed(lambda way=way: step(way))[1] * 1e3)
            rows = plain if way == "without" else able
            for slot in at[rows]:
                rows.rewind(slot, PROMPT)
    for rows, slots in at.items():
        for slot in slots:
            rows.give_back(slot)
    middles = {way: statistics.median(found) for way, found in spans.items()}
    return {**middles, "asked_more_us": 1e3 * _more(spans["unasked"], spans["asked"])}


def _begun(rows: Rows, count: int, ids: list[int]) -> list[Slot]:
    slots = [rows.take(PROMPT + 1) for _ in range(count)]
    for slot in slots:
        rows.prefill(slot, ids)
    return slots


def _more(one: list[float], other: list[float]) -> float:
    """Median of the differences of pairs that ran close together."""
    return statistics.median(b - a for a, b in zip(one, other, strict=True))


def _probe(width: int) -> dict[str, float]:
    draw = np.random.default_rng(1)
    states = draw.normal(size=(LABELS, width))
    right = (draw.random(LABELS) < 1 / (1 + np.exp(-states[:, 0]))).astype(np.float64)
    fitted, fit_s = _timed(lambda: fit_probe(states, right, [str(n) for n in range(LABELS)], 0))
    mean = states[0].astype("<f4").tobytes()
    spans = []
    for _ in range(READS):
        began = time.perf_counter()
        fitted.probe.read(0, mean)
        spans.append(time.perf_counter() - began)
    return {"labels": LABELS, "fit_cpu_s": fit_s, "read_us": statistics.median(spans) * 1e6}


def _text(figures: dict[str, Any]) -> str:
    load, probe = figures["load_cpu_s"], figures["probe"]
    lines = [
        f"layer {figures['layer']}, {figures['width']} numbers, found in "
        f"{figures['find_cpu_s'] * 1e3:.0f} ms; loaded in {load['with']:.2f} s of CPU, "
        f"without it in {load['without']:.2f} s",
        "in flight   ms of CPU a step: without   unasked     asked   asked, more (us)",
    ]
    for count, found in figures["step_cpu_ms"].items():
        three = "  ".join(f"{found[way]:8.3f}" for way in WAYS)
        lines.append(f"{count:>9}                   {three}   {found['asked_more_us']:16.0f}")
    lines.append(
        f"a probe fitted on {probe['labels']} labels in {probe['fit_cpu_s']:.1f} s of CPU, "
        f"read in {probe['read_us']:.0f} us"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
