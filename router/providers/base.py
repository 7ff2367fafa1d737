"""What a provider is: a place that can answer, bound to one target of the config."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..errors import Incapable
from ..types import Ask, Chunk

Transport = Literal["sdk", "lean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One provider, model and endpoint, as the config binds it to a tier.

    Attributes:
        name: The config's word for it, such as ``"cloud"``. Names every error and ledger row.
        tier: The policy's tier it serves.
        provider: Module in `router.providers`.
        model: What the endpoint calls the model; on Azure the deployment's name.
        base_url: None: the dialect's own.
        api_key: The key itself, read by the config from where it lies. Never shown.
        transport: Official client, or the lean wire.
        max_output_tokens: Most tokens an answer may have when the request doesn't say.
        timeout_s: Longest one attempt may take, whatever the deadline.
        connect_timeout_s: Longest the connection may take.
        proxy: URL of a proxy. None: as the environment says.
        ca_file: A PEM file of certificate authorities to trust beside the system's.
        options: What only this provider understands; the provider checks it.
    """

    name: str
    tier: str
    provider: str
    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    transport: Transport = "sdk"
    max_output_tokens: int = 1024
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    proxy: str | None = None
    ca_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one service speaks the OpenAI chat-completions wire.

    Attributes:
        name: The provider's module name.
        base_url: None: the config has to give one.
        key_env: Environment variables an unset key is looked for in, by the config.
        key_headers: Headers that carry the key; ``Bearer `` goes before it in `authorization`.
        headers: Sent with every call.
        cap_field: The body's field for the cap on output tokens.
        usage_in_stream: Whether `stream_options.include_usage` may be sent.
        logprobs: Whether token log-probabilities may be asked for.
        retired: ISO date the service ended. None: it lives.
        successors: What to use instead, in words.
    """

    name: str
    base_url: str | None = None
    key_env: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ("authorization",)
    headers: Mapping[str, str] = field(default_factory=dict)
    cap_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage_in_stream: bool = True
    logprobs: bool = False
    retired: str | None = None
    successors: str | None = None


def text_only(ask: Ask) -> None:
    """Raises Incapable for an ask that needs more than text: nothing of it is silently dropped."""
    if ask.needs:
        needs = ", ".join(sorted(ask.needs))
        raise Incapable(f"it takes text only; this needs: {needs}", reached=False)


class Provider(Protocol):
    """A place that can answer. Two methods; the second is housekeeping.

    One that takes more than text says so by `abilities`, a set of `Ability`; without it none of
    them is asked of it.
    """

    def stream(self, ask: Ask) -> AsyncIterator[Chunk]:
        """Yield the answer as it comes, usage on the last chunk.

        Raises `HopError` and nothing else. Closing the iterator, or cancelling the task that
        reads it, stops the work behind it.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes. Safe to call twice."""
        ...
