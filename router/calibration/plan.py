"""What labels cost before they are made: dollars at their worst, hours as measured. Decides nothing.

Comes in: prices, speeds and prompts. Goes out: figures, None where one is not known.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from ..ledger.report import Report
from ..providers.base import Target
from ..signals.prompt import prompt_bound
from ..types import Message
from .judging import VERDICT_TOKENS, question_of
from .prompts import Prompt

Worst = Callable[[int, int], Decimal | None]
"""Most dollars of a call by its input and output tokens; see `drive.meter`. None: not known."""
BYTES_PER_TOKEN = 8
"""Most bytes of a draft that a judge is shown for each token the device may write."""
USUAL_INPUT = 1_000
"""Tokens that a prompt is taken to have at most where there is none to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """Most dollars of one prompt, each of its parts called once. None: not known.

    Attributes:
        draft: Of the draft.
        other: Of the strong tier's answer, or the judge's word.
        beside: Of the answers of other tiers that are asked, by tier.
    """

    draft: Decimal | None
    other: Decimal | None
    beside: Mapping[str, Decimal | None] = field(default_factory=dict)

    @property
    def usd(self) -> Decimal | None:
        """Of all."""
        parts = (self.draft, self.other, *self.beside.values())
        known = [usd for usd in parts if usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(parts) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is ahead.

    Attributes:
        todo: Prompts that have no row yet.
        done: Prompts that have one.
        usd: Most that the rest can cost, no call made again. None: a price is not known.
        hours: What it takes, by the speeds so far. None: not known.
    """

    todo: int
    done: int
    usd: Decimal | None
    hours: float | None


def plan(
    todo: Sequence[Prompt],
    done: int,
    worst: Callable[[Prompt], Most],
    seconds: float | None,
) -> Plan:
    """Add it up.

    Args:
        worst: Most dollars of one prompt.
        seconds: Of one prompt. None: not known.
    """
    total: Decimal | None = Decimal(0)
    for prompt in todo:
        one = worst(prompt).usd
        total = None if one is None or total is None else total + one
    hours = None if seconds is None else seconds * len(todo) / 3600
    return Plan(todo=len(todo), done=done, usd=total, hours=hours)


def worst_of_strong(prompt: Prompt, target: Target, worst: Worst) -> Decimal | None:
    """Most dollars of the strong tier's answer to a prompt."""
    asked = (Message(role="user", content=prompt.text),)
    return worst(int(prompt_bound(asked).bound), target.max_output_tokens)


def worst_of_judge(prompt: Prompt, device: Target, worst: Worst) -> Decimal | None:
    """Most dollars of a judge's word on the device's draft."""
    asked = question_of(prompt.text, "")
    most = int(prompt_bound(asked).bound) + BYTES_PER_TOKEN * device.max_output_tokens
    return worst(most, VERDICT_TOKENS)


def seconds_of(folder: Path, targets: Sequence[str]) -> float | None:
    """Seconds of one call to each of these targets, by the ledger's medians.

    None: one of them has not been called yet, or there is no ledger.

    Raises:
        LedgerError: the ledger can't be read.
    """
    if not (folder / "ledger.sqlite3").is_file() and not (folder / "journal").is_dir():
        return None
    with Report.open(folder) as report:
        totals = report.totals().targets
    medians = {one.target: one.total_s.p50 for one in totals if one.total_s.p50 is not None}
    known = [medians.get(name) for name in targets]
    return None if None in known else sum(value for value in known if value is not None)
