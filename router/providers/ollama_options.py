"""What the config may say of an Ollama target, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from ..document import nearest
from ..errors import ConfigError
from ..types import Ability
from .abilities import beside_text
from .base import Dialect, Target
from .endpoint import Endpoint
from .options import check_options, flag

# It speaks no dialect of chat completions; what it shares with them is said as they say it.
NATIVE = Dialect(
    name="ollama",
    base_url="http://127.0.0.1:11434",
    abilities=frozenset({"json", "tools"}),
)
NUM_CTX = 8192

_WORDS = ("abilities", "here", "keep_alive", "logprobs", "max_image_bytes", "num_ctx", "think")
_THINK = ("low", "medium", "high", "max")
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ms|[smh]))+")
_CLOUD = re.compile(r"[:-]cloud\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaOptions:
    """Options of one target.

    Attributes:
        abilities: What the model takes beside text.
        here: The promise that what is sent stays on this machine.
        keep_alive: How long the model stays loaded: a duration, or seconds; negative: for good.
            None: as the server is set.
        logprobs: Ask for token log-probabilities.
        max_image_bytes: Most bytes that the pictures of one request may have together, as sent.
        num_ctx: Tokens of context, prompt and answer. None: a cloud model's own.
        think: Whether, or how hard, a reasoning model thinks. None: as it likes.
    """

    abilities: frozenset[Ability]
    here: bool
    keep_alive: str | float | None
    logprobs: bool
    max_image_bytes: int
    num_ctx: int | None
    think: bool | str | None


def read_options(target: Target, endpoint: Endpoint) -> OllamaOptions:
    """The options of `target`, which is reached by `endpoint`.

    Raises: ConfigError that names the field.
    """
    check_options(target, _WORDS)
    dialect = beside_text(target, NATIVE)
    return OllamaOptions(
        abilities=dialect.abilities,
        here=_here(target, endpoint),
        keep_alive=_keep_alive(target),
        logprobs=flag(target, "logprobs"),
        max_image_bytes=dialect.max_image_bytes,
        num_ctx=_num_ctx(target),
        think=_think(target),
    )


def is_cloud(model: str) -> bool:
    """Whether Ollama runs the model on its own machines, as far as the name says."""
    return _CLOUD.search(model.lower()) is not None


def _here(target: Target, endpoint: Endpoint) -> bool:
    """As said; by itself, only for a server on this machine and a model that runs on it."""
    given = target.options.get("here", "auto")
    if given == "auto":
        return endpoint.loopback and endpoint.proxy is None and not is_cloud(target.model)
    if not isinstance(given, bool):
        raise _wrong(target, "here", f"has to be true, false or auto, not {given!r}")
    if given and is_cloud(target.model):
        raise _wrong(target, "here", f"can't be true: {target.model} runs in Ollama's cloud")
    return given


def _num_ctx(target: Target) -> int | None:
    value: Any = target.options.get("num_ctx")
    if value is None:
        return None if is_cloud(target.model) else NUM_CTX
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(target, "num_ctx", f"has to be a whole number of tokens, not {value!r}")
    return value


def _think(target: Target) -> bool | str | None:
    value: Any = target.options.get("think")
    if value is None or isinstance(value, bool) or value in _THINK:
        return cast("bool | str | None", value)
    raise _wrong(
        target,
        "think",
        f"has to be true, false or one of {', '.join(_THINK)}, not {value!r}",
        nearest(str(value), _THINK),
    )


def _keep_alive(target: Target) -> str | float | None:
    value: Any = target.options.get("keep_alive")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or number or (isinstance(value, str) and _DURATION.fullmatch(value)):
        return cast("str | float | None", value)
    raise _wrong(
        target, "keep_alive", f"has to be a duration such as 10m, or seconds, not {value!r}"
    )


def _wrong(target: Target, option: str, what: str, hint: str | None = None) -> ConfigError:
    return ConfigError(what, field=f"targets.{target.name}.options.{option}", hint=hint)
