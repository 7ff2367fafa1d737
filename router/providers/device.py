"""The device: a small model on the user's own machine, in a worker process of its own.

`target.model` is a model of the store or a folder with a `genai_config.json`. Nothing is loaded
before the first request. Options, all optional: ``at_once``, ``threads``, ``spinning``,
``accelerator``, ``context_limit``, ``nice``, ``keep_mb``, see `EngineOptions`; ``memory_limit``,
``idle_unload_s``, see `Limits`; ``workers``, see `Workers`.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..clock import SystemClock
from ..device import wire
from ..device.engine import AT_ONCE, EngineInfo, EngineOptions
from ..device.expected import Expected
from ..device.folder import ModelFolder, read_folder
from ..device.predict import Forecast
from ..device.serving import Limits
from ..errors import ConfigError, Unavailable
from ..layerstate import LayerState
from ..types import Ask, Chunk, Message, Need, TokenStat, Usage
from .base import Provider, Target
from .check import Check
from .device_job import ABLE, as_job, forces_a_call, read_call
from .device_workers import Workers, found
from .identity import Identity
from .options import check_options, flag

_OPTIONS = (
    "accelerator",
    "at_once",
    "context_limit",
    "idle_unload_s",
    "keep_mb",
    "memory_limit",
    "nice",
    "spinning",
    "threads",
    "workers",
)
_BYTES = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(MB|GB|MiB|GiB)")
_MB = 1 << 20
_NICEST = 19
_MOST_AT_ONCE = 64
_MOST_WORKERS = 8


def build(target: Target) -> Provider:
    """The device, bound to a target. Looks at its options only.

    Raises:
        ConfigError: An option is unknown or out of range.
    """
    check_options(target, _OPTIONS)
    accelerator = target.options.get("accelerator")
    if accelerator is not None and not isinstance(accelerator, str):
        raise _wrong(target, "accelerator", "the name of an execution provider, such as cuda")
    options = EngineOptions(
        folder="",
        context_limit=_whole(target, "context_limit", at_least=1),
        accelerator=accelerator,
        threads=_whole(target, "threads", at_least=1),
        spinning=flag(target, "spinning"),
        nice=_whole(target, "nice", at_least=0, at_most=_NICEST) or 0,
        at_once=_whole(target, "at_once", at_least=1, at_most=_MOST_AT_ONCE) or AT_ONCE,
    )
    keep_mb = _whole(target, "keep_mb", at_least=0)
    if keep_mb is not None:
        options = replace(options, keep_bytes=keep_mb * _MB)
    limits = Limits(idle_s=_seconds(target, "idle_unload_s"), memory_bytes=_size(target))
    workers = _whole(target, "workers", at_least=1, at_most=_MOST_WORKERS) or 1
    return Device(target, options, limits, workers)


class Device:
    """Answers with the model of a worker, or of several. See `Provider`."""

    here = True
    abilities: frozenset[Need] = ABLE

    def __init__(
        self,
        target: Target,
        options: EngineOptions,
        limits: Limits | None = None,
        workers: int = 1,
    ) -> None:
        self._target = target
        self._options = options
        self._workers = Workers(target.model, options, limits or Limits(), workers)
        self._info: EngineInfo | None = None
        self._limit: int | None = None
        self._folder: ModelFolder | None = None

    @property
    def info(self) -> EngineInfo | None:
        """What the engine says about itself. None: none has been needed yet."""
        return self._info

    def identity(self) -> Identity:
        """The model's name and build as its folder says, and the engine once a worker has been up.

        Reads the folder the first time, and when another has taken its place.
        """
        link = self._workers.first
        path = None if link is None else link.options.folder
        if self._folder is None or path not in (None, str(self._folder.path)):
            try:
                self._folder = (
                    _read(self._target.model) if path is None else read_folder(Path(path))
                )
            except Unavailable:
                return Identity(None, None, None)
        engine = None if self._info is None else self._info.engine
        return Identity(self._folder.model, self._folder.build or "unknown", engine)

    def parameters(self) -> int | None:
        """About how many parameters its model has, by its shape. None: not known."""
        self.identity()
        return None if self._folder is None else self._folder.parameters

    def up(self) -> bool:
        """Whether a worker is there, so that a call has not to wait for a start."""
        return self._workers.up()

    async def context_limit(self) -> int | None:
        """Tokens the model takes, prompt and answer, as its folder says. None: there is none."""
        if self._info is not None:
            return self._info.context_limit
        if self._limit is None:
            try:
                folder = await asyncio.to_thread(_read, self._target.model)
            except Unavailable:
                return None
            self._limit = folder.limit(self._options.context_limit)
        return self._limit

    async def stream(self, ask: Ask) -> AsyncIterator[Chunk]:
        """Yield a chunk for each token; the last one has the usage, and the state if it is asked.

        Raises:
            HopError: `Unavailable` when there is no such model, no worker can be had or it died;
                `NotSent` when the answer can't be whole within `timeout_s`, or too many wait;
                `Incapable` when the prompt is too long; `Refused` when the ask is wrong.
        """
        job = as_job(ask)
        forced = forces_a_call(ask)
        clock = SystemClock()
        began = clock.now()
        link = await self._workers.idlest()
        self._info = await self._workers.start(link)
        model = self._info.model
        left_s = None if ask.timeout_s is None else ask.timeout_s - (clock.now() - began)
        said: list[str] = []
        async with aclosing(link.run(job, left_s)) as replies:
            async for reply in replies:
                if isinstance(reply, wire.Token):
                    said.append(reply.text if forced else "")
                    yield Chunk(
                        text="" if forced else reply.text,
                        tokens=(TokenStat(reply.logprob, reply.entropy, reply.margin),),
                        logprobs=() if reply.spelled is None else (reply.spelled,),
                        model=model,
                    )
                else:
                    calls = read_call("".join(said), reply.finish, ask) if forced else ()
                    yield Chunk(
                        tool_calls=calls,
                        finish="tool_calls" if calls else reply.finish,
                        usage=_usage(reply),
                        model=model,
                        state=_state(self._info.state_layer, reply.state),
                    )

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens of the prompt these messages make. None: not known, as no worker is up."""
        link = self._workers.first
        return None if link is None else await link.count_tokens(messages)

    async def health(self) -> wire.Healthy | None:
        """How the worker is. None: none is up, or there is no such model. It never starts one."""
        try:
            link = await self._workers.main()
        except Unavailable:
            return None
        return await link.health()

    async def forecast(
        self,
        *,
        input_tokens: int | None,
        cap: int,
        output_tokens: int | None = None,
        tenant: str = "",
        within_s: float | None = None,
    ) -> Forecast | None:
        """When an answer would begin and end. None: there is no such model. It starts no worker and
        waits for none that is busy.

        Args:
            input_tokens: Of the prompt. None: as many as usual.
            cap: Most tokens of the answer.
            output_tokens: What the answer will have. None: as long as answers get.
            within_s: Seconds that the request has. None: any time will do.
        """
        try:
            link = await self._workers.idlest()
        except Unavailable:
            return None
        expected = Expected(
            input_tokens=input_tokens,
            cap=cap,
            output_tokens=output_tokens,
            tenant=tenant,
            within_s=within_s,
        )
        return await link.forecast(expected)

    async def check(self) -> Check:
        """Look at the model's folder. See `Checkable`. No worker is started."""
        try:
            folder = await asyncio.to_thread(_read, self._target.model)
        except Unavailable as error:
            return Check(reachable=False, model_exists=False, says=(error.message,))
        limit = folder.limit(self._options.context_limit)
        return Check(
            reachable=True, ready=self.up() or None, model_exists=True, context_limit=limit
        )

    async def aclose(self) -> None:
        """Leave the workers; they go by themselves when nobody else needs them."""
        await self._workers.aclose()


