"""Whether a model finds room in this machine's memory, asked before it loads.

In go a model's folder and what is free, out comes why not, or nothing. Without this a load that
doesn't fit drives the machine into its swap, or has the kernel end whoever is largest. A worker
that is being replaced holds its memory until its last job is done; that is waited for.

Source of the overhead: SmolLM2-135M int4 with one thread, Linux, onnxruntime-genai 0.18: 107 MB of
weights, 234 MB resident once loaded and warm, 37 MB of it before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ..errors import Unavailable
from .engine import EngineOptions
from .folder import CONFIG_FILE, read_folder
from .free import free_bytes

OVERHEAD_BYTES = 130_000_000
"""The process, the runtime and its working space, beside weights and cache."""
SHORT_TOKENS = 512
"""Prompt and answer of a request that has to be possible, else there is no use in loading."""
_ROUNDING_TOKENS = 256
"""Memory of rows is had in steps of so many tokens."""
_NUMBER_BYTES = 4
"""Of one number of the key-value cache: float32 on the CPU."""
_WEIGHTS = ("*.onnx", "*.onnx.data", "*.onnx_data*")


class _Decoder(msgspec.Struct):
    num_hidden_layers: int | None = None
    num_key_value_heads: int | None = None
    head_size: int | None = None


class _Model(msgspec.Struct):
    decoder: _Decoder = msgspec.field(default_factory=_Decoder)


class _Config(msgspec.Struct):
    model: _Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a model takes.

    Attributes:
        model: Its name.
        weights_bytes: Files of its weights. The runtime maps them, so less may be resident.
        token_bytes: Of the key-value cache, for each token of prompt and answer: two numbers a
            layer, head and place in it. None: its configuration doesn't say.
        context_limit: Most tokens of prompt and answer.
    """

    model: str
    weights_bytes: int
    token_bytes: int | None
    context_limit: int

    def at(self, tokens: int) -> int:
        """Bytes with a request of so many tokens. Where a token's are not known, without them."""
        cache = min(tokens, self.context_limit) * (self.token_bytes or 0)
        return self.weights_bytes + OVERHEAD_BYTES + cache


def need_of(path: Path, context_limit: int | None) -> Need:
    """What the model in a folder takes.

    Raises:
        Unavailable: Not retryable; the folder can't be used.
    """
    folder = read_folder(path)
    try:
        found = msgspec.json.decode((path / CONFIG_FILE).read_bytes(), type=_Config).model.decoder
        files = {file for pattern in _WEIGHTS for file in path.glob(pattern)}
        weights = sum(file.stat().st_size for file in files)
    except (OSError, msgspec.DecodeError) as exc:
        raise Unavailable(f"the model in {path} can't be read: {exc}", retryable=False) from exc
    parts = (found.num_hidden_layers, found.num_key_value_heads, found.head_size)
    token_bytes: int | None = 2 * _NUMBER_BYTES
    for part in parts:
        token_bytes = None if token_bytes is None or part is None else token_bytes * part
    return Need(
        model=folder.model,
        weights_bytes=weights,
        token_bytes=token_bytes,
        context_limit=folder.limit(context_limit),
    )


def no_room(need: Need, *, free: int | None, limit: int | None) -> str | None:
    """Why the model should not be loaded. None: it should, as far as is known.

    What is free has to hold the model and a short request; a limit is kept by one of the longest,
    and more at once, and what is kept of them, get what it leaves.

    Args:
        free: Bytes that can be had without swapping. None: not known, so nothing is refused.
        limit: Most bytes the worker may take. None: there is no such limit.
    """
    least, most = need.at(SHORT_TOKENS), need.at(need.context_limit)
    if limit is not None and most > limit:
        lower = "" if least > limit else "lower context_limit, "
        return (
            f"{need.model} needs up to {gigabytes(most)} with a request of {need.context_limit:,} "
            f"tokens, and memory_limit is {gigabytes(limit)}: {lower}raise memory_limit, or take a "
            "smaller model: firsthop models list"
        )
    if free is not None and least > free:
        return (
            f"{need.model} needs {gigabytes(least)}, {gigabytes(free)} free: close something, or "
            "take a smaller model: firsthop models list"
        )
    return None


def rows_bytes(need: Need, at_once: int, *, free: int | None, limit: int | None) -> int:
    """Most key-value memory for rows that run together: for all at their longest, if that can be
    had; else what there is, and for one row in any case, as `no_room` has let it pass.

    Args: as of `no_room`.
    """
    one = need.at(need.context_limit) - need.at(0)
    if not one:
        return sys.maxsize
    one += _ROUNDING_TOKENS * (need.token_bytes or 0)
    bounds = [bound - need.at(0) for bound in (free, limit) if bound is not None]
    return max(one, min([at_once * one, *bounds]))


def refusal(
    options: EngineOptions,
    limit: int | None,
    *,
    free: Callable[[], int | None] = free_bytes,
    more_comes: Callable[[], bool] = lambda: False,
) -> Unavailable | None:
    """Why a worker with these options has to stay without its model. None: it may load.

    A model on an accelerator lies in memory that can't be seen from here, so it is not judged.

    Args:
        free: Bytes that can be had now; see `no_room`.
        more_comes: Asked before each look at what is free: whether more may become free later, as
            a worker that leaves holds some. It waits a moment if so.

    Raises:
        Unavailable: Not retryable; the folder can't be used.
    """
    if options.accelerator is not None:
        return None
    need = need_of(Path(options.folder), options.context_limit)
    why = no_room(need, free=None, limit=limit)
    while why is None:
        waits = more_comes()
        lacking = no_room(need, free=free(), limit=None)
        if lacking is None:
            return None
        if not waits:
            why = lacking
    return Unavailable(why, retryable=False, code="no_memory")


def within(options: EngineOptions, limit: int | None) -> EngineOptions:
    """The options with no more caches kept than a limit leaves beside one longest request.

    Raises:
        Unavailable: Not retryable; the folder can't be used.
    """
    if limit is None or options.accelerator is not None:
        return options
    need = need_of(Path(options.folder), options.context_limit)
    left = limit - need.at(need.context_limit)
    return replace(options, keep_bytes=max(0, min(options.keep_bytes, left)))


def gigabytes(count: int) -> str:
    """Bytes for people: ``"2.4 GB"``."""
    return f"{count / 1e9:.1f} GB" if count >= 100_000_000 else f"{count / 1e6:.0f} MB"
