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

from ..errors import Refused
from .engine import EngineOptions, Guide
from .folder import CONFIG_FILE
from .guide_graph import FILE as GUIDE_FILE
from .guide_graph import guide_graph

_GUIDES = {"json": "json_schema", "regex": "regex", "lark": "lark_grammar"}
_KEY_AND_VALUE = 2
_FLOAT_BYTES = 4  # some builds keep halves; this is the upper bound

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


def load_tokenizer(folder: Path) -> Any:
    """A folder's tokenizer alone.

    Raises:
        RuntimeError: As the runtime says it.
    """
    return og.Tokenizer(str(folder))


def load_guide_model(folder: Path, vocab: int) -> Any:
    """A model with a folder's tokenizer and no weights: its generators choose among logits that
    are set. Nothing is written to disk.

    Raises:
        RuntimeError: As the runtime says it.
    """
    og.disable_telemetry_events()
    config = og.Config(str(folder))
    config.clear_providers()
    small = dict.fromkeys(
        ("num_hidden_layers", "num_key_value_heads", "num_attention_heads", "head_size"), 1
    )
    names = {
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    decoder = {"filename": GUIDE_FILE, "hidden_size": 1, **small, **names}
    model = {"type": "llama", "vocab_size": vocab, "decoder": decoder}
    config.overlay(json.dumps({"model": model}))
    config.add_model_data(GUIDE_FILE, guide_graph(vocab))
    return og.Model(config)


def make_generator(model: Any, max_length: int, guide: Guide | None = None) -> Any:
    """A generator that chooses the likeliest token, of those that `guide` allows.

    Args:
        max_length: Prompt and answer together; the key-value cache is that long from the start.

    Raises:
        RuntimeError: The guide can't be read, in the runtime's words.
    """
    params = og.GeneratorParams(model)
    params.set_search_options(
        max_length=max_length, num_beams=1, num_return_sequences=1, do_sample=False
    )
    if guide is not None:
        # Forced tokens go through the model like any other: each has its own row of logits.
        params.set_guidance(_GUIDES[guide.kind], guide.text, False)
    return og.Generator(model, params)


def cache_token_bytes(folder: Path) -> int | None:
    """Bytes of key-value cache that a token takes, at most. None: the folder doesn't say."""
    try:
        decoder = json.loads((folder / CONFIG_FILE).read_bytes())["model"]["decoder"]
        heads = decoder["num_key_value_heads"] * decoder["head_size"]
        return int(decoder["num_hidden_layers"] * heads * _KEY_AND_VALUE * _FLOAT_BYTES)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def guided_choice(generator: Any) -> int:
    """The next token of a generator that is held to a form.

    Raises:
        Refused: The form can't be followed. What the runtime says of it spells form and answer,
            so it is not passed on.
    """
    try:
        generator.generate_next_token()
    except RuntimeError:
        raise Refused("the form can't be followed by this model's tokens") from None
    return int(generator.get_next_tokens()[0])