def _usage(done: wire.Done) -> Usage:
    return Usage(
        input_tokens=done.input_tokens,
        output_tokens=done.output_tokens,
        cached_input_tokens=done.reused_tokens,
    )


def _state(layer: int | None, mean: bytes | None) -> LayerState | None:
    return None if layer is None or mean is None else LayerState(layer=layer, mean=mean)


def _read(model: str) -> ModelFolder:
    return read_folder(Path(found(model)))


def parameters_of(model: str) -> int | None:
    """About how many parameters a model has, by its folder's shape. None: not known."""
    try:
        return _read(model).parameters
    except Unavailable:
        return None


def _whole(target: Target, option: str, *, at_least: int, at_most: int | None = None) -> int | None:
    value: Any = target.options.get(option)
    if value is None:
        return None
    good = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    if good and (at_most is None or value <= at_most):
        return int(value)
    upper = f" and at most {at_most}" if at_most is not None else ""
    raise _wrong(target, option, f"a whole number, at least {at_least}{upper}")


def _seconds(target: Target, option: str) -> float | None:
    value: Any = target.options.get(option)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and value >= 1:
        return float(value)
    raise _wrong(target, option, "a number of seconds, at least 1")


def _size(target: Target) -> int | None:
    """`memory_limit` in bytes. None: it is not set."""
    value: Any = target.options.get("memory_limit")
    if value is None:
        return None
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) == 0:
        raise _wrong(target, "memory_limit", 'an amount of memory, such as "3 GB" or "800 MB"')
    return int(float(found[1]) * _BYTES[found[2]])


def _wrong(target: Target, option: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"has to be {wanted}, not {target.options[option]!r}",
        field=f"targets.{target.name}.options.{option}",
    )
