"""How long a token of a prompt takes to read, by the size of the chunks it is read in.

    python benchmarks/chunks.py --model smollm2-135m --threads 2

A prompt of 480 tokens is read in chunks of each size, in an order that is shuffled each round; what
is left of it after the last whole chunk is not read. No engine of ours is in it: the runtime alone.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import conditions, parser, write

from router.device.engine import EngineOptions
from router.device.runtime import load_model, make_generator
from router.models import Store

PROMPT = 480
SIZES = (32, 48, 60, 61, 62, 64, 72, 80, 96, 128, 160, 240)


def main() -> int:
    made = parser(__doc__.partition("\n")[0] if __doc__ else None)
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--rounds", type=int, default=14)
    made.add_argument("--threads", type=int, help="inside one operator")
    args = made.parse_args()
    said = conditions("onnxruntime-genai", "onnxruntime")
    folder = str(Store().find(args.model).path)
    options = EngineOptions(folder=folder, threads=args.threads)
    model, tokenizer = load_model(Path(folder), options, None)
    ids = tokenizer.encode("The quick brown fox jumps over the lazy dog. " * 70)[:PROMPT]
    times = _times(model, np.asarray(ids, np.int32), args.rounds)
    figures = {
        str(size): {"median_ms": statistics.median(ms), "fastest_ms": min(ms)}
        for size, ms in times.items()
    }
    print("chunk  median   best, ms a token")
    for size, found in figures.items():
        print(f"{size:>5}  {found['median_ms']:6.3f}  {found['fastest_ms']:6.3f}")
    write(args.json, said, figures)
    return 0


def _times(model: Any, ids: Any, rounds: int) -> dict[int, list[float]]:
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size in random.sample(SIZES, len(SIZES)):
            read = len(ids) // size * size
            generator = make_generator(model, len(ids) + 1)
            began = time.perf_counter()
            for start in range(0, read, size):
                generator.append_tokens(ids[start : start + size])
            times[size].append((time.perf_counter() - began) / read * 1e3)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
