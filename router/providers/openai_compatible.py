"""Any server that speaks the OpenAI chat wire: vLLM, llama.cpp, Ollama, a gateway, OpenAI itself.

Status: as good as the server; `base_url` has to be given. Its habits are told by `options`:
`cap_field` (``max_tokens`` or ``max_completion_tokens``), `usage_in_stream` (false where the server
stumbles over `stream_options`), `logprobs`, and those of `abilities.py`.
"""

from __future__ import annotations

from .abilities import HABITS, habits
from .base import Dialect, Provider, Target
from .openai_wire import OpenAIWire

DIALECT = Dialect(name="openai_compatible", logprobs=True, abilities=frozenset({"tools", "json"}))


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    return OpenAIWire(
        target,
        habits(target, DIALECT),
        example_url="http://127.0.0.1:8000/v1",
        more_options=HABITS,
    )
