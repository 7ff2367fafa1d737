"""The device: a small model on the user's own machine, in a worker process of its own.

`target.model` is a model of the store or a folder with a `genai_config.json`. Nothing is loaded
before the first request. Options, all optional: ``threads``, ``spinning``, ``accelerator``,
``context_limit``, ``nice``, ``keep_mb``; see `EngineOptions`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..device import wire
from ..device.engine import EngineInfo, EngineOptions
from ..device.folder import ModelFolder, read_folder
from ..device.link import DeviceLink
from ..errors import ConfigError, ModelError, Unavailable
from ..types import Ask, Chunk, Message, Need, TokenStat, Usage
from .base import Provider, Target
from .check import Check
from .device_job import ABLE, as_job, forces_a_call, read_call
from .options import check_options, flag

_OPTIONS = ("accelerator", "context_limit", "keep_mb", "nice", "spinning", "threads")
_MB = 1 << 20
_NICEST = 19


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
    )
    keep_mb = _whole(target, "keep_mb", at_least=0)
    if keep_mb is not None:
        options = replace(options, keep_bytes=keep_mb * _MB)
    return Device(target, options)


class Device:
    """Answers with the model of one worker. See `Provider`."""

    here = True
    abilities: frozenset[Need] = ABLE

    def __init__(self, target: Target, options: EngineOptions) -> None:
        self._target = target
        self._options = options
        self._link: DeviceLink | None = None
        self._info: EngineInfo | None = None
        self._limit: int | None = None

    @property
    def info(self) -> EngineInfo | None:
        """What the engine says about itself. None: none has been needed yet."""
        return self._info

    def up(self) -> bool:
        """Whether a worker is there, so that a call has not to wait for a start."""
        return self._link is not None and self._link.worker_pid is not None

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
        """Yield a chunk for each token; the last one has the usage.

        Raises:
            HopError: `Unavailable` when there is no such model, no worker can be had or it died;
                `Incapable` when the prompt is too long; `Refused` when the ask is wrong.
        """
        job = as_job(ask)
        forced = forces_a_call(ask)
        link = await self._linked()
        self._info = await link.start()
        model = self._info.model
        said: list[str] = []
        async with aclosing(link.run(job)) as replies:
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
                    )

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        """Tokens of the prompt these messages make. None: not known, as no worker is up."""
        return await self._link.count_tokens(messages) if self._link else None

    async def health(self) -> wire.Healthy | None:
        """How the worker is. None: none is up, or there is no such model. It never starts one."""
        try:
            link = await self._linked()
        except Unavailable:
            return None
        return await link.health()

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
        """Leave the worker; it goes by itself when nobody else needs it."""
        if self._link is not None:
            await self._link.aclose()

    async def _linked(self) -> DeviceLink:
        """The link to the model's folder as it is now: a pull may have put another in its place."""
        link = self._link
        if link is not None and link.worker_pid is not None:
            return link
        folder = await asyncio.to_thread(_find, self._target.model)
        old = self._link
        if old is not None and old.options.folder == folder:
            return old
        link = self._link = DeviceLink(replace(self._options, folder=folder))
        if old is not None:
            await old.aclose()
        return link


def _usage(done: wire.Done) -> Usage:
    return Usage(
        input_tokens=done.input_tokens,
        output_tokens=done.output_tokens,
        cached_input_tokens=done.reused_tokens,
    )


def _read(model: str) -> ModelFolder:
    return read_folder(Path(_find(model)))


def _find(model: str) -> str:
    from ..models import Store

    try:
        return os.path.realpath(Store().find(model).path)
    except ModelError as exc:
        raise Unavailable(str(exc), retryable=False) from exc


def _whole(target: Target, option: str, *, at_least: int, at_most: int | None = None) -> int | None:
    value: Any = target.options.get(option)
    if value is None:
        return None
    good = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    if good and (at_most is None or value <= at_most):
        return int(value)
    upper = f" and at most {at_most}" if at_most is not None else ""
    raise _wrong(target, option, f"a whole number, at least {at_least}{upper}")


def _wrong(target: Target, option: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"has to be {wanted}, not {target.options[option]!r}",
        field=f"targets.{target.name}.options.{option}",
    )
