"""One call to a provider, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router import providers
from router.errors import HopError
from router.providers.azure_wire import AzureWire
from router.providers.base import Dialect, Provider, Target, Transport
from router.types import Ask, Chunk, Message

KEY = "echoed-key-0123456789"
MODEL = "asked-model"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "nvidia_nim/nim1": {"dialect": "nim1"},
    "nvidia_nim/nim2": {"dialect": "nim2"},
    "nvidia_nim/polled": {"status_url": "http://127.0.0.1:9"},
}
"""Ways to speak that a provider's options choose: held to the same promises, by these options."""
FORMS: dict[str, dict[str, Any]] = {
    "azure_ai:deployments": {"dialect": "deployments", "api_version": "2024-10-21"},
    "azure_ai:online": {"dialect": "online", "deployment": "blue"},
    "azure_ai:inference": {"dialect": "inference"},
}
"""Forms of Azure with an address of their own; held to the same promises by a suite of theirs."""

SHIPPED = providers.names()
providers.__path__.append(str(Path(__file__).parent / "toys"))
providers.names.cache_clear()  # from here on the toys are found, as a new file beside the rest is
OWN = tuple(name for name in providers.names() if providers.dialect(name) is not None)
HTTP_PROVIDERS = sorted([*OWN, *VARIANTS])
"""Whatever speaks the chat wire; found, not listed."""
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


def target(name: str, base_url: str, transport: Transport, **more: Any) -> Target:
    """A target of the provider `name`, or of one of `VARIANTS` or `FORMS`."""
    fields = {"api_key": KEY, "timeout_s": 5.0, "model": MODEL, **more}
    fields["options"] = {**{**VARIANTS, **FORMS}.get(name, {}), **fields.get("options", {})}
    return Target(
        name="cloud",
        tier="strong",
        provider=provider_of(name),
        base_url=base_url,
        transport=transport,
        **fields,
    )


def provider_of(name: str) -> str:
    """The provider's own name, without the variant's or the form's."""
    return name.partition("/")[0].partition(":")[0]


def dialect_of(name: str) -> Dialect:
    """How a provider, or one of `FORMS`, speaks."""
    if name in FORMS:
        provider = providers.build(target(name, "http://127.0.0.1:9/d", "lean"))
        assert isinstance(provider, AzureWire)
        return provider.form.dialect
    found = providers.dialect(provider_of(name))
    assert found is not None
    return found


async def listen(provider: Provider, ask: Ask = ASK) -> Heard:
    heard = Heard()
    try:
        async for chunk in provider.stream(ask):
            heard.chunks.append(chunk)
    except HopError as error:
        heard.error = error
    return heard
