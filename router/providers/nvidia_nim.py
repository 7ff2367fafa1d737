"""NVIDIA NIM: the OpenAI chat wire, hosted by NVIDIA or in a container of one's own.

Status: alive; last looked 2026-11-22. Hosted calls are a trial with a limit per minute and no price
per token; an answer that takes long is first a 202, and then asked for until it is there. Set
`base_url` to your own container, such as ``http://127.0.0.1:8000/v1``; it needs no key. Containers
of version 1 and 2 are asked for JSON of a schema in different words; what comes is checked here.
Errors come in three shapes, all of which are read.
"""

from __future__ import annotations

from .base import Dialect, Provider, Target
from .nim_wire import NimWire

DIALECT = Dialect(
    name="nvidia_nim",
    base_url="https://integrate.api.nvidia.com/v1",
    key_env=("NVIDIA_API_KEY",),
    logprobs=True,
    abilities=frozenset({"tools", "json"}),
)


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    return NimWire(target, DIALECT)
