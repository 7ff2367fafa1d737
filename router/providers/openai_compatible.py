"""Any server that speaks the OpenAI chat wire: vLLM, llama.cpp, Ollama, a gateway, OpenAI itself.

Status: as good as the server; `base_url` has to be given. Its habits are told by `options`:
`cap_field` (``max_tokens`` or ``max_completion_tokens``), `usage_in_stream` (false where the server
stumbles over `stream_options`), `logprobs`, and those of `abilities.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

from ..document import nearest
from ..errors import ConfigError
from .base import Dialect, Provider, Target
from .openai_wire import OpenAIWire
from .options import flag

DIALECT = Dialect(name="openai_compatible", logprobs=True, abilities=frozenset({"tools", "json"}))


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    cap_field = target.options.get("cap_field", DIALECT.cap_field)
    known = get_args(get_type_hints(Dialect)["cap_field"])
    if cap_field not in known:
        raise ConfigError(
            f"{cap_field!r} is no field for the cap on output tokens",
            field=f"targets.{target.name}.options.cap_field",
            hint=nearest(str(cap_field), known),
        )
    dialect = replace(
        DIALECT,
        cap_field=cap_field,
        usage_in_stream=flag(target, "usage_in_stream", default=DIALECT.usage_in_stream),
    )
    return OpenAIWire(
        target,
        dialect,
        example_url="http://127.0.0.1:8000/v1",
        more_options=("cap_field", "usage_in_stream"),
    )
