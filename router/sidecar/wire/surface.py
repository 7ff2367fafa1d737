"""What a way of asking owes the street: how its whole answers, its events and its errors look.

The street knows nothing of dialects. A surface gets what was asked and what came of it, and gives
bytes; `asked` sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...hops import Outcome
from ...types import Chunk, TokenLogprob, ToolCall
from .chat import Asked
from .failure import Failure


@dataclass(slots=True)
class Said:
    """All that an answer says, as its chunks are added.

    Attributes:
        text: In pieces.
        calls: Tools that are to be called.
        logprobs: The tokens of the text, where they were asked for and told.
    """

    text: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)

    def add(self, chunk: Chunk) -> None:
        """The next piece."""
        self.text.append(chunk.text)
        self.calls.extend(chunk.tool_calls)
        self.logprobs.extend(chunk.logprobs)


class Events(Protocol):
    """The events of one streamed answer, in the order of these methods."""

    def first(self) -> bytes:
        """What comes before everything else. Empty: nothing does."""
        ...

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer."""
        ...

    def last(self, outcome: Outcome) -> bytes:
        """How it ended."""
        ...

    def broken(self, failure: Failure, router: Mapping[str, Any] | None) -> bytes:
        """Why there is no more of it. May come at any time, also before `first`."""
        ...


class Surface(Protocol):
    """A way of asking. Has no state: one serves all requests."""

    def whole(self, asked: Asked, created: int, said: Said, outcome: Outcome) -> bytes:
        """The body of a whole answer; `created` in seconds since 1970-01-01 UTC."""
        ...

    def events(self, asked: Asked, decision_id: str, created: int, model: str) -> Events:
        """The events of a new answer of `model`, as far as that is known at its beginning."""
        ...
