"""What a target answers with, as exactly as it can tell: what a calibration is bound to."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


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
    """A provider that can tell. Others can't be calibrated for: what a cloud runs may change."""

    def identity(self) -> Identity:
        """As far as is known now. Quick, once it has answered."""
        ...
