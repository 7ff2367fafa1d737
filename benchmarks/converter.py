"""What converting a GGUF costs in time and memory, and what the folders it writes are worth.

    python benchmarks/converter.py --gguf FILE --data DIR [--reference torch] [--json FILE]

Faithfulness is teacher-forced: the first rows of `phi35_gpt4o.test.jsonl.gz` in DIR, prompt and
weak answer put through the model's own chat template, log-probabilities compared at every
position. `int4` and `int8` are held against our `fp32`, and `fp32` against transformers reading
the same GGUF, which needs `pip install torch transformers accelerate` in this environment.
Time and memory are measured in processes of their own. The process ends with 1 when a figure
misses its bound.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from common import conditions, parser, write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

Array = npt.NDArray[Any]

PRECISIONS = ("fp32", "int8", "int4")
DATA_FILE = "phi35_gpt4o.test.jsonl.gz"
PACKAGES = ("onnxruntime-genai", "onnxruntime", "onnx", "gguf", "numpy")
CHUNK_TOKENS = 256
PROMPT_TOKENS, DECODED_TOKENS, APPENDED_TOKENS = 256, 128, 64

BOUNDS = {
    "tokens": (5000, "at least"),
    "fp32.torch.max_logprob_diff_top20": (1e-3, "at most"),
    "int4.kl_mean": (0.17, "at most"),
    "int4.top1": (0.82, "at least"),
    "int8.kl_mean": (0.01, "at most"),
    "int8.top1": (0.95, "at least"),
} | {
    f"{precision}.{key}": (bound, "at most")
    for precision in PRECISIONS
    for key, bound in (("convert_s", 60.0), ("convert_peak_mb", 1000.0))
}


class Scorer(Protocol):
    """Reads one text in chunks and gives the log-probabilities of what may come next."""

    def restart(self, length: int) -> None: ...

    def read(self, ids: list[int]) -> Array: ...


class GenaiScorer:
    def __init__(self, folder: Path, threads: int) -> None:
        self._model = load_model(folder, threads)
        self._generator: Any = None

    def restart(self, length: int) -> None:
        import onnxruntime_genai as og

        params = og.GeneratorParams(self._model)
        params.set_search_options(max_length=length + 1)
        self._generator = og.Generator(self._model, params)

    def read(self, ids: list[int]) -> Array:
        self._generator.append_tokens(np.array(ids, np.int32))
        return log_softmax(np.array(self._generator.get_output("logits"))[0])


class TorchScorer:
    def __init__(self, gguf: Path, threads: int) -> None:
        try:
            import torch
            import transformers
        except ImportError as exc:
            sys.exit(f"--reference torch: {exc}; pip install torch transformers accelerate")
        torch.set_num_threads(threads)
        self._torch = torch
        self._model = transformers.AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
        ).eval()
        self._cache: Any = None

    def restart(self, length: int) -> None:
        self._cache = None

    def read(self, ids: list[int]) -> Array:
        with self._torch.no_grad():
            out = self._model(
                self._torch.tensor([ids]), past_key_values=self._cache, use_cache=True
            )
        self._cache = out.past_key_values
        return log_softmax(out.logits[0].float().numpy())


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--gguf", type=Path, required=True, help="the model to convert")
    made.add_argument("--data", type=Path, help=f"folder with {DATA_FILE}")
    made.add_argument("--rows", type=int, default=40)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--reference", choices=("torch", "none"), default="none")
    made.add_argument("--work", type=Path, help="an empty folder to keep the models in")
    made.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = made.parse_args()
    if args.child:
        print(json.dumps(child(args.gguf, args.threads, *args.child)))
        return 0
    more = ("torch", "transformers") if args.reference == "torch" else ()
    said = conditions(*PACKAGES, *more)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(args, args.work or Path(scratch))
    for name, value in figures.items():
        print(f"{name:40} {'unknown' if value is None else value}")
    write(args.json, said, figures)
    return 0 if hold(figures) else 1


def measure(args: argparse.Namespace, work: Path) -> dict[str, float | None]:
    """Every figure by name; None where this platform doesn't tell."""
    figures: dict[str, float | None] = {}
    for precision in PRECISIONS:
        folder = work / precision
        for task in ("convert", "run"):
            note(f"{task} {precision}")
            got = in_process(args, task, precision, str(folder))
            figures |= {f"{precision}.{key}": value for key, value in got.items()}
    if args.data:
        figures |= compare(args, work)
    return figures


def in_process(args: argparse.Namespace, *task: str) -> dict[str, float | None]:
    """Run one task alone, so that its peak memory is its own."""
    own = ["--gguf", str(args.gguf), "--threads", str(args.threads), "--child", *task]
    done = subprocess.run(
        [sys.executable, __file__, *own], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float | None] = json.loads(done.stdout.splitlines()[-1])
    return figures


def child(gguf: Path, threads: int, task: str, precision: str, folder: str) -> dict[str, Any]:
    return convert_once(gguf, precision, folder) if task == "convert" else run_once(folder, threads)


def convert_once(gguf: Path, precision: Any, folder: str) -> dict[str, float | None]:
    begun = time.perf_counter()
    from router.models.gguf import convert

    done = convert(gguf, Path(folder), precision=precision)
    return {
        "convert_s": round(time.perf_counter() - begun, 2),
        "convert_peak_mb": peak_mb(),
        "folder_mb": round(done.total_bytes / 1e6, 1),
    }


