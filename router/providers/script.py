"""*Edge:* what a scripted target is told to say: options or a YAML file in, frozen `Step`s out.

A script is a list of steps; every field may be left out::

    - match: refund                # answers each call that says this; without it: calls in order
      text: Thirty days.           # cut into words, which are its tokens
      mean_logprob: -0.2           # or `logprobs`, one a word; or `tokens`: [{text, logprob, ...}]
      ttft_s: 0.3                  # seconds to the first token
      tpot_s: 0.02                 # seconds for each after it
      finish: stop                 # or length, content_filter
      usage: {input_tokens: 12, output_tokens: 2}    # or null: says nothing; absent: its own count
    - fail: {kind: rate_limited, retry_after_s: 2}   # or message, retryable, status, code
    - {text: one two three, cut_after: 2}            # breaks off after two tokens
    - {hang: true}                                   # never answers; or hangs after `cut_after`
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pydantic

from ..document import Document, nearest, read_yaml, validate
from ..errors import HopError
from ..types import Finish, TokenStat, Usage
from .base import Target

_FAILURES: Mapping[str, type[HopError]] = {c.kind: c for c in HopError.__subclasses__()}


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


class _Shape(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class _TokenShape(_Shape):
    text: str
    logprob: float | None = pydantic.Field(None, le=0)
    entropy: float | None = pydantic.Field(None, ge=0)
    margin: float | None = pydantic.Field(None, ge=0, le=1)


class _UsageShape(_Shape):
    input_tokens: int | None = pydantic.Field(None, ge=0)
    output_tokens: int | None = pydantic.Field(None, ge=0)
    cached_input_tokens: int | None = pydantic.Field(None, ge=0)
    reasoning_tokens: int | None = pydantic.Field(None, ge=0)


class _FailShape(_Shape):
    kind: str
    message: str = "the script says so"
    retryable: bool | None = None
    retry_after_s: float | None = pydantic.Field(None, ge=0)
    status: int | None = None
    code: str | None = None

    @pydantic.field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in _FAILURES:
            raise ValueError(f"{kind!r} is no kind of failure; {nearest(kind, _FAILURES)}")
        return kind


class _StepShape(_Shape):
    match: str | None = pydantic.Field(None, min_length=1)
    text: str = ""
    tokens: list[_TokenShape] | None = None
    logprobs: list[float] | None = None
    mean_logprob: float | None = pydantic.Field(None, le=0)
    ttft_s: float = pydantic.Field(0.0, ge=0)
    tpot_s: float = pydantic.Field(0.0, ge=0)
    finish: Literal["stop", "length", "content_filter"] = "stop"
    usage: _UsageShape | None = None
    fail: _FailShape | None = None
    cut_after: int | None = pydantic.Field(None, ge=0)
    hang: bool = False

    @pydantic.model_validator(mode="after")
    def _one_way_to_say_it(self) -> _StepShape:
        if self.tokens is not None and (self.text or self.logprobs or self.mean_logprob):
            raise ValueError("`tokens` stands alone: it holds text and log-probabilities itself")
        if self.logprobs is not None and self.mean_logprob is not None:
            raise ValueError("give `logprobs` or `mean_logprob`, not both")
        words = len(_words(self.text))
        if self.logprobs is not None and len(self.logprobs) != words:
            raise ValueError(f"{len(self.logprobs)} logprobs for {words} words")
        if self.fail is not None and self.hang:
            raise ValueError("a step can't both fail and hang")
        return self

    def frozen(self) -> Step:
        """The value that is played."""
        wrong = self.hang or self.fail is not None
        counted = "usage" not in self.model_fields_set
        usage = Usage(**self.usage.model_dump()) if self.usage else None
        return Step(
            match=self.match.lower() if self.match else None,
            tokens=self._tokens(),
            ttft_s=self.ttft_s,
            tpot_s=self.tpot_s,
            finish=self.finish,
            usage="counted" if counted else usage,
            stop_after=0 if wrong and self.cut_after is None else self.cut_after,
            failure=_failure(self.fail) if self.fail else None,
            hang=self.hang,
        )

    def _tokens(self) -> tuple[Token, ...]:
        if self.tokens is not None:
            return tuple(_token(t.text, t.logprob, t.entropy, t.margin) for t in self.tokens)
        words = _words(self.text)
        logprobs: Sequence[float | None] = self.logprobs or [self.mean_logprob] * len(words)
        return tuple(_token(word, lp) for word, lp in zip(words, logprobs, strict=True))


class _PriceShape(_Shape):
    input_usd_per_1m: Decimal = pydantic.Field(ge=0)
    output_usd_per_1m: Decimal = pydantic.Field(ge=0)
    cached_input_usd_per_1m: Decimal | None = pydantic.Field(None, ge=0)


class _ScriptShape(_Shape):
    steps: list[_StepShape] = pydantic.Field(min_length=1)


class _OptionsShape(_Shape):
    price: _PriceShape | None = None


def read_steps(target: Target) -> tuple[Step, ...]:
    """The steps in `target.options`, or in the file named there.

    A relative path starts from the working directory. Raises: ConfigError.
    """
    steps = target.options.get("steps", [])
    if isinstance(steps, str):
        document = read_yaml(Path(steps))
    else:
        document = _inline(target, {"steps": steps})
    return tuple(step.frozen() for step in validate(document, _ScriptShape).steps)


def read_price(target: Target) -> Price | None:
    """What the script would charge. None: not told. Raises: ConfigError."""
    document = _inline(target, {"price": target.options.get("price")})
    price = validate(document, _OptionsShape).price
    if price is None:
        return None
    cached = price.cached_input_usd_per_1m
    return Price(
        price.input_usd_per_1m,
        price.output_usd_per_1m,
        price.input_usd_per_1m if cached is None else cached,
    )


def _inline(target: Target, options: dict[str, Any]) -> Document:
    return Document(file=f"<targets.{target.name}.options>", data=options, source="")


def _words(text: str) -> list[str]:
    """`text` cut before each gap, nothing lost: ``"Thirty days."`` is ``["Thirty", " days."]``."""
    return re.findall(r"\s*\S+(?:\s+\Z)?|\s+", text)


def _token(
    text: str, logprob: float | None, entropy: float | None = None, margin: float | None = None
) -> Token:
    return Token(text, None if logprob is None else TokenStat(logprob, entropy, margin))


def _failure(shape: _FailShape) -> Failure:
    fields = shape.model_dump(exclude={"kind", "message"})
    return Failure(_FAILURES[shape.kind], shape.message, fields)
