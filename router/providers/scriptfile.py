"""*Edge:* what a scripted target is told to say: options or a YAML file in, frozen `Step`s out.

A script is a list of steps; every field may be left out::

    - match: refund                # answers each call that says this; without it: calls in order
      text: Thirty days.           # cut into words, which are its tokens
      mean_logprob: -0.2           # or `logprobs`, one a word; or `tokens`: [{text, logprob, ...}]
      ttft_s: 0.3                  # seconds to the first token
      tpot_s: 0.02                 # seconds for each after it
      finish: stop                 # or length, content_filter; tool_calls when it calls tools
      tool_calls: [{id: a1, name: look_up, arguments: '{"word": "hop"}'}]
      usage: {input_tokens: 12, output_tokens: 2}    # or null: says nothing; absent: its own count
    - fail: {kind: rate_limited, retry_after_s: 2}   # or message, retryable, status, code
    - {text: one two three, cut_after: 2}            # breaks off after two tokens
    - {hang: true}                                   # never answers; or hangs after `cut_after`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic

from ..document import Document, Key, Place, nearest, read_yaml, validate
from ..errors import ConfigError, HopError
from ..types import TokenStat, ToolCall, Usage
from .base import Target
from .script import Failure, Price, Step, Token

S = TypeVar("S", bound=pydantic.BaseModel)

_FAILURES: Mapping[str, type[HopError]] = {c.kind: c for c in HopError.__subclasses__()}


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


class _CallShape(_Shape):
    id: str
    name: str
    arguments: str = "{}"


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
    finish: Literal["stop", "length", "content_filter", "tool_calls"] | None = None
    tool_calls: list[_CallShape] = []
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
            tool_calls=tuple(ToolCall(**call.model_dump()) for call in self.tool_calls),
            finish=self.finish or ("tool_calls" if self.tool_calls else "stop"),
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


class _PriceOption(_Shape):
    price: _PriceShape | None = None


def read_steps(target: Target) -> tuple[Step, ...]:
    """The steps in `target.options`, or in the file named there.

    A relative path starts from the working directory. Raises: ConfigError.
    """
    steps = target.options.get("steps", [])
    if isinstance(steps, str):
        script = validate(read_yaml(Path(steps)), _ScriptShape)
    else:
        script = _checked(target, {"steps": steps}, _ScriptShape)
    return tuple(step.frozen() for step in script.steps)


def read_price(target: Target) -> Price | None:
    """What the script would charge. None: not told. Raises: ConfigError."""
    price = _checked(target, {"price": target.options.get("price")}, _PriceOption).price
    if price is None:
        return None
    cached = price.cached_input_usd_per_1m
    return Price(
        price.input_usd_per_1m,
        price.output_usd_per_1m,
        price.input_usd_per_1m if cached is None else cached,
    )


def _checked(target: Target, options: dict[str, Any], model: type[S]) -> S:
    """Hold options, which have left their file already, against a shape."""
    marks = dict.fromkeys(_places(options, ()), (0, 0))
    try:
        return validate(Document(file="", data=options, source="", marks=marks), model)
    except ConfigError as exc:
        field = f"targets.{target.name}.options.{exc.field}"
        raise ConfigError(exc.message, field=field, hint=exc.hint) from exc


def _places(value: Any, place: Place) -> Iterator[Place]:
    """Where everything inside `value` stands."""
    yield place
    inside: Iterable[tuple[Key, Any]] = ()
    if isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for key, part in inside:
        yield from _places(part, (*place, key))


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
