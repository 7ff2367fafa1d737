"""A toy: a service that speaks the chat wire, with a key header and a cap field of its own.

Status: made up. This is all that such a service takes: the file lies among the providers, and a
config may name it.
"""

from __future__ import annotations

from router.providers.base import Dialect, Provider, Target
from router.providers.openai_wire import OpenAIWire

DIALECT = Dialect(
    name="toy_chat",
    key_env=("TOY_KEY",),
    key_headers=("x-toy-key",),
    headers={"x-toy": "1"},
    cap_field="max_completion_tokens",
    logprobs=True,
    abilities=frozenset({"tools", "json"}),
)


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    return OpenAIWire(target, DIALECT, example_url="https://toy.example/v1")
