"""The one file that imports ONNX Runtime GenAI, with its telemetry off, and loads a model with it.

In goes a folder and options, out come the runtime's model and tokenizer. The runtime is not typed,
so neither are they.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Read by the runtime as it is imported: otherwise it reports usage to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime_genai as og

from .engine import EngineOptions

NAME = f"onnxruntime-genai {og.__version__}"


def has_accelerator(name: str) -> bool | None:
    """Whether the runtime was built with an execution provider; a driver may still be missing.

    None: it can't tell before a model loads.
    """
    if name.lower() == "cpu":
        return True
    built_in = getattr(og, f"is_{name.lower()}_available", None)
    return None if built_in is None else bool(built_in())


def load_model(folder: Path, options: EngineOptions, accelerator: str | None) -> tuple[Any, Any]:
    """A model on `accelerator`, or on the CPU when that is None; and its tokenizer.

    Providers the folder itself names are set aside: where it runs is the caller's choice.

    Raises:
        RuntimeError: As the runtime says it.
    """
    og.disable_telemetry_events()
    config = og.Config(str(folder))
    config.clear_providers()
    if accelerator is not None:
        config.append_provider(accelerator)
    session: dict[str, Any] = {
        "session.intra_op.allow_spinning": "1" if options.spinning else "0",
    }
    if options.threads is not None:
        session["intra_op_num_threads"] = options.threads
    config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
    model = og.Model(config)
    return model, og.Tokenizer(model)


def make_generator(model: Any, max_length: int, temperature: float | None, seed: int | None) -> Any:
    """A generator for one answer.

    Args:
        max_length: Prompt and answer together; the key-value cache is that long from the start.
        temperature: None or 0: the likeliest token each time. Else tokens are drawn from the whole
            distribution at that temperature; cuts the folder's defaults would make are lifted.
        seed: Any integer; its low 31 bits count. None: different each time.
    """
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=max_length, num_beams=1, num_return_sequences=1)
    if temperature:
        params.set_search_options(do_sample=True, temperature=temperature, top_k=0, top_p=1.0)
        params.set_search_options(random_seed=-1 if seed is None else seed % 2**31)
    else:
        params.set_search_options(do_sample=False)
    return og.Generator(model, params)
