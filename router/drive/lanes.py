"""Two hops of a request at once, each in a task of its own: a race, or a hedge."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from decimal import Decimal
from functools import reduce

from ..cascade import Call, Seen
from ..money import EXACT
from ..types import Chunk
from .context import Context
from .underway import UnderWay

STOP_S = 1.0
"""Longest that is waited for a loser to let go of its connection. It is booked either way."""

log = logging.getLogger("firsthop")


class Lanes:
    """The hops of one request that run beside each other.

    Attributes:
        ended: The one that ended last. None: none has.
    """

    def __init__(self, context: Context) -> None:
        self.ended: UnderWay | None = None
        self._context = context
        self._under_way: dict[int, UnderWay] = {}
        self._rivaled = False
        self._tasks: dict[UnderWay, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._happened: asyncio.Queue[tuple[UnderWay, Chunk | BaseException | None]] = (
            asyncio.Queue()
        )

    def take(self, call: Call) -> None:
        """Do what is called for: one with a rival begins both; one that is resumed is under way."""
        if call.resumed:
            self._under_way[call.hop].commits = call.commits
        else:
            self._begin(call)

    async def next(self) -> Chunk | None:
        """What goes on to the caller next. None: one hop has ended, which is `ended`."""
        while True:
            hop, came = await self._happened.get()
            if hop.call.hop not in self._under_way:
                continue  # it was stopped, and this is the last of it
            if isinstance(came, Chunk):
                self.stop(but=hop)
                return came
            del self._under_way[hop.call.hop]
            self._stop_timer()
            if came is not None:
                raise came
            self.ended = hop
            return None

    def seen(self, call: Call) -> Seen:
        """What the walk has to know of what ended."""
        hop = self.ended
        assert hop is not None
        seen, by_rival = hop.seen(), hop.call.hop != call.hop
        drafting = self._under_way.get(call.hop)
        if by_rival and drafting is not None:  # why the rival was asked stands in its draft
            seen = replace(seen, early=drafting.tell())
        # What is still under way has a bill too; the day's dollars have it set aside already.
        open_usd = reduce(EXACT.add, (h.may_spend for h in self._under_way.values()), Decimal(0))
        return replace(
            seen,
            spent_usd=EXACT.add(seen.spent_usd, open_usd),
            rivaled=self._rivaled,
            by_rival=by_rival,
        )

    def stop(self, but: UnderWay | None = None) -> None:
        """Stop all that are under way, or all but one; what they cost is booked."""
        self._stop_timer()
        for index in [i for i, hop in self._under_way.items() if hop is not but]:
            hop = self._under_way.pop(index)
            hop.overtaken = True
            self._tasks[hop].cancel()

    async def aclose(self) -> None:
        """Wait until nothing is left of those that were stopped; the rest is stopped too."""
        self._stop_timer()
        self._under_way.clear()
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=STOP_S)
        for hop, task in self._tasks.items():
            if not task.done():
                log.warning("target %s has not stopped after %g s", hop.call.target, STOP_S)
            hop.give_up()  # one that was stopped before its task began has not settled either
            hop.on_doubt = None
        self._tasks.clear()  # each holds its CancelledError, whose traceback holds all of this
        self._happened = asyncio.Queue()

    def _begin(self, call: Call) -> None:
        rival = call.rival
        assert rival is not None
        self._rivaled = False
        first = UnderWay(self._context, call)
        first.on_doubt = self._begin_rival
        self._start(first)
        if rival.after_s:
            self._timer = asyncio.create_task(self._begin_later(first, rival.after_s))
        elif rival.after_s is not None:
            self._begin_rival(first)

    async def _begin_later(self, first: UnderWay, after_s: float) -> None:
        """The top of a task: what goes wrong is handed to whoever waits."""
        await self._context.home.clock.sleep(after_s)
        rival = first.call.rival
        assert rival is not None
        if rival.unless == "first_token" and first.begun:
            return
        try:
            self._begin_rival(first)
        except Exception as exc:  # a transform of the app's
            self._happened.put_nowait((first, exc))

    def _begin_rival(self, first: UnderWay) -> None:
        rival = first.call.rival
        assert rival is not None
        late = not self._context.arrives(rival.target)
        if self._rivaled or late or first.call.hop not in self._under_way:
            return
        self._rivaled = True
        self._start(UnderWay(self._context, first.call.of_rival(), beside=first))

    def _start(self, hop: UnderWay) -> None:
        self._under_way[hop.call.hop] = hop
        self._tasks[hop] = asyncio.create_task(self._run(hop))

    async def _run(self, hop: UnderWay) -> None:
        """The top of a task: what goes wrong is handed to whoever waits for the hop."""
        wrong: BaseException | None = None
        try:
            while (chunk := await hop.next()) is not None:
                self._happened.put_nowait((hop, chunk))
        except asyncio.CancelledError as exc:  # a provider may have raised it: nobody must wait on
            wrong = exc
            raise
        except Exception as exc:
            wrong = exc
        finally:
            self._happened.put_nowait((hop, wrong))
            wrong = None  # its traceback holds this frame

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
