"""What a worker has learned of its model on this machine, and how that is kept. Pure.

In go steps and ends of jobs, out comes an `Outlook`; and a plain value to be put into a file and
taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass

from .costs import Costs, Fit
from .familiar import Familiar
from .lengths import Lengths
from .predict import Load, Outlook

AT_ONCE_S = 0.25
"""A client whose next job comes within so many seconds of the end of its last has come back."""
_WEIGHT = 0.1
FILE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept from one worker to the next.

    Attributes:
        start_s: Seconds from a worker's start until it was ready, the last time.
    """

    version: int
    reading: Fit
    writing: Fit
    factor: float
    chunk: float
    lengths: tuple[tuple[int, bool], ...]
    start_s: float

    def costs(self) -> Costs:
        """To be learned further."""
        return Costs(
            reading=self.reading, writing=self.writing, factor=self.factor, chunk=self.chunk
        )


class Learned:
    """Begins with what was kept, if anything was.

    Attributes:
        costs: What steps cost.
        lengths: How long answers get.
        familiar: How much of a prompt needn't be read again.
    """

    def __init__(self, kept: Kept | None = None, start_s: float = 0.0) -> None:
        self.costs = Costs() if kept is None else kept.costs()
        self.lengths = Lengths(() if kept is None else kept.lengths)
        self._start_s = start_s
        self._ended_at: dict[int, float] = {}
        self.familiar = Familiar()
        self._returns = 0.0
        self._read: float | None = None
        self._written = 0.0

    def keep(self) -> Kept:
        """To be kept for the next worker."""
        return Kept(
            version=FILE_VERSION,
            reading=self.costs.reading,
            writing=self.costs.writing,
            factor=self.costs.factor,
            chunk=self.costs.chunk,
            lengths=tuple(self.lengths.seen),
            start_s=self._start_s,
        )

    def came(self, client: int, now: float) -> None:
        """A client sends a job."""
        if (ended_at := self._ended_at.pop(client, None)) is not None:
            self._came_back(now - ended_at < AT_ONCE_S)

    def left(self, client: int) -> None:
        """A client is gone."""
        if self._ended_at.pop(client, None) is not None:
            self._came_back(False)

    def ended(
        self, client: int, now: float, read: int, written: int, *, own_end: bool, reused: int = 0
    ) -> None:
        """A job ended well.

        Args:
            read: Prompt tokens that were read for it.
            own_end: Not because of its cap.
            reused: Prompt tokens that an earlier job had read.
        """
        self.familiar.saw(read + reused, reused)
        if client in self._ended_at:
            self._came_back(False)
        self._ended_at[client] = now
        self.lengths.saw(written, ended=own_end)
        if self._read is None:
            self._read, self._written = read, written
        else:
            self._read += _WEIGHT * (read - self._read)
            self._written += _WEIGHT * (written - self._written)

    def outlook(
        self,
        *,
        running: tuple[Load, ...],
        waiting: tuple[Load, ...],
        served: tuple[tuple[str, int], ...] = (),
        at_once: int,
        rounds: int = 1,
    ) -> Outlook:
        """What is ahead with these jobs."""
        return Outlook(
            rates=self.costs.rates(),
            lengths=tuple(self.lengths.seen),
            running=running,
            waiting=waiting,
            served=served,
            at_once=at_once,
            rounds=rounds,
            returns=self._returns,
            known=self.familiar.share,
            known_tokens=self.familiar.tokens,
            usual=None
            if self._read is None
            else Load(unread=max(1.0, self._read), left=max(1.0, self._written)),
        )

    def _came_back(self, did: bool) -> None:
        self._returns += 2 * _WEIGHT * (float(did) - self._returns)
