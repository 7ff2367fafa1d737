"""What has happened to one request so far: hops, drafts, errors, and what the caller was shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from ..cascade import Call
from ..errors import HopError
from ..hops import Attempt, Hop, HopStatus, SignalValue
from ..money import EXACT
from ..policy.explain import plain
from ..providers.base import Target
from ..quick import copier, maker
from ..signals.catalogue import AtMost, Value
from ..types import Chunk, Completion
from .attempt import HopRun

_hop = maker(Hop)
_of_draft = copier(Chunk, Completion, "transit")


@dataclass(slots=True)
class Left:
    """A hop that has ended; whether its answer is the one that is returned is not known yet.

    Attributes:
        draft: What it answered; empty where it gave no whole answer.
        status: How it was left, unless its answer is returned; so `left`, in words.
        began_s: Seconds from the request's arrival to its start.
        took_s: Seconds from there to its end.
        cost_usd: None: not known.
    """

    call: Call
    target: Target
    attempts: tuple[Attempt, ...]
    draft: Completion
    status: HopStatus
    left: str
    measured: Mapping[str, Value]
    began_s: float
    took_s: float
    cost_usd: Decimal | None

    def hop(self, *, answered: bool) -> Hop:
        """As it is told."""
        call, target = self.call, self.target
        return _hop(
            index=call.hop,
            target=target.name,
            tier=target.tier,
            provider=target.provider,
            model=target.model,
            cause=call.cause,
            because=call.because,
            status="answered" if answered else self.status,
            left=_given(self.draft) if answered else self.left,
            attempts=self.attempts,
            total_s=self.took_s,
            cost_usd=self.cost_usd,
            signals=recorded(self.measured),
            began_s=self.began_s,
        )


@dataclass(slots=True)
class Happened:
    """Grows hop by hop.

    Attributes:
        hops: Those of which at least one call could be booked, by index.
        text: What the caller was shown.
        first_byte: When that began, on the clock. None: nothing was shown.
        spent: Dollars so far; unknown costs counted at their worst case.
    """

    hops: dict[int, Left] = field(default_factory=dict)
    errors: list[HopError] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    first_byte: float | None = None
    spent: Decimal = Decimal(0)

    def shown(self, chunk: Chunk, now: float) -> Chunk:
        """Note what goes on to the caller at `now`; gives it back."""
        if self.first_byte is None and (chunk.text or chunk.tool_calls):
            self.first_byte = now
        self.text.append(chunk.text)
        return chunk

    def add(
        self,
        call: Call,
        run: HopRun,
        status: HopStatus,
        left: str,
        measured: Mapping[str, Value],
        times: tuple[float, float],
        usd: tuple[Decimal | None, Decimal],
    ) -> None:
        """Add a hop that has ended.

        Args:
            times: Seconds from the request's arrival to its start, and from there to its end.
            usd: What it cost, None: not known; and with what is not known at the worst case.
        """
        began_s, took_s = times
        cost_usd, spent_usd = usd
        self.spent = EXACT.add(self.spent, spent_usd)
        self.hops[call.hop] = Left(
            call,
            run.live.target,
            tuple(run.attempts),
            run.answer,
            status,
            left,
            measured,
            began_s,
            took_s,
            cost_usd,
        )

    def hops_with(self, answered: int | None) -> tuple[Hop, ...]:
        """All hops, the one whose answer was returned marked as such."""
        hops = self.hops
        return tuple([hops[index].hop(answered=index == answered) for index in sorted(hops)])


def _given(draft: Completion) -> str:
    cut = draft.finish == "content_filter"
    return f"answered, {filtered('answer', draft.filtered)}" if cut else "answered"


def recorded(signals: Mapping[str, Value]) -> dict[str, SignalValue]:
    """Signals as they are kept: plain values."""
    return {n: plain(v) if isinstance(v, AtMost) else v for n, v in signals.items()}


def says_something(answer: Completion) -> bool:
    """Whether there is anything in it."""
    return bool(answer.text.strip() or answer.tool_calls)


def as_chunk(draft: Completion) -> Chunk:
    """A whole draft in one piece."""
    return _of_draft(draft, None)


def filtered(where: Literal["prompt", "answer"], categories: tuple[str, ...]) -> str:
    """What a content filter stopped, and for what: ``"filtered (prompt: violence)"``."""
    of = f": {', '.join(categories)}" if categories else ""
    return f"filtered ({where}{of})"
