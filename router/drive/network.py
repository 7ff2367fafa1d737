"""Whether there is a network: found out by calls that got nowhere, remembered, and looked at again.

A call that finds no way to its host raises a doubt, and so do one that ran out of time without a
word and a machine that says it has no link. A doubt is settled by one TCP connection to each host
at once, of a second at most; only if none comes about are we offline. From there on no target
behind the network is called: requests know at once. While they come, a connection is tried again
in the background, at intervals that grow; the first that comes about ends it.

A host of this machine's own is never part of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..clock import Clock
from ..world.machine import Machine

PROBE_S, PATIENT_PROBE_S = 1.0, 5.0
"""Seconds that a connection is given while requests wait for it, and once we are offline, when none
does: a host on another continent takes 0.3, one behind a poor link may take seconds."""
FIRST_S = 1.0
LONGEST_S = 30.0
"""Seconds from one look to the next, doubled each time."""
PROVEN_S = 60.0
"""Seconds for which an answer counts for more than what the machine says of its links."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where connections are made to."""

    host: str
    port: int


class Network:
    """Shared by all targets of a router that need one. For one event loop."""

    def __init__(
        self,
        clock: Clock,
        machine: Machine | None = None,
        connects: Callable[[Place], Awaitable[bool]] | None = None,
    ) -> None:
        """Look at nothing yet.

        Args:
            machine: Says whether there is a link. None: nobody does.
            connects: Whether a connection comes about. None: by trying.
        """
        self._clock = clock
        self._machine = machine
        self._connects = connects or tcp_connects
        self._places: dict[Place, None] = {}
        self._since: float | None = None
        self._answered_at: float | None = None
        self._linked: bool | None = None
        self._wait_s = FIRST_S
        self._next = 0.0
        self._looking: asyncio.Task[None] | None = None

    def add(self, place: Place) -> None:
        """Ask that place too, from now on."""
        self._places[place] = None

    @property
    def offline(self) -> bool:
        """Whether nothing behind the network can be reached, as far as is known."""
        return self._since is not None

    @property
    def offline_since(self) -> float | None:
        """Seconds since 1970-01-01 UTC. None: it is not."""
        return self._since

    def words(self) -> str:
        """Since when it is offline, for people."""
        return f"offline since {time.strftime('%H:%M:%S', time.localtime(self._since))}"

    @property
    def online(self) -> bool | None:
        """Whether there is a network, by what was found out. None: ask the machine for a link."""
        return False if self.offline else True if self._proven() else None

    def doubt(self) -> None:
        """A call found no way, or heard not a word: look, unless that is being done."""
        if self._since is None:
            self._look()

    def back(self) -> None:
        """A host has answered."""
        self._since, self._answered_at = None, self._clock.now()

    def heed(self) -> None:
        """A request has come: see whether it is time to look. Waits for nothing."""
        if not self._places:
            return
        facts = self._machine.fresh() if self._machine is not None else None
        before, self._linked = self._linked, None if facts is None else facts.online
        if self._since is None:
            if self._linked is False and not self._proven():
                self._look()
        elif (before is False and self._linked) or self._clock.now() >= self._next:
            self._look()

    def _proven(self) -> bool:
        at = self._answered_at
        return at is not None and self._clock.now() - at < PROVEN_S

    @property
    def in_doubt(self) -> bool:
        """Whether it is being found out if there is a network."""
        return self._looking is not None and self._since is None

    async def settled(self, longest_s: float | None = None) -> None:
        """Wait while there is a doubt, which is a second at most, or `longest_s`."""
        if self._looking is not None and self._since is None:
            await asyncio.wait([self._looking], timeout=longest_s)

    async def aclose(self) -> None:
        """Stop looking."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])

    def _look(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._found_out())

    async def _found_out(self) -> None:
        began = self._clock.now()
        try:
            if await self._any_connects():
                self.back()
            elif self._answered_at is None or self._answered_at < began:
                self._gone()  # unless somebody answered while we looked
        finally:
            self._looking = None

    def _gone(self) -> None:
        if self._since is None:
            self._since, self._wait_s = self._clock.wall(), FIRST_S
        else:
            self._wait_s = min(LONGEST_S, 2 * self._wait_s)
        self._answered_at = None
        self._next = self._clock.now() + self._wait_s

    async def _any_connects(self) -> bool:
        """Whether one of the places can be connected to; the first that can ends it."""
        limit = PATIENT_PROBE_S if self.offline else PROBE_S
        trying = {asyncio.ensure_future(self._tries(place, limit)) for place in self._places}
        try:
            while trying:
                done, trying = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
                if any(task.result() for task in done):
                    return True
            return False
        finally:
            for task in trying:
                task.cancel()

    async def _tries(self, place: Place, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                return await self._connects(place)
        except TimeoutError:
            return False


async def tcp_connects(place: Place) -> bool:
    """Whether there is a way to that place: it takes a connection, or refuses one."""
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(asyncio.Protocol, place.host, place.port)
    except ConnectionRefusedError:
        return True
    except (OSError, UnicodeError):  # a name may be no name
        return False
    transport.abort()
    return True
