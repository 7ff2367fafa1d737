"""What is asked and what is answered: values that are said in every room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Role = Literal["system", "user", "assistant"]
Label = Literal["public", "internal", "pii", "secret"]
Finish = Literal["stop", "length", "content_filter", "cancelled"]

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
LABELS: tuple[Label, ...] = ("public", "internal", "pii", "secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller asks.

    Attributes:
        messages: The conversation, oldest first; at least one.
        max_output_tokens: Most tokens the answer may have. None: the target's own cap.
        temperature: None: the target's default. On the device that is greedy.
        seed: For targets that sample with one.
        stop: Strings that end the answer; they are not part of it.
        label: How private the text is, as the caller says.
        tags: The caller's own words for the ledger and the policy, such as ``{"team": "x"}``.
        deadline_s: Seconds from arrival until an answer is worth nothing. None: the policy's.
        cost_usd: Most this request may cost. None: the policy's.
        target: Ask this target and no other; guards still hold. None: the policy decides.
    """

    messages: tuple[Message, ...]
    max_output_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    label: Label = "public"
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    cost_usd: Decimal | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one provider is given: the request as it goes to one target, once.

    Attributes:
        attempt_id: Unique for this call on the wire; sent along where a target takes such an id.
        messages: The conversation, oldest first.
        max_output_tokens: Cap for this target, already resolved: never absent.
        timeout_s: Seconds left. The drive cancels the call when they are over;
            a provider may use it to refuse at once.
    """

    attempt_id: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class TokenStat:
    """What the model's own probabilities said when it chose one token.

    Attributes:
        logprob: Natural log of the chosen token's probability, <= 0.
        entropy: Shannon entropy of the whole distribution, nats, >= 0.
            None: the target shows only a few alternatives.
        margin: Probability of the first choice less that of the second, 0 to 1. None: not shown.
    """

    logprob: float
    entropy: float | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the target counted them. None means it did not say; never zero for unknown.

    Attributes:
        input_tokens: Prompt tokens, cached ones included.
        output_tokens: Answer tokens, reasoning ones included.
        cached_input_tokens: The part of `input_tokens` read from a prompt cache.
        reasoning_tokens: The part of `output_tokens` that was not shown.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer as it comes.

    Attributes:
        text: Whole characters only; may be empty.
        tokens: Statistics of the tokens behind `text`; empty where a target gives none.
        finish: Set once, on the chunk that ends the answer.
        usage: Set at most once, on the last chunk or after it.
        model: The model that answered, as it calls itself.
        request_id: The target's own id for this call.
    """

    text: str = ""
    tokens: tuple[TokenStat, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A collected stream.

    Attributes:
        finish: None: the stream ended without saying why.
    """

    text: str
    tokens: tuple[TokenStat, ...] = ()
    finish: Finish | None = None
    usage: Usage = Usage()
    model: str | None = None
    request_id: str | None = None
