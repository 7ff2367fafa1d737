"""The workers of one device target: one as a rule, more where the config says so.

In goes what they are to run, out comes the link to the one with the least to do. The first is
shared by all apps of this user, as is each further one; a further one is started only when a
request finds those before it at work. Each loads a copy of the weights of its own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from dataclasses import replace

from ..device.engine import EngineInfo, EngineOptions
from ..device.expected import Expected
from ..device.link import DeviceLink
from ..device.serving import Limits
from ..errors import ModelError, Unavailable

log = logging.getLogger("firsthop")

_ANY = Expected(input_tokens=None, cap=1)


class Workers:
    """Links to the workers of one model, made as they are needed.

    Args:
        model: Of the store, or a folder.
        options: For each of them; the folder is filled in.
        number: Most of them.
    """

    def __init__(self, model: str, options: EngineOptions, limits: Limits, number: int) -> None:
        self._model = model
        self._options = options
        self._limits = limits
        self._number = number
        self._links: list[DeviceLink] = []

    @property
    def first(self) -> DeviceLink | None:
        """The first one's link. None: nobody has asked for one."""
        return self._links[0] if self._links else None

    def up(self) -> bool:
        """Whether one of them is there."""
        return any(link.worker_pid is not None for link in self._links)

    async def main(self) -> DeviceLink:
        """The first one's link, to the model's folder as it is now: a pull may have put another
        in its place.

        Raises: Unavailable, not retryable: there is no such model.
        """
        if self._links and self._links[0].worker_pid is not None:
            return self._links[0]
        folder = await asyncio.to_thread(found, self._model)
        old = self._links
        if old and old[0].options.folder == folder:
            return old[0]
        options = replace(self._options, folder=folder)
        self._links = [
            DeviceLink(replace(options, worker=number), limits=self._limits)
            for number in range(self._number)
        ]
        for link in old:
            await link.aclose()
        return self._links[0]

    async def idlest(self) -> DeviceLink:
        """The link to the one with the fewest requests; the first of several, and where none is
        known.

        Raises: as `main`.
        """
        main = await self.main()
        if self._number == 1:
            return main
        chosen, fewest = main, math.inf
        for link in self._links:
            there = (await link.forecast(_ANY)).queue
            if there is None:
                continue  # connected, and it has not said yet: that is no reason to think it idle
            if there < fewest:
                chosen, fewest = link, there
            if not there:
                break
        return chosen

    async def start(self, link: DeviceLink) -> EngineInfo:
        """Have that worker up and say what it is. What a further one takes goes into the log.

        Raises: HopError, it can't be had.
        """
        fresh = link.options.worker > 0 and link.worker_pid is None
        info = await link.start()
        if fresh:
            size = info.memory_bytes
            held = "not readable here" if size is None else f"{size / 1e9:.2f} GB"
            which = f"{link.options.worker + 1} of {self._number}"
            log.info("device worker %s is up; its memory: %s", which, held)
        return info

    async def aclose(self) -> None:
        """Leave them; each goes by itself when nobody else needs it."""
        for link in self._links:
            await link.aclose()


def found(model: str) -> str:
    """The real path of a model's folder. Raises: Unavailable, not retryable: there is none."""
    from ..models import Store

    try:
        return os.path.realpath(Store().find(model).path)
    except ModelError as exc:
        raise Unavailable(str(exc), retryable=False) from exc
