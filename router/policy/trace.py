"""What a trace is made of: rules that were looked at, hops that were taken, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..hops import Cause
from ..quick import quick
from .predicates import Predicate, Signals, Truth


class Check(NamedTuple):
    """One rule that was looked at. A tuple: one is made per rule and request, in a third the time.

    Attributes:
        kind: Which part of the policy it stands in.
        id: The rule's id; of an early commit its tier, of an abort its tier and length.
        truth: What its predicate said; None is unknown.
        effect: What followed, in words; empty when nothing did.
        predicate: What was asked.
        signals: What it was asked of.
    """

    kind: Literal["guard", "route", "early", "abort", "race", "accept"]
    id: str
    truth: Truth
    effect: str
    predicate: Predicate
    signals: Signals


@quick
@dataclass(frozen=True, slots=True)
class Taken:
    """A mark in the trace: here the hop of this index was taken.

    Attributes:
        commits: Its answer goes to the caller as it comes; requirements on it only flag.
    """

    hop: int
    cause: Cause
    because: str
    commits: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the trace that is no rule: a tier skipped, a limit met, a draft returned."""

    text: str


@dataclass(frozen=True, slots=True)
class Skipped(Note):
    """A target that can't be asked this at all, and why."""


@dataclass(frozen=True, slots=True)
class Ended(Note):
    """One of two hops beside each other has ended: what follows is about it.

    Attributes:
        hop: Its index.
    """

    hop: int


Entry = Check | Taken | Note
