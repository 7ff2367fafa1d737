"""Transformers with a GGUF's weights, dequantised to float32: a job a line in, a result a line out.

    python transformers_loop.py FILE.gguf THREADS

Runs in an environment of its own, which has torch, transformers, accelerate and gguf. Several at
once are rows of one batch, padded on the left, that go on until the longest has ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"

import torch
import transformers


def main(gguf: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    folder, name = str(gguf.parent), gguf.name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32
    ).eval()
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        began = time.perf_counter()
        times = moments(model, tokenizer, job["prompts"], job["tokens"])
        rows, steps = len(job["prompts"]), len(times)
        if job.get("burst"):
            said: dict[str, Any] = {"tokens": rows * steps, "seconds": times[-1] - began}
        else:
            spread = times[-1] - times[0]
            rate = (steps - 1) / spread if steps > 1 else 0.0
            said = {"ttft_s": times[0] - began, "tokens_per_s": rate, "tokens": steps}
        print(json.dumps(said), flush=True)


@torch.inference_mode()
def moments(
    model: Any, tokenizer: Any, prompts: list[list[dict[str, str]]], tokens: int
) -> list[float]:
    """When each token of the batch was there, with its log-probability."""
    texts = [
        tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for prompt in prompts
    ]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    mask = batch["attention_mask"]
    ids, cache, times = batch["input_ids"], None, []
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    for _ in range(tokens):
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        last = torch.log_softmax(out.logits[:, -1], -1)
        ids = last.argmax(-1, keepdim=True)
        mask = torch.cat([mask, torch.ones_like(ids)], -1)
        positions = positions[:, -1:] + 1
        times.append(time.perf_counter())
    return times


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
