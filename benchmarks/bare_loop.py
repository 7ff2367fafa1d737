"""The least there can be: ONNX Runtime GenAI in a loop, with the statistics of every token.

Run as a process of its own, with the engine's options as JSON. It has the device's session options,
reads a prompt in chunks of 64 tokens, as anything that can be cancelled has to, and does nothing
else: a job a line comes in, a result a line goes out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from router.device.engine import EngineOptions

CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One answer.

    Attributes:
        ttft_s: From asking to the first token.
        tokens_per_s: Of the tokens after the first.
    """

    ttft_s: float
    tokens_per_s: float
    tokens: int


def run_of(began: float, times: list[float]) -> Run:
    """What the moments of an answer's tokens say."""
    return Run(
        ttft_s=times[0] - began,
        tokens_per_s=(len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0,
        tokens=len(times),
    )


def peak_bytes(pid: str) -> int | None:
    """Most resident memory a process ever had. None: the platform doesn't say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class Bare:
    """Our end of that process."""

    def __init__(self, options: EngineOptions) -> None:
        command = [sys.executable, __file__, json.dumps(asdict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.peak_bytes: int | None = None

    def run(self, prompt: str, tokens: int, chunk: int = CHUNK) -> Run:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([prompt, tokens, chunk]) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        self.peak_bytes = said.pop("peak_bytes")
        return Run(**said)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(options: EngineOptions) -> None:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from router.device.logits import RowReader
    from router.device.runtime import load_model

    model, tokenizer = load_model(Path(options.folder), options, None)
    reader = RowReader()
    for line in sys.stdin:
        prompt, tokens, chunk = json.loads(line)
        run = _bare_run(model, tokenizer, reader, prompt, tokens, chunk)
        print(json.dumps({**asdict(run), "peak_bytes": peak_bytes("self")}), flush=True)


def _bare_run(model: Any, tokenizer: Any, reader: Any, prompt: str, tokens: int, chunk: int) -> Run:
    from router.device.runtime import make_generator

    began = time.perf_counter()
    messages = json.dumps([{"role": "user", "content": prompt}])
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, add_generation_prompt=True))
    generator = make_generator(model, len(ids) + tokens)
    stream = tokenizer.create_stream()
    for start in range(0, len(ids), chunk):
        generator.append_tokens(ids[start : start + chunk])
    times: list[float] = []
    while not generator.is_done():
        row = generator.get_logits().ravel()
        generator.generate_next_token()
        token = int(generator.get_next_tokens()[0])
        reader(row, token)
        stream.decode(token)
        times.append(time.perf_counter())
    return run_of(began, times)


if __name__ == "__main__":
    main(EngineOptions(**json.loads(sys.argv[1])))
