"""Any server that speaks the OpenAI chat wire: vLLM, llama.cpp, Ollama, a gateway, OpenAI itself.

Status: as good as the server; `base_url` has to be given. Its habits are told by `options`:
`cap_field` (``max_tokens`` or ``max_completion_tokens``), `usage_in_stream` (false where the server
stumbles over `stream_options`), `logprobs`, `embeddings` (the model that makes them, where the
server has one), and those of `abilities.py`.
"""

from __future__ import annotations

from ..errors import ConfigError
from .abilities import HABITS, habits
from .base import Dialect, Provider, Target
from .openai_wire import OpenAIWire

DIALECT = Dialect(name="openai_compatible", logprobs=True, abilities=frozenset({"tools", "json"}))
_EMBEDDINGS = "embeddings"


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    embeddings_of(target)
    return OpenAIWire(
        target,
        habits(target, DIALECT),
        example_url="http://127.0.0.1:8000/v1",
        more_options=(*HABITS, _EMBEDDINGS),
    )


def embeddings_of(target: Target) -> str | None:
    """The model that makes embeddings at this target's address. None: none does.

    Raises: ConfigError when the option is no name.
    """
    model = target.options.get(_EMBEDDINGS)
    if model is not None and (not isinstance(model, str) or not model.strip()):
        raise ConfigError(
            "has to be the name of the model that makes them",
            field=f"targets.{target.name}.options.{_EMBEDDINGS}",
        )
    return model
