"""What a target tells when it is looked at, and who looks: one way for all providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..redaction import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a target tells when it is looked at: no prompt is sent, no answer is made.

    None in any field: it can't be told this way. False is bad news, True is good news. Secrets that
    this process knows of are taken out of every text that is put in, for servers echo what they
    were sent.

    Attributes:
        url: What was asked first. None: nobody was asked over a wire.
        reachable: Something answers at its address; on the device: its model can be read.
        ready: It could answer now. On a server of one's own: the model is loaded.
        authorised: The key, or token, is taken. True only where the same question without it is
            turned away. False also where a key is needed and there is none that can be sent.
        model_exists: The model is among those it has.
        models: Names of all that it has, as it lists them.
        retires: ISO date its service or model ends, or has ended.
        context_limit: Tokens its model takes, prompt and answer.
        version: What the server calls itself.
        clock_ahead_s: Seconds by which this machine's clock is ahead of the server's, measured at
            the middle of the exchange; exact to a second, as HTTP dates are.
        took_s: Seconds until the first answer was whole.
        says: What else was found, a sentence each; what to do stands behind ``; try: ``.
    """

    url: str | None = None
    reachable: bool | None = None
    ready: bool | None = None
    authorised: bool | None = None
    model_exists: bool | None = None
    models: tuple[str, ...] = ()
    retires: str | None = None
    context_limit: int | None = None
    version: str | None = None
    clock_ahead_s: float | None = None
    took_s: float | None = None
    says: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Keep secrets out, whoever fills it in."""
        for name in ("url", "version"):
            text = getattr(self, name)
            object.__setattr__(self, name, text and redact(text))
        for name in ("models", "says"):
            object.__setattr__(self, name, tuple(redact(text) for text in getattr(self, name)))

    @property
    def well(self) -> bool:
        """Whether there is no bad news. A date in `retires` is for the reader to judge."""
        return False not in (self.reachable, self.ready, self.authorised, self.model_exists)


@runtime_checkable
class Checkable(Protocol):
    """A provider that can be looked at without a call. Optional; each of ours is one."""

    async def check(self) -> Check:
        """Look now. Takes seconds at most, costs nothing, and raises nothing: all is in the result.

        It stands apart from `stream`: on any event loop, before the first call or after the last.
        """
        ...
