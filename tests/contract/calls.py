"""One call to a provider, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from router import providers
from router.errors import HopError
from router.providers.azure_wire import AzureWire
from router.providers.base import Dialect, Provider, Target, Transport
from router.types import Ask, Chunk, Message

KEY = "echoed-key-0123456789"
MODEL = "asked-model"
TRANSPORTS: tuple[Transport, ...] = ("lean", "sdk")
ASK = Ask(
    attempt_id="attempt-0001",
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Grüße?"),
        Message(role="assistant", content="Hello!"),
        Message(role="user", content="And now? 🌍"),
    ),
    max_output_tokens=77,
)


@dataclass
class Heard:
    """What came of one call."""

    chunks: list[Chunk] = field(default_factory=list)
    error: HopError | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def filtered(self) -> tuple[str, ...]:
        """What a content filter cut it for; the last word counts."""
        return next((c.filtered for c in reversed(self.chunks) if c.filtered), ())

    def only(self, name: str) -> Any:
        """The one value of a field that may be set once; None: never set."""
        values = [v for c in self.chunks if (v := getattr(c, name)) is not None]
        assert len(values) <= 1, f"{name} was set {len(values)} times"
        return values[0] if values else None


@asynccontextmanager
async def opened(provider: Provider) -> AsyncIterator[Provider]:
    try:
        yield provider
    finally:
        await provider.aclose()
        await provider.aclose()  # twice is allowed


FORMS: dict[str, dict[str, Any]] = {
    "azure_ai:deployments": {"dialect": "deployments", "api_version": "2024-10-21"},
    "azure_ai:online": {"dialect": "online", "deployment": "blue"},
    "azure_ai:inference": {"dialect": "inference"},
}
"""Providers that speak in several forms: by a name for each, the options that choose it."""


def dialect_of(name: str) -> Dialect:
    """How a provider, or one of `FORMS`, speaks."""
    if name in FORMS:
        provider = providers.build(target(name, "http://127.0.0.1:9/d", "lean"))
        assert isinstance(provider, AzureWire)
        return provider.form.dialect
    dialect = providers.dialect(name)
    assert dialect is not None
    return dialect


def target(name: str, base_url: str, transport: Transport, **more: Any) -> Target:
    fields = {"api_key": KEY, "timeout_s": 5.0, **more}
    if name in FORMS:
        fields["options"] = {**FORMS[name], **more.get("options", {})}
        name = name.partition(":")[0]
    return Target(
        name="cloud",
        tier="strong",
        provider=name,
        model=MODEL,
        base_url=base_url,
        transport=transport,
        **fields,
    )


async def listen(provider: Provider, ask: Ask = ASK) -> Heard:
    heard = Heard()
    try:
        async for chunk in provider.stream(ask):
            heard.chunks.append(chunk)
    except HopError as error:
        heard.error = error
    return heard
