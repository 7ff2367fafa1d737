"""What a provider on this device can be asked beside answers: counts, health, forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .types import Message

if TYPE_CHECKING:
    from .device.predict import Forecast
    from .device.wire import Healthy


@runtime_checkable
class OnDevice(Protocol):
    """What a provider on this device can be asked without a call."""

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens, template included. None: its tokenizer is not loaded."""
        ...

    async def health(self) -> Healthy | None:
        """How its worker is. None: it is not up."""
        ...

    def up(self) -> bool:
        """Whether its worker is there, so that a call has not to wait for a start."""
        ...

    async def context_limit(self) -> int | None:
        """Tokens its model takes, prompt and answer. None: not known yet."""
        ...

    async def forecast(
        self,
        *,
        input_tokens: int | None,
        cap: int,
        tenant: str = "",
        within_s: float | None = None,
    ) -> Forecast | None:
        """When an answer would begin and end. None: there is no model."""
        ...
