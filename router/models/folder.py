"""What an ONNX Runtime GenAI folder says of itself, whoever made it.

In goes a folder with a `genai_config.json`; out come the few facts the store needs from it.
"""

from __future__ import annotations

import json
from pathlib import Path

from .catalogue import PHI_SAFE_CONTEXT

CONFIG = "genai_config.json"


def is_model(folder: Path) -> bool:
    """Whether ONNX Runtime GenAI would take this folder for a model."""
    return (folder / CONFIG).is_file()


def context_limit(folder: Path) -> int | None:
    """Most tokens prompt and answer may have together, and be right. None: it isn't said.

    The config of a Phi-3 build names the length up to which its positions can be stretched;
    past 4,096 tokens its answers can be wrong without a sign, so that is the limit given here.
    """
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        kind, length = config["model"]["type"], config["model"]["context_length"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(length, int) or length <= 0:
        return None
    if isinstance(kind, str) and kind.startswith("phi"):
        return min(length, PHI_SAFE_CONTEXT)
    return length
