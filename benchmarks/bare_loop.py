"""The least there can be: ONNX Runtime GenAI in a loop, with the statistics of every token.

Run as a process of its own, with the engine's options as JSON. It has the device's session options,
reads a prompt in chunks of 64 tokens, as anything that can be cancelled has to, and does nothing
else: a job a line comes in, a result a line goes out. Several at once are generators that take
turns, token by token, on one model.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from peer import Child, run_of

from router.device.engine import EngineOptions

CHUNK = 64


def bare(options: EngineOptions) -> Child:
    """Our end of that process."""
    return Child([sys.executable, __file__, json.dumps(asdict(options))])


class Loop:
    def __init__(self, options: EngineOptions) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        import onnxruntime_genai as og

        from router.device.logits import RowReader

        session: dict[str, Any] = {
            "session.intra_op.allow_spinning": "1" if options.spinning else "0"
        }
        if options.threads is not None:
            session["intra_op_num_threads"] = options.threads
        config = og.Config(options.folder)
        config.clear_providers()
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        self._og = og
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._read_row = RowReader()

    def moments(
        self, messages: list[dict[str, str]], tokens: int, chunk: int = CHUNK
    ) -> Iterator[float]:
        """When each token was there."""
        text = self._tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
        ids = self._tokenizer.encode(text)
        params = self._og.GeneratorParams(self._model)
        params.set_search_options(max_length=len(ids) + tokens, do_sample=False)
        generator = self._og.Generator(self._model, params)
        stream = self._tokenizer.create_stream()
        for start in range(0, len(ids), chunk):
            generator.append_tokens(ids[start : start + chunk])
        while not generator.is_done():
            row = generator.get_logits().ravel()
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            self._read_row(row, token)
            stream.decode(token)
            yield time.perf_counter()


def main(options: EngineOptions) -> None:
    loop = Loop(options)
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        began = time.perf_counter()
        if not job.get("burst"):
            times = list(loop.moments(job["prompts"][0], job["tokens"], job.get("chunk", CHUNK)))
            print(json.dumps(asdict(run_of(began, times))), flush=True)
            continue
        tokens = in_turns([loop.moments(prompt, job["tokens"]) for prompt in job["prompts"]])
        said = {"tokens": tokens, "seconds": time.perf_counter() - began}
        print(json.dumps(said), flush=True)


def in_turns(rows: list[Iterator[float]]) -> int:
    """A token from each until none has any; how many there were."""
    tokens = 0
    while rows:
        alive = [row for row in rows if next(row, None) is not None]
        tokens += len(alive)
        rows = alive
    return tokens


if __name__ == "__main__":
    main(EngineOptions(**json.loads(sys.argv[1])))
