"""When an answer will begin and when it will end, before it is asked for. Pure.

In go what steps cost, how long answers get and the jobs that are there; out come seconds. The work
is played through by the rule of `schedule.py`: places are given in line, those that write take
turns, and between two rounds a chunk is read. So a queue costs what its jobs cost, no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .costs import Rates
from .lengths import Lengths
from .pace import STEP
from .schedule import PATIENCE_S, line

COMES_BACK = 0.5
"""Share of ended jobs that were followed at once by another one of the same client, above which
that is expected of those under way too."""
_EVENTS = 4000
"""Most changes of who reads and who writes that are played through: a bound on time, some 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A job as work.

    Attributes:
        tenant, client, due_s: As `schedule.Placed`; `due_s` from the outlook's moment on.
        unread: Tokens of the prompt that have to be read still.
        before: Tokens in the context already.
        left: Tokens to write.
    """

    tenant: str = ""
    client: int = 0
    due_s: float = PATIENCE_S
    unread: float
    before: float = 0
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All that a prediction depends on, at one moment.

    Attributes:
        lengths: Of the last answers; see `Lengths`.
        running: In order of admission.
        waiting: In any order.
        served: Tenants with clients, in the order in which they last were given a place.
        at_once: Most jobs that run at once.
        rounds: Rounds of those that write between two chunks of a prompt.
        returns: Share of ended jobs that were followed at once by another of the same client.
        known, known_tokens: Share of prompts, or tokens of each, that had been read for an earlier
            job and were not read again.
        usual: What such a job is like. None: none has ended yet.
        you: The reader's own number as a client.
    """

    rates: Rates = field(default_factory=Rates)
    lengths: tuple[tuple[int, bool], ...] = ()
    running: tuple[Load, ...] = ()
    waiting: tuple[Load, ...] = ()
    served: tuple[tuple[str, int], ...] = ()
    at_once: int = 1
    rounds: int = 1
    returns: float = 0.0
    known: float = 0.0
    known_tokens: float = 0.0
    usual: Load | None = None
    you: int = 0

    def unread(self, tokens: float) -> float:
        """Of a prompt of so many tokens, those that will have to be read; at least one."""
        return max(1.0, tokens * (1 - self.known) - self.known_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is expected of one job.

    Attributes:
        loaded: Whether the model is in memory and answering.
        queue: Jobs that are there when it comes, the running ones included. None: not known.
        first_token_s: Seconds to its first token. None: not known yet.
        end_s: Seconds to its last one. None: not known yet.
    """

    loaded: bool = True
    queue: int | None
    first_token_s: float | None
    end_s: float | None


def forecast(outlook: Outlook, job: Load | None, elapsed_s: float = 0.0) -> Forecast:
    """What is expected of `job` when it comes `elapsed_s` after the outlook's moment.

    None for the job: neither its prompt nor its length is known.
    """
    if job is None or outlook.rates.reading is None:
        return Forecast(
            queue=len(outlook.running) + len(outlook.waiting), first_token_s=None, end_s=None
        )
    play = _Play(outlook, elapsed_s)
    times = play.through(job)
    first, end = times if times is not None else (None, None)
    return Forecast(queue=play.met, first_token_s=first, end_s=end)


def length(outlook: Outlook, cap: int) -> float | None:
    """Tokens that an answer with this cap is expected to have. None: none has been seen."""
    return Lengths(outlook.lengths).expected(cap)


@dataclass(slots=True, eq=False)
class _Job:
    load: Load
    unread: float
    before: float
    left: float
    first_at: float | None = None


@dataclass(slots=True)
class _Play:
    """The work, played through from the outlook's moment on."""

    outlook: Outlook
    comes_at: float
    now: float = 0.0
    met: int = 0
    running: list[_Job] = field(default_factory=list)
    waiting: list[Load] = field(default_factory=list)
    served: list[tuple[str, int]] = field(default_factory=list)
    since: float = math.inf  # rounds of those that write, since a chunk was read

    def through(self, load: Load) -> tuple[float, float] | None:
        """Seconds from the job's coming to its first token and to its end. None: not known."""
        self.running = [_job(one) for one in self.outlook.running]
        self.waiting = line(self.outlook.waiting, self.outlook.served)
        self.served = list(self.outlook.served)
        if any(job.unread > 0 for job in self.running):
            self.since = 0.0
        mine: _Job | None = None
        came = False
        for _ in range(_EVENTS):
            if not came and (self.now >= self.comes_at or not (self.running or self.waiting)):
                self.now, came = max(self.now, self.comes_at), True
                self.met = len(self.running) + len(self.waiting)
                load = replace(load, due_s=self.now + load.due_s)
                self.waiting = line([*self.waiting, load], self.served)
            for job in self._admit():
                if job.load is load:
                    mine = job
            if not self._on(self.comes_at if not came else math.inf):
                return None
            if mine is not None and mine.left <= 0 and mine.unread <= 0:
                first = self.now if mine.first_at is None else mine.first_at
                return first - self.comes_at, self.now - self.comes_at
            self._dismiss()
        return None

    def _admit(self) -> Iterable[_Job]:
        free = self.outlook.at_once - len(self.running)
        if free <= 0 or not self.waiting:
            return ()
        taken = [_job(load) for load in self.waiting[:free]]
        self.served.extend((job.load.tenant, job.load.client) for job in taken)
        del self.waiting[:free]
        self.running.extend(taken)
        return taken

    def _on(self, until: float) -> bool:
        """Go on to the next change of who reads and who writes. False: costs are not known."""
        if not self.running:
            return True
        rates = self.outlook.rates
        reader = next((job for job in self.running if job.unread > 0), None)
        writers = [job for job in self.running if job.unread <= 0 and job.left > 0]
        if reader is not None and writers and self.since >= self.outlook.rounds:
            return self._read(reader)  # as `Rota` has it, nobody has to be waited for
        rounds = min((job.left for job in writers), default=math.inf)
        steps = math.inf if reader is None else _chunks(reader.unread, rates.chunk)
        # A job that has been read is seen by the writers' rounds from then on; one that has been
        # written is not seen any more.
        each = 1 if reader is None else self.outlook.rounds
        rounds = min(rounds, steps * each)
        if math.isinf(rounds):
            return True
        spent = self._cost(writers, reader, rounds, each)
        if spent is None:
            return False
        if self.now + spent > until and rounds > 1:
            rounds = max(1.0, math.ceil(rounds * (until - self.now) / spent))
            spent = self._cost(writers, reader, rounds, each)
            if spent is None:
                return False
        self.now += spent
        for job in writers:
            job.left -= rounds
            job.before += rounds
        self.since += rounds
        if reader is not None:
            self._took(reader, _tokens(reader.unread, rounds / each, rates.chunk))
        return True

    def _read(self, reader: _Job) -> bool:
        """Nothing but a chunk. False: costs are not known."""
        rates = self.outlook.rates
        tokens = _tokens(reader.unread, 1, rates.chunk)
        spent = rates.read_s(tokens, reader.before)
        if spent is None:
            return False
        self.now += spent
        self._took(reader, tokens)
        return True

    def _took(self, reader: _Job, tokens: float) -> None:
        """So much of its prompt has been read by now."""
        self.since = 0.0
        reader.unread -= tokens
        reader.before += tokens
        if reader.unread <= 0:  # its first token falls out of the reading
            reader.first_at = self.now
            reader.left -= 1

    def _cost(
        self, writers: list[_Job], reader: _Job | None, rounds: float, each: int
    ) -> float | None:
        """Seconds of so many rounds, with a chunk after `each`."""
        rates, total = self.outlook.rates, 0.0
        for job in writers:
            token_s = rates.token_s(job.before + rounds / 2, len(writers))
            if token_s is None:
                return None
            total += rounds * token_s
        if reader is not None:
            chunks = rounds / each
            tokens = _tokens(reader.unread, chunks, rates.chunk)
            read = rates.read_s(tokens, reader.before, chunks)
            if read is None:
                return None
            total += read
        return total

    def _dismiss(self) -> None:
        ended = [job for job in self.running if job.unread <= 0 and job.left <= 0]
        if not ended:
            return
        self.running = [job for job in self.running if job not in ended]
        usual = self.outlook.usual
        if usual is not None and self.outlook.returns > COMES_BACK:
            self.waiting.extend(
                replace(
                    usual,
                    tenant=job.load.tenant,
                    client=job.load.client,
                    due_s=self.now + PATIENCE_S,
                )
                for job in ended
            )


def _chunks(unread: float, size: float) -> int:
    """In how many steps so much is read: a short rest goes along with the last, as in `pace.py`."""
    return max(1, math.ceil((unread - STEP) / size))


def _tokens(unread: float, chunks: float, size: float) -> float:
    """What so many steps of them read."""
    return unread if chunks >= _chunks(unread, size) else min(unread, chunks * size)


def _job(load: Load) -> _Job:
    return _Job(load, load.unread, load.before, load.left)
