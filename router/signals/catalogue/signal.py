"""What a signal is: one line of the catalogue, and the values it can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number that is only known not to be larger than `bound`."""

    bound: float

    def __str__(self) -> str:
        return f"at most {self.bound:.15g}"


Value = float | int | str | bool | AtMost | None
"""What a signal can be. None: unknown. A float is finite."""

Kind = Literal["number", "word", "flag"]
Known = Literal["request", "draft"]

CHEAP_US = 100.0
"""What a signal may cost to be recorded under ``record_signals: cheap``, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One line of the catalogue.

    Attributes:
        name: As a policy writes it, ``room.word``. One part may be ``*``: any name goes there.
        type: What it can be compared with.
        unit: None: a bare number, a word or a flag.
        low: Smallest possible value. None: no bound.
        high: Largest possible value. None: no bound.
        whole: Whether it is always a whole number.
        words: Its members, for a word. Empty: any word.
        known: From when on it can be known.
        may_be_unknown: Whether a policy has to reckon with unknown.
        absent: Its value where there is nothing to measure, such as no battery; that is known,
            not unknown. None: that can't be.
        whole_draft: Whether it says something only of a finished draft.
        cost_us: About what it costs to find out, microseconds, for a prompt or draft of 1,000
            characters.
        source: Where it comes from.
        summary: What it says, in a line.
    """

    name: str
    type: Kind
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = False
    words: tuple[str, ...] = ()
    known: Known
    may_be_unknown: bool
    absent: Value = None
    whole_draft: bool = False
    cost_us: float = 1.0
    source: str
    summary: str

    @property
    def cheap(self) -> bool:
        """Whether it is recorded under ``record_signals: cheap``."""
        return self.cost_us <= CHEAP_US
