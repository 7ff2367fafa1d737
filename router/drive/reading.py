"""What one call has given so far, with its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..quick import copier
from ..types import (
    Chunk,
    Completion,
    Finish,
    TokenLogprob,
    TokenStat,
    ToolCall,
    Transit,
    Usage,
)

if TYPE_CHECKING:
    from ..layerstate import LayerState


@dataclass(slots=True)
class Reading:
    """What one call has given so far, with its times on the clock.

    Attributes:
        says_something: There is a tool call in it, or text that is more than white space.
    """

    sent: float
    first: float | None = None
    last: float | None = None
    text: list[str] = field(default_factory=list)
    tokens: list[TokenStat] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish: Finish | None = None
    filtered: tuple[str, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    request_id: str | None = None
    transit: Transit | None = None
    state: LayerState | None = None
    says_something: bool = False

    def take(self, chunk: Chunk, now: float) -> None:
        """Add a chunk that came at `now`."""
        if chunk.text or chunk.tokens or chunk.tool_calls:
            if self.first is None:
                self.first = now
            self.last = now
            self.text.append(chunk.text)
            if chunk.tokens:
                self.tokens.extend(chunk.tokens)
            if chunk.logprobs:
                self.logprobs.extend(chunk.logprobs)
            if chunk.tool_calls:
                self.tool_calls.extend(chunk.tool_calls)
            if not self.says_something:
                self.says_something = bool(chunk.tool_calls or chunk.text.strip())
        if chunk.finish:
            self.finish = chunk.finish
        if chunk.filtered:
            self.filtered = chunk.filtered
        if chunk.usage:
            self.usage = chunk.usage
        if chunk.model:
            self.model = chunk.model
        if chunk.request_id:
            self.request_id = chunk.request_id
        if chunk.transit:
            self.transit = chunk.transit
        if chunk.state:
            self.state = chunk.state

    def completion(self) -> Completion:
        """All of it, collected."""
        return _whole(
            self,
            "".join(self.text),
            tuple(self.tokens),
            tuple(self.logprobs),
            tuple(self.tool_calls),
        )

    def ttft_s(self) -> float | None:
        """Seconds from sending to the first token."""
        return None if self.first is None else self.first - self.sent

    def tpot_s(self) -> float | None:
        """Mean seconds per token after the first, of the tokens that were shown.

        Reasoning tokens come before the first that is shown, so they are outside the time
        measured and are not counted either.
        """
        counted = self.usage.output_tokens
        shown = len(self.tokens)
        if counted is not None:
            shown = counted - (self.usage.reasoning_tokens or 0)
        if shown < 2 or self.first is None or self.last is None or self.last <= self.first:
            return None
        return (self.last - self.first) / (shown - 1)


_whole = copier(Completion, Reading, "text", "tokens", "logprobs", "tool_calls")
