"""What `firsthop init` is about to write: targets, where the key lies, prices, policy.

Values only; `init_ask` and flags fill them, `init_write` turns them into files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from .. import providers
from ..errors import ConfigError
from ..keys import Place
from ..providers.base import Provider, Target

NAMES = {"azure_ai": "azure", "nvidia_nim": "nim", "github_models": "github"}
"""What a target is called in the config, by its provider; others are called ``cloud``."""

CLOUDS = ("azure_ai", "nvidia_nim", "openai_compatible", "ollama", "github_models")
NEEDS_ENDPOINT = frozenset({"azure_ai", "openai_compatible"})
OWN_DEVICE = "device/*@2024-01-01"
OWN_BOX = "openai_compatible/own-box@2024-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """A key and where it will lie.

    Attributes:
        place: Where the config will say that it lies.
        value: The key. None: it isn't known now.
        new: It has still to be put there.
    """

    place: Place
    value: str | None = field(repr=False)
    new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One target to be.

    Attributes:
        about: What stands beside it in the config, in words.
        own_usd_per_1m: Dollars per million tokens in and out, where no price line has them.
    """

    name: str
    provider: str
    model: str
    about: str
    base_url: str | None = None
    key: KeyPlan | None = None
    price: str | None = None
    own_usd_per_1m: tuple[Decimal, Decimal] | None = None
    max_output_tokens: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def provider_of(self, tier: str) -> Provider:
        """The provider, ready to be called. Raises: ConfigError."""
        return providers.build(self.target(tier))

    def target(self, tier: str = "") -> Target:
        """It, as the config will bind it."""
        return Target(
            name=self.name,
            tier=tier,
            provider=self.provider,
            model=self.model,
            base_url=self.base_url,
            api_key=self.key.value if self.key else None,
            options=self.options,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole config to be.

    Attributes:
        tiers: The policy's, weak to strong.
    """

    policy: str
    tiers: tuple[str, ...]
    device: Hop | None
    cloud: Hop | None

    @property
    def hops(self) -> tuple[tuple[Hop, str], ...]:
        """Each target with its tier: the device the weakest, the cloud the next one."""
        first = 1 if self.device and len(self.tiers) > 1 else 0
        cloud = ((self.cloud, self.tiers[first]),) if self.cloud else ()
        return (((self.device, self.tiers[0]),) if self.device else ()) + cloud


def dollars(written: str, field_name: str) -> tuple[Decimal, Decimal]:
    """``0.15/0.60`` as dollars per million tokens in and out. Raises: ConfigError."""
    into, sign, out = written.partition("/")
    try:
        found = Decimal(into.strip()), Decimal(out.strip())
        if sign and all(d.is_finite() and d >= 0 for d in found) and any(found):
            return found
    except InvalidOperation:
        pass
    raise ConfigError(
        f"{written!r} is not two amounts of dollars",
        field=field_name,
        hint="write them per million tokens, in and out, such as 0.15/0.60; "
        "for a server of your own that nobody bills: --price own-box",
    )
