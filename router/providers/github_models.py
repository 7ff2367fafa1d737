"""GitHub Models: retired. Kept for old configs and look-alikes inside companies.

Status: ended for every customer on 2026-07-30; last looked 2026-11-22. In its last weeks it
answered 410, which is `Gone`: nothing waits for it to come back. `model` is ``publisher/name``; at
the older address, gone since 2025-10-17, it was the name alone. Option `org`: the organisation that
pays. `github_wire.py` has the rest: addresses, the catalogue, and what its limits leave out.
"""

from __future__ import annotations

from .base import Dialect, Provider, Target
from .github_wire import GitHubWire

DIALECT = Dialect(
    name="github_models",
    base_url="https://models.github.ai/inference",
    key_env=("GITHUB_TOKEN",),
    headers={"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"},
    logprobs=True,
    abilities=frozenset({"tools", "json"}),
    retired="2026-07-30",
    successors="azure_ai or nvidia_nim",
)


def build(target: Target) -> Provider:
    """A provider for one model. Raises: ConfigError."""
    return GitHubWire(target, DIALECT)
