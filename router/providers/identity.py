"""What a target answers with, as exactly as it can tell: what a calibration is bound to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from .base import Target


class Identity(NamedTuple):
    """What answers. None: not known yet.

    Attributes:
        model: Its name.
        quantisation: Which build of its weights.
        engine: What runs it, with its version; of a device known once its worker is up.
    """

    model: str | None
    quantisation: str | None
    engine: str | None


@runtime_checkable
class Identified(Protocol):
    """A provider that knows more of what answers than its target's config says."""

    def identity(self) -> Identity:
        """As far as is known now. Quick, once it has answered."""
        ...


def identity_of(target: Target, provider: object) -> Callable[[], Identity]:
    """Asks what answers under a target: its provider, or else the config's own words."""
    if isinstance(provider, Identified):
        return provider.identity
    told = Identity(target.model, "none", target.provider)
    return lambda: told
