"""What a provider is: a place that can answer, bound to one target of the config."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..errors import Incapable
from ..types import Ability, Ask, Chunk, Need, served_by

Transport = Literal["sdk", "lean"]
JsonFormat = Literal["json_object", "json_schema"]
"""Types of `response_format`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One provider, model and endpoint, as the config binds it to a tier.

    Attributes:
        name: The config's word for it, such as ``"cloud"``. Names every error and ledger row.
        tier: The policy's tier it serves.
        provider: Module in `router.providers`.
        model: What the endpoint calls the model; on Azure the deployment's name.
        base_url: None: the dialect's own. Never shown: a wrong one may hold a password.
        api_key: The key itself, as the config found it at load. Never shown.
        read_key: Gives the key as it is now. None: `api_key` is the key.
        transport: Official client, or the lean wire.
        max_output_tokens: Most tokens an answer may have when the request doesn't say.
        timeout_s: Longest one attempt may take, whatever the deadline.
        connect_timeout_s: Longest the connection may take.
        proxy: URL of a proxy. None: as the environment says. Never shown: it may hold a password.
        ca_file: A PEM file of certificate authorities to trust beside the system's.
        options: What only this provider understands; the provider checks it.
    """

    name: str
    tier: str
    provider: str
    model: str
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    read_key: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    transport: Transport = "sdk"
    max_output_tokens: int = 1024
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def key(self) -> str | None:
        """The key to send now; read anew where it may have been changed."""
        return self.api_key if self.read_key is None else self.read_key()


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
        abilities: What its targets take beside text; a target's options may say otherwise.
        json_formats: How it may be asked for JSON.
        strict_schema: Whether a schema is sent with `strict`. Services that heed it take a part of
            JSON Schema only and refuse the rest, so it is for those who write for that part.
        max_image_bytes: Most bytes that the `data:` URLs of one request may have together, as sent.
        lists_models: Whether its list of models names what `model` may be. On Azure it doesn't.
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
    abilities: frozenset[Ability] = frozenset()
    json_formats: frozenset[JsonFormat] = frozenset({"json_object", "json_schema"})
    strict_schema: bool = False
    max_image_bytes: int = 20_000_000
    lists_models: bool = True
    retired: str | None = None
    successors: str | None = None


def honours(ask: Ask, abilities: Set[Need]) -> Set[Need]:
    """Let an ask pass that needs no more than text and `abilities`. Returns what it needs.

    Raises: Incapable for any other: nothing of an ask is silently dropped.
    """
    needs = ask.needs
    missing = () if needs <= abilities else sorted(needs - served_by(abilities))
    if missing:
        takes = ", ".join(("text", *sorted(abilities))) if abilities else "text only"
        raise Incapable(f"it takes {takes}; this needs: {', '.join(missing)}", reached=False)
    return needs


def no_field(ask: Ask, *names: str) -> None:
    """Refuse an ask that wishes what a wire has no field for.

    Args:
        names: Fields of `Ask` that are empty unless they are wished for.

    Raises: Incapable: nothing of an ask is silently dropped.
    """
    missing = [name for name in names if getattr(ask, name) not in (None, {})]
    if missing:
        raise Incapable(f"it has no way to be told: {', '.join(missing)}", reached=False)


def text_only(ask: Ask) -> None:
    """`honours` for a provider without abilities."""
    honours(ask, frozenset())


class Provider(Protocol):
    """A place that can answer. Two methods; the second is housekeeping.

    One that takes more than text says so by `abilities`, a set of `Need`; without it none of
    them is asked of it. One for which nothing leaves this machine says so by `here`, a bool. One
    that needs a network says so by `address`, host and port of its connections; without it, or
    with None, it needs none. One that can be looked at is a `Checkable` too; see `check.py`.
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
