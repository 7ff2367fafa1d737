"""What a scripted target says: one frozen `Step` an answer, and what it would charge for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ..errors import HopError
from ..types import Finish, TokenStat, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a scripted answer; `stat` None: its probability is not told."""

    text: str
    stat: TokenStat | None


@dataclass(frozen=True, slots=True)
class Failure:
    """How a scripted call fails.

    Attributes:
        error: The class to raise.
        message: Its text.
        fields: What else it says: `retryable`, `retry_after_s`, `status`, `code`.
    """

    error: type[HopError]
    message: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One scripted answer.

    Attributes:
        match: Words in the last user message, lower case. None: a step taken in order.
        tokens: The whole answer.
        tool_calls: What it asks to be called, at its end.
        ttft_s: Seconds before the first token, or before whatever comes instead.
        tpot_s: Seconds before each further token.
        finish: Why it ends.
        usage: What it says of its tokens; "counted": their honest number. None: nothing.
        stop_after: Tokens before it goes wrong. None: it goes well.
        failure: How it then goes wrong. None: the answer is cut off, or hangs.
        hang: It then waits for ever.
    """

    match: str | None
    tokens: tuple[Token, ...]
    tool_calls: tuple[ToolCall, ...]
    ttft_s: float
    tpot_s: float
    finish: Finish
    usage: Usage | Literal["counted"] | None
    stop_after: int | None
    failure: Failure | None
    hang: bool


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens."""

    input_usd_per_1m: Decimal
    output_usd_per_1m: Decimal
    cached_input_usd_per_1m: Decimal

    def charge_usd(self, usage: Usage | None) -> Decimal | None:
        """Exact dollars for one answer. None: the tokens are not all known."""
        if usage is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = usage.cached_input_tokens or 0
        return (
            (usage.input_tokens - cached) * self.input_usd_per_1m
            + cached * self.cached_input_usd_per_1m
            + usage.output_tokens * self.output_usd_per_1m
        ) / 1_000_000
