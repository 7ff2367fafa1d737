"""What a line of the work file says: of the draft, of who judged it, and of what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..hops import Outcome
from ..types import TokenStat
from .judging import agrees
from .prompts import Prompt


def done_keys(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Keys of the prompts that have a row."""
    return {Prompt(text=row["prompt"]).key for row in rows if isinstance(row.get("prompt"), str)}


def drafted_by(rows: Sequence[Mapping[str, Any]]) -> set[str | None]:
    """Whose drafts these rows hold. None among them: of some it is not known."""
    return {row.get("drafted_by") for row in rows if "draft" in row}


def spent(rows: Sequence[Mapping[str, Any]]) -> Decimal:
    """Dollars of these rows, as far as they are known."""
    known = [row.get("spent_usd") for row in rows]
    return sum((Decimal(usd) for usd in known if isinstance(usd, str)), Decimal(0))


def compared(prompt: Prompt, draft: str, other: str, strong: str) -> dict[str, Any]:
    """By the reference where there is one, and else by the strong tier's answer."""
    if prompt.reference is not None:
        return {
            "right": agrees(draft, prompt.reference),
            "strong_right": agrees(other, prompt.reference),
            "judge": "the reference",
        }
    return {
        "right": agrees(draft, other),
        "strong_right": True,
        "judge": f"the same answer as {strong}",
    }


def by_name(tier: str | None, prompt: Prompt, row: Mapping[str, Any]) -> dict[str, Any]:
    """Which tier `strong_right` and `cost` of a row are about, and by a reference the same of it by
    its name: that stays true when another tier is the strong one. None: the tier is not known."""
    if tier is None:
        return {}
    named: dict[str, Any] = {"strong_tier": tier}
    if prompt.reference is not None:
        named["tiers"] = {tier: {"right": row["strong_right"], "cost": row["cost"]}}
    return named


def of_tier(prompt: Prompt, answer: str, strong: str, outcome: Outcome) -> dict[str, Any]:
    """How another tier's answer did, by the same measure, and what it cost.

    Args:
        strong: The strong tier's answer.
    """
    against = strong if prompt.reference is None else prompt.reference
    usd = outcome.cost_usd
    return {"right": agrees(answer, against), "cost": None if usd is None else float(usd)}


def told(tokens: tuple[TokenStat, ...]) -> dict[str, Any]:
    """What is known of the draft's tokens; empty where nothing is."""
    if not tokens:
        return {}
    return {
        "logprobs": [round(stat.logprob, 5) for stat in tokens],
        "entropies": [stat.entropy for stat in tokens],
        "margins": [stat.margin for stat in tokens],
    }


def finish(outcome: Outcome) -> str | None:
    """Why the draft ended. None: not known."""
    index = outcome.answered_by
    return None if index is None else outcome.hops[index].last.finish
