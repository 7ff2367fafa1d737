"""Ask a device model checkable questions, and say how its own probabilities sort the answers.

The question goes alone, without a system message, as a user would type it. Of three ways to ask
(alone; "Answer the question with a short answer."; three worked examples before it) this one was
chosen on the questions of `demo_bar.py` and of the acceptance run, never on those it reports on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from firsthop.device.engine import EngineOptions, Job
from firsthop.device.link import DeviceLink
from firsthop.device.wire import Token
from firsthop.models import Store
from firsthop.signals.draft import mean_logprob
from firsthop.types import Message, TokenStat

TOKENS = 32


@dataclass(frozen=True)
class Asked:
    """One question, what came, whether it was right, and the draft's mean log-probability."""

    question: str
    text: str
    right: bool
    mean_logprob: float


def is_right(text: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted answer begins a word of `text`; a number has to stand alone."""
    low = text.strip().lower()
    return any(
        re.search(rf"(?<![a-z0-9]){re.escape(a)}" + (r"(?![0-9])" if a.isdigit() else ""), low)
        for a in accepted
    )


def ask_all(model: str, questions: Sequence[tuple[str, Sequence[str]]]) -> list[Asked]:
    """Greedy answers of `model`, through the worker."""
    return asyncio.run(_ask_all(model, questions))


async def _ask_all(model: str, questions: Sequence[tuple[str, Sequence[str]]]) -> list[Asked]:
    found = Store().find(model)
    link = DeviceLink(EngineOptions(folder=str(found.path), context_limit=found.context_limit))
    asked: list[Asked] = []
    try:
        for question, accepted in questions:
            messages = (Message(role="user", content=question),)
            text, stats = "", []
            async with aclosing(
                link.run(Job(messages=messages, max_output_tokens=TOKENS))
            ) as steps:
                async for step in steps:
                    if isinstance(step, Token):
                        text += step.text
                        stats.append(TokenStat(step.logprob, step.entropy, step.margin))
            score = mean_logprob(stats)
            assert score is not None
            asked.append(Asked(question, text, is_right(text, accepted), score))
    finally:
        await link.aclose()
    return asked


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Chance that a right answer scores above a wrong one; ties count half.

    Source: Hanley & McNeil, Radiology 143(1), 1982.
    """
    good = [s for s, r in zip(scores, right, strict=True) if r]
    bad = [s for s, r in zip(scores, right, strict=True) if not r]
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return wins / (len(good) * len(bad))