def run_once(folder: str, threads: int) -> dict[str, float | None]:
    """The bare loop: greedy, one sequence, best of five, as others disturb but never help."""
    begun = time.perf_counter()
    model = load_model(Path(folder), threads)
    loaded = time.perf_counter() - begun
    import onnxruntime_genai as og

    text = "The quick brown fox jumps over the lazy dog. " * 60
    prompt = og.Tokenizer(model).encode(text)[:PROMPT_TOKENS]
    prefill, decode = [], []
    for _ in range(5):
        params = og.GeneratorParams(model)
        total = len(prompt) + DECODED_TOKENS + 1
        params.set_search_options(max_length=total, min_length=total)
        generator = og.Generator(model, params)
        begun = time.perf_counter()
        for at in range(0, len(prompt), APPENDED_TOKENS):
            generator.append_tokens(prompt[at : at + APPENDED_TOKENS])
        generator.generate_next_token()
        read = time.perf_counter()
        for _ in range(DECODED_TOKENS):
            generator.generate_next_token()
        prefill.append(len(prompt) / (read - begun))
        decode.append(DECODED_TOKENS / (time.perf_counter() - read))
    return {
        "load_s": round(loaded, 3),
        "run_peak_mb": peak_mb(),
        "prefill_tokens_per_s": round(max(prefill), 1),
        "decode_tokens_per_s": round(max(decode), 1),
    }


def compare(args: argparse.Namespace, work: Path) -> dict[str, float | None]:
    """Read every row with every model, a chunk at a time, and gather the differences."""
    base = GenaiScorer(work / "fp32", args.threads)
    others: dict[str, Scorer] = {
        name: GenaiScorer(work / name, args.threads) for name in ("int8", "int4")
    }
    if args.reference == "torch":
        others["torch"] = TorchScorer(args.gguf, args.threads)
    kl: dict[str, list[Array]] = {name: [] for name in others}
    same: dict[str, list[Array]] = {name: [] for name in others}
    nats: dict[str, list[Array]] = {name: [] for name in ("fp32", *others)}
    top20 = 0.0
    tokens = 0
    for number, ids in enumerate(texts(args.data / DATA_FILE, args.rows, work / "fp32"), 1):
        note(f"row {number} of {args.rows}, {len(ids)} tokens")
        tokens += len(ids)
        for scorer in (base, *others.values()):
            scorer.restart(len(ids))
        for at in range(0, len(ids), CHUNK_TOKENS):
            chunk, following = ids[at : at + CHUNK_TOKENS], ids[at + 1 : at + CHUNK_TOKENS + 1]
            expected = base.read(chunk)
            nats["fp32"].append(chosen(expected, following))
            for name, scorer in others.items():
                got = scorer.read(chunk)
                nats[name].append(chosen(got, following))
                same[name].append(expected.argmax(-1) == got.argmax(-1))
                # KL(fp32 || other) for a quantised model, KL(torch || fp32) for the reference.
                p, q = (got, expected) if name == "torch" else (expected, got)
                kl[name].append((np.exp(p) * (p - q)).sum(-1, dtype=np.float64))
                if name == "torch":
                    best = np.argpartition(-got, 20, axis=-1)[:, :20]
                    near = np.take_along_axis(got - expected, best, axis=-1)
                    top20 = max(top20, float(np.abs(near).max()))
    figures: dict[str, float | None] = {"rows": args.rows, "tokens": tokens}
    for name, values in nats.items():
        figures[f"{name}.perplexity"] = round(float(np.exp(-np.concatenate(values).mean())), 3)
    for name in others:
        prefix = "fp32.torch" if name == "torch" else name
        every = np.concatenate(kl[name])
        figures[f"{prefix}.kl_mean"] = round(float(every.mean()), 6)
        figures[f"{prefix}.kl_p99"] = round(float(np.quantile(every, 0.99)), 5)
        figures[f"{prefix}.top1"] = round(float(np.concatenate(same[name]).mean()), 4)
    if "torch" in others:
        figures["fp32.torch.max_logprob_diff_top20"] = top20
    return figures


def texts(path: Path, rows: int, folder: Path) -> Iterator[list[int]]:
    """Token ids of question and answer, as the model's chat template writes them."""
    import onnxruntime_genai as og

    tokenizer = og.Tokenizer(og.Model(str(folder)))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for _, line in zip(range(rows), lines, strict=False):
            row = json.loads(line)
            messages = [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["weak_output"]},
            ]
            text = tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=False)
            yield [int(token) for token in tokenizer.encode(text)]


def load_model(folder: Path, threads: int) -> Any:
    import onnxruntime_genai as og

    config = og.Config(str(folder))
    session = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
    return og.Model(config)


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def chosen(logprobs: Array, following: list[int]) -> Array:
    return np.asarray(logprobs[np.arange(len(following)), following])


def hold(figures: dict[str, float | None]) -> bool:
    """Whether each bound that has its figure holds; says so, line by line."""
    all_hold = True
    print()
    for name, (bound, sense) in BOUNDS.items():
        value = figures.get(name)
        if value is not None:
            holds = value <= bound if sense == "at most" else value >= bound
            all_hold = all_hold and holds
            print(f"{'holds' if holds else 'FAILS':6} {name} {value:g}, {sense} {bound:g}")
    return all_hold


def peak_mb() -> float | None:
    """This process's greatest resident size. None: the platform doesn't say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
