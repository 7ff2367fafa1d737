"""Every signal a policy can speak of: the single source for checks, docs and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number that is only known not to be larger than `bound`."""

    bound: float

    def __str__(self) -> str:
        return f"at most {self.bound:.15g}"


Value = float | int | str | bool | AtMost | None
"""What a signal can be. None: unknown. A float is finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One line of the catalogue.

    Attributes:
        name: As a policy writes it, ``room.word``.
        type: What it can be compared with.
        unit: None: a bare number or a word.
        low: Smallest possible value. None: no bound.
        high: Largest possible value. None: no bound.
        words: Its members, for a word.
        known: From when on it can be known.
        may_be_unknown: Whether a policy has to reckon with unknown.
        source: Where it comes from.
        summary: What it says, in a line.
    """

    name: str
    type: Literal["number", "word"]
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    known: Literal["request", "draft"]
    may_be_unknown: bool
    source: str
    summary: str


_LOGPROBS = "the probabilities the model itself gave the tokens it chose"

_SIGNALS = (
    Signal(
        name="prompt.tokens",
        type="number",
        unit="tokens",
        low=1,
        known="request",
        may_be_unknown=True,
        source="the device's tokenizer, template included; until it is loaded, an upper bound "
        "by bytes, which decides only what a bound can decide",
        summary="Length of the conversation as the device would read it.",
    ),
    Signal(
        name="prompt.turns",
        type="number",
        unit="messages",
        low=1,
        known="request",
        may_be_unknown=False,
        source="the request",
        summary="Number of messages in the conversation.",
    ),
    Signal(
        name="request.label",
        type="word",
        words=("public", "internal", "pii", "secret"),
        known="request",
        may_be_unknown=False,
        source="the caller; public when nothing is said",
        summary="How private the text is.",
    ),
    Signal(
        name="draft.mean_logprob",
        type="number",
        unit="nats per token",
        high=0,
        known="draft",
        may_be_unknown=True,
        source=_LOGPROBS,
        summary="Mean log-probability of the draft's tokens.",
    ),
    Signal(
        name="draft.min_logprob",
        type="number",
        unit="nats",
        high=0,
        known="draft",
        may_be_unknown=True,
        source=_LOGPROBS,
        summary="Log-probability of the draft's least likely token.",
    ),
    Signal(
        name="draft.q10_logprob",
        type="number",
        unit="nats",
        high=0,
        known="draft",
        may_be_unknown=True,
        source=_LOGPROBS,
        summary="10 % quantile of the tokens' log-probabilities.",
    ),
    Signal(
        name="draft.first_entropy",
        type="number",
        unit="nats",
        low=0,
        known="draft",
        may_be_unknown=True,
        source="the model's whole distribution before its first token",
        summary="Entropy of the first token's distribution.",
    ),
    Signal(
        name="draft.first_margin",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        source="the model's whole distribution before its first token",
        summary="Probability of the first token less that of its nearest rival.",
    ),
    Signal(
        name="draft.min_margin",
        type="number",
        low=0,
        high=1,
        known="draft",
        may_be_unknown=True,
        source="the model's distributions",
        summary="Smallest margin between a token and its nearest rival.",
    ),
    Signal(
        name="draft.tokens",
        type="number",
        unit="tokens",
        low=0,
        known="draft",
        may_be_unknown=True,
        source="the target's own count",
        summary="Length of the draft.",
    ),
    Signal(
        name="draft.finish",
        type="word",
        words=("stop", "length", "content_filter", "cancelled"),
        known="draft",
        may_be_unknown=True,
        source="the target",
        summary="Why the draft ended.",
    ),
)

CATALOGUE: Mapping[str, Signal] = {signal.name: signal for signal in _SIGNALS}
