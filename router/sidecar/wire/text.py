"""OpenAI's older text completions, coming in: one prompt becomes one user message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ...asking import Options
from .chat import Asked, StreamOptions, choices, decoded, neutral
from .failure import refuse

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
"""As `chat.NEUTRAL`."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a text completion."""

    prompt: str | list[str]
    model: str = "auto"
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    logprobs: int | None = None
    n: Any = None
    best_of: Any = None
    echo: Any = None
    suffix: Any = None
    top_p: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    logit_bias: Any = None


_decoder = msgspec.json.Decoder(Body)


def read(raw: bytes) -> Asked:
    """A request. Raises: Refusal, for what is no such body, or asks what can't be honoured."""
    body: Body = decoded(_decoder, raw)
    neutral(body, NEUTRAL)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(prompts) != 1:
        raise refuse(
            400,
            "prompt: has to be one text; ask once for each",
            "unsupported_value",
            param="prompt",
        )
    if body.stream_options is not None and body.stream_options.include_obfuscation:
        raise refuse(
            400,
            "stream_options.include_obfuscation: can't be honoured",
            "unsupported_value",
            param="stream_options.include_obfuscation",
        )
    given = {
        "max_output_tokens": body.max_tokens,
        "temperature": body.temperature,
        "seed": body.seed,
        "stop": body.stop,
        "tags": None if body.user is None else {"user": body.user},
        "top_logprobs": body.logprobs,
    }
    return Asked(
        model=body.model,
        messages=[{"role": "user", "content": prompts[0]}],
        options=cast(Options, {name: value for name, value in given.items() if value is not None}),
        metadata=None,
        streamed=bool(body.stream),
        usage=body.stream_options is not None and bool(body.stream_options.include_usage),
        n=choices(body.n),
        places={"top_logprobs": "logprobs", "messages[0].content": "prompt", "messages": "prompt"},
    )
